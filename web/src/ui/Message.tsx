import { memo, useEffect, useRef, useState } from 'react';
import type { Turn } from '../chat/types';
import { Markdown } from '../markdown/Markdown';
import { useWords } from '../words/context';
import { CopyButton } from './CopyButton';
import { Again, Crucible, Left, Pencil, Right, Warning } from './icons';
import { About, Calls, Thought } from './Parts';
import { composes } from './keys';
import { KeyField } from './Settings';
import { useDraft } from './useDraft';

export interface Actions {
  again: (turn: Turn) => void;
  goOn: (turn: Turn) => void;
  forget: (turn: Turn) => void;
  edit: (turn: Turn, text: string) => void;
  choose: (turn: Turn) => void;
  startEdit: (turn: Turn | null) => void;
}

interface Props {
  turn: Turn;
  siblings: Turn[];
  editing: boolean;
  /** An answer is being written in this conversation. */
  busy: boolean;
  /** The server has been silent for a while. */
  quiet: boolean;
  /** It is the last turn: its failure can be tried again. */
  last: boolean;
  name: string;
  actions: Actions;
}

const same = (before: Props, after: Props): boolean =>
  before.turn === after.turn &&
  before.editing === after.editing &&
  before.busy === after.busy &&
  before.quiet === after.quiet &&
  before.last === after.last &&
  before.name === after.name &&
  before.actions === after.actions &&
  before.siblings.map((one) => one.id).join() === after.siblings.map((one) => one.id).join();

export const Message = memo(function Message(props: Props) {
  return props.turn.role === 'user' ? <Said {...props} /> : <Answered {...props} />;
}, same);

function Said({ turn, siblings, editing, busy, last, actions }: Props) {
  const words = useWords();
  return (
    <article className={last ? 'turn said last' : 'turn said'} aria-label={words.you}>
      {editing ? (
        <Editor turn={turn} actions={actions} />
      ) : (
        <>
          <div className="bubble" dir="auto">{turn.text}</div>
          <div className="tools">
            <Pager turn={turn} siblings={siblings} busy={busy} actions={actions} />
            <CopyButton text={turn.text} label={words.copy} />
            <button type="button" className="tool" disabled={busy} aria-label={words.edit} title={words.edit} onClick={() => actions.startEdit(turn)}>
              <Pencil />
            </button>
          </div>
        </>
      )}
    </article>
  );
}

function Editor({ turn, actions }: { turn: Turn; actions: Actions }) {
  const words = useWords();
  const [text, setText] = useDraft(`edit.${turn.id}`, turn.text);
  const area = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    area.current?.focus();
    area.current?.setSelectionRange(turn.text.length, turn.text.length);
  }, [turn]);
  const send = (): void => {
    if (!text.trim()) return;
    setText(turn.text);
    actions.edit(turn, text.trim());
  };
  const leave = (): void => {
    setText(turn.text);
    actions.startEdit(null);
  };
  return (
    <form className="editor" onSubmit={(event) => (event.preventDefault(), send())}>
      <textarea ref={area} value={text} aria-label={words.editMessage} dir="auto" rows={Math.min(12, text.split('\n').length)} onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (composes(event)) return;
          if (event.key === 'Enter' && !event.shiftKey) (event.preventDefault(), send());
          if (event.key === 'Escape') (event.stopPropagation(), leave());
        }} />
      <footer>
        <button type="button" className="button" onClick={leave}>
          {words.cancel}
        </button>
        <button type="submit" className="button button-main" disabled={!text.trim()}>
          {words.send}
        </button>
      </footer>
    </form>
  );
}

