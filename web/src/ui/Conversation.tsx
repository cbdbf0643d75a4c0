import { useCallback, useEffect, useLayoutEffect, useRef, useState, type UIEvent } from 'react';
import { shown } from '../chat/tree';
import type { Conversation as Kept } from '../chat/types';
import { useWords } from '../words/context';
import { ArrowDown, Crucible } from './icons';
import { Message, type Actions } from './Message';

interface Props {
  conversation: Kept | null;
  busy: boolean;
  name: string;
  /** Another server answers. */
  elsewhere: boolean;
  editing: string;
  actions: Actions;
  onExample: (text: string) => void;
}

const NEAR = 60; // pixels from the bottom that still count as reading along

/** The turns on screen; the view follows the answer as long as the person does. */
export function Conversation({ conversation, busy, name, elsewhere, editing, actions, onExample }: Props) {
  const words = useWords();
  const view = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  const [away, setAway] = useState(false);

  const down = useCallback(() => {
    view.current?.scrollTo({ top: view.current.scrollHeight });
  }, []);
  const onScroll = (event: UIEvent<HTMLDivElement>): void => {
    const { scrollHeight, scrollTop, clientHeight } = event.currentTarget;
    following.current = scrollHeight - scrollTop - clientHeight < NEAR;
    setAway(!following.current);
  };
  const line = conversation ? shown(conversation) : [];
  const lastQuestion = line.findLast(({ turn }) => turn.role === 'user')?.turn.id;

  useLayoutEffect(() => {
    following.current = true;
    down();
  }, [conversation?.id, lastQuestion, down]);
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
  }, [conversation?.id, down]);

  if (!conversation || line.length === 0) return <Hello name={name} elsewhere={elsewhere} onExample={onExample} />;
  return (
    <div className="view-around">
      <div className="view" ref={view} onScroll={onScroll}>
        <div className="column">
          {line.map(({ turn, versions }, index) => (
            <Message
              key={turn.id}
              turn={turn}
              siblings={versions}
              editing={editing === turn.id}
              busy={busy}
              last={index === line.length - 1}
              name={name}
              actions={actions}
            />
          ))}
        </div>
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
