import { useVirtualizer } from '@tanstack/react-virtual';
import { useCallback, useEffect, useLayoutEffect, useRef, useState, type UIEvent } from 'react';
import type { Shown } from '../chat/tree';
import type { Conversation as Kept } from '../chat/types';
import { useWords } from '../words/context';
import { ArrowDown, Crucible } from './icons';
import { Message, type Actions } from './Message';
import { usePrinting } from './usePrinting';

interface Props {
  conversation: Kept | null;
  /** Its turns, from the first to the last. */
  line: Shown[];
  busy: boolean;
  /** The server has been silent for a while. */
  quiet: boolean;
  name: string;
  /** Another server answers. */
  elsewhere: boolean;
  editing: string;
  actions: Actions;
  onExample: (text: string) => void;
}

const NEAR = 60; // pixels from the bottom that still count as reading along
const WHOLE = 24; // turns; a longer conversation has on the page what is in sight

export function Conversation(props: Props) {
  const { conversation, line, name, elsewhere, onExample } = props;
  if (!conversation || line.length === 0) return <Hello name={name} elsewhere={elsewhere} onExample={onExample} />;
  return <Turns key={conversation.id} {...props} />;
}

/** Roughly what a turn will take, in pixels, before it has been on the page. */
function guess({ turn }: Shown): number {
  return 100 + 24 * Math.min(60, turn.text.length / 80);
}

/** The turns on screen; the view follows the answer as long as the person does. */
function Turns({ line, busy, quiet, name, editing, actions }: Props) {
  const words = useWords();
  const view = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  const [away, setAway] = useState(false);
  const printing = usePrinting();
  const whole = printing || line.length <= WHOLE;
  const virtual = useVirtualizer({
    count: line.length,
    enabled: !whole,
    getScrollElement: () => view.current,
    estimateSize: (index) => guess(line[index] as Shown),
    getItemKey: (index) => line[index]?.turn.id ?? index,
    initialOffset: () => line.reduce((sum, shown) => sum + guess(shown), 0),
    initialRect: { width: 0, height: window.innerHeight },
    overscan: 2,
    useFlushSync: false,
  });

  const down = useCallback(() => {
    view.current?.scrollTo({ top: view.current.scrollHeight });
  }, []);
  const onScroll = (event: UIEvent<HTMLDivElement>): void => {
    const { scrollHeight, scrollTop, clientHeight } = event.currentTarget;
    following.current = scrollHeight - scrollTop - clientHeight < NEAR;
    setAway(!following.current);
  };
  const lastQuestion = line.findLast(({ turn }) => turn.role === 'user')?.turn.id;

  useLayoutEffect(() => {
    following.current = true;
    down();
  }, [lastQuestion, down]);
  useLayoutEffect(() => {
    if (following.current && !editing) down();
  });
  useEffect(() => {
    // Formulas and colours arrive after the text and make it taller.
    const content = view.current?.firstElementChild;
    if (!content) return;
    const observer = new ResizeObserver(() => following.current && down());
    observer.observe(content);
    return () => observer.disconnect();
  }, [down]);

  const message = ({ turn, versions }: Shown, index: number) => (
    <Message
      key={turn.id}
      turn={turn}
      siblings={versions}
      editing={editing === turn.id}
      busy={busy}
      quiet={quiet && turn.state === 'writing'}
      last={index === line.length - 1}
      name={name}
      actions={actions}
    />
  );
  const seen = virtual.getVirtualItems();
  return (
    <div className="view-around">
      <div className="view" ref={view} onScroll={onScroll}>
        {whole ? (
          <div className="column">{line.map(message)}</div>
        ) : (
          <div className="column">
            <div style={{ height: virtual.getTotalSize() }}>
              <div style={{ transform: `translateY(${seen[0]?.start ?? 0}px)` }}>
                {seen.map(({ index, key }) => (
                  <div key={key} className="slot" data-index={index} ref={virtual.measureElement}>
                    {message(line[index] as Shown, index)}
                  </div>
                ))}
              </div>
            </div>
          </div>
        )}
      </div>
      {away && (
        <button type="button" className="round jump" aria-label={words.jump} title={words.jump} onClick={down}>
          <ArrowDown />
        </button>
      )}
    </div>
  );
}

function Hello({ name, elsewhere, onExample }: { name: string; elsewhere: boolean; onExample: (text: string) => void }) {
  const words = useWords();
  return (
    <div className="view hello">
      <div className="column">
        <Crucible />
        <h2>{words.hello}</h2>
        <p>{(elsewhere ? words.thisIsAiElsewhere : words.thisIsAi)(name)}</p>
        <ul>
          {words.examples.map((text) => (
            <li key={text}>
              <button type="button" onClick={() => onExample(text)}>
                {text}
              </button>
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}