function Answered({ turn, siblings, busy, quiet, last, name, actions }: Props) {
  const words = useWords();
  const writing = turn.state === 'writing';
  return (
    <article className={last ? 'turn answered last' : 'turn answered'} aria-label={turn.model || name} aria-busy={writing}>
      <div className="who">
        <Crucible /> {turn.model || name}
      </div>
      {turn.leftOut !== undefined && <p className="note">{words.leftOut(turn.leftOut)}</p>}
      {turn.thought && <Thought text={turn.thought} writing={writing && !turn.text} />}
      {turn.text ? <Markdown text={turn.text} growing={writing} /> : writing && <Dots />}
      {turn.calls && <Calls calls={turn.calls} />}
      {quiet && <p className="note" role="status">{words.quiet}</p>}
      {!turn.text && !turn.thought && !turn.calls && turn.state === 'done' && <p className="note">{words.emptyAnswer}</p>}
      {turn.state === 'stopped' && <p className="note">{turn.cut ? words.cutOff : words.stopped}</p>}
      {turn.finish === 'length' && <p className="note">{words.cutShort}</p>}
      {turn.failure && <Trouble turn={turn} busy={busy} actions={actions} last={last} />}
      {!writing && (
        <div className="tools">
          <Pager turn={turn} siblings={siblings} busy={busy} actions={actions} />
          {turn.text && <CopyButton text={turn.text} label={words.copy} />}
          {!turn.failure && (
            <button type="button" className="tool" disabled={busy} aria-label={words.again} title={words.again} onClick={() => actions.again(turn)}>
              <Again />
            </button>
          )}
          {last && turn.text && !turn.calls && (turn.state === 'stopped' || turn.finish === 'length' || turn.failure?.kind === 'broken' || turn.failure?.kind === 'silent') && (
            <button type="button" className="button button-small" disabled={busy} onClick={() => actions.goOn(turn)}>
              {words.goOn}
            </button>
          )}
          {(turn.sampling || turn.sha256) && <About turn={turn} />}
          <Figures turn={turn} />
        </div>
      )}
    </article>
  );
}

function Dots() {
  const words = useWords();
  return (
    <p className="dots" role="img" aria-label={words.writing}>
      <span />
      <span />
      <span />
    </p>
  );
}

function Pager({ turn, siblings, busy, actions }: { turn: Turn; siblings: Turn[]; busy: boolean; actions: Actions }) {
  const words = useWords();
  const at = siblings.findIndex((one) => one.id === turn.id);
  if (siblings.length < 2) return null;
  const step = (to: Turn | undefined, label: string, side: 'left' | 'right') => (
    <button type="button" className="tool" disabled={!to || busy} aria-label={label} title={label} onClick={() => to && actions.choose(to)}>
      {side === 'left' ? <Left /> : <Right />}
    </button>
  );
  return (
    <span className="pager">
      {step(siblings[at - 1], words.previous, 'left')}
      <span aria-label={words.version(at + 1, siblings.length)}>
        {at + 1}/{siblings.length}
      </span>
      {step(siblings[at + 1], words.next, 'right')}
    </span>
  );
}

/** Tokens as the server counted them; speed from the first piece of text to the last, as this page saw it. */
function Figures({ turn }: { turn: Turn }) {
  const words = useWords();
  const one = new Intl.NumberFormat(words.locale, { maximumFractionDigits: 1 });
  const parts: string[] = [];
  if (turn.tokens !== undefined) parts.push(words.tokens(turn.tokens));
  if (turn.tokens && turn.tokens > 1 && turn.wrote && turn.wrote > 0.02) parts.push(words.speed(one.format((turn.tokens - 1) / turn.wrote)));
  if (turn.waited !== undefined) parts.push(words.waited(new Intl.NumberFormat(words.locale, { maximumFractionDigits: 2 }).format(turn.waited)));
  return parts.length > 0 ? <span className="figures">{parts.join(' · ')}</span> : null;
}

function Trouble({ turn, busy, last, actions }: { turn: Turn; busy: boolean; last: boolean; actions: Actions }) {
  const words = useWords();
  const [left, setLeft] = useState(Math.ceil(turn.failure?.wait ?? 0));
  useEffect(() => {
    if (left <= 0) return;
    const timer = setTimeout(() => setLeft(left - 1), 1000);
    return () => clearTimeout(timer);
  }, [left]);
  if (!turn.failure) return null;
  const { kind, message, alone } = turn.failure;
  return (
    <div className="trouble" role="alert">
      <p>
        <Warning /> {alone ? words.tooLongAlone : words.failed[kind]}
      </p>
      {message && <p className="quiet">{message}</p>}
      {last && kind === 'key' && <KeyField onUse={() => actions.again(turn)} />}
      {last && (
        <div className="row">
          {kind === 'too_long' && !alone && (
            <button type="button" className="button button-main" disabled={busy} onClick={() => actions.forget(turn)}>
              {words.continueShorter}
            </button>
          )}
          <button type="button" className="button" disabled={busy || left > 0} onClick={() => actions.again(turn)}>
            {left > 0 ? words.retryIn(left) : words.retry}
          </button>
        </div>
      )}
    </div>
  );
}
