import { useLayoutEffect, type KeyboardEvent, type RefObject } from 'react';
import { useWords } from '../words/context';
import { ArrowUp, Square } from './icons';
import { composes } from './keys';
import { useDraft } from './useDraft';

/** On a touch screen the focus brings up a keyboard that nobody asked for. */
export const hasKeyboard = !matchMedia('(pointer: coarse)').matches;

interface Props {
  box: RefObject<HTMLTextAreaElement | null>;
  /** The conversation written in; '' for a new one. Each has a draft of its own. */
  place: string;
  busy: boolean;
  notice: string;
  onSend: (text: string) => void;
  onStop: () => void;
  onEditLast: () => void;
}

export function Composer({ box, place, busy, notice, onSend, onStop, onEditLast }: Props) {
  const words = useWords();
  const [text, setText] = useDraft(place);

  useLayoutEffect(() => {
    const area = box.current;
    if (!area) return;
    area.style.height = 'auto';
    area.style.height = `${Math.min(area.scrollHeight, window.innerHeight * 0.4)}px`;
  }, [box, text]);

  const send = (): void => {
    if (!text.trim() || busy) return;
    setText('');
    onSend(text.trim());
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (composes(event)) return;
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      send();
    } else if (event.key === 'ArrowUp' && text === '') {
      event.preventDefault();
      onEditLast();
    }
  };
  return (
    <form className="composer" onSubmit={(event) => (event.preventDefault(), send())}>
      <div className="composer-box">
        <textarea id="message" ref={box} rows={1} dir="auto" autoFocus={hasKeyboard} value={text} placeholder={words.placeholder} aria-label={words.message} onChange={(event) => setText(event.target.value)} onKeyDown={onKeyDown} />
        {busy ? (
          <button type="button" className="round" aria-label={words.stop} title={`${words.stop} (Esc)`} onClick={onStop}>
            <Square />
          </button>
        ) : (
          <button type="submit" className="round" aria-label={words.send} title={words.send} disabled={!text.trim()}>
            <ArrowUp />
          </button>
        )}
      </div>
      <p className="notice">{notice}</p>
    </form>
  );
}
