import { useState } from 'react';
import type { ToolCall, Turn } from '../chat/types';
import { Code } from '../markdown/Code';
import { Markdown } from '../markdown/Markdown';
import { useWords } from '../words/context';
import { Dialog } from './Dialog';
import { Info } from './icons';

/** What the model thought before it answered: open while that is all there is, then folded. */
export function Thought({ text, writing }: { text: string; writing: boolean }) {
  const words = useWords();
  const [wanted, want] = useState<boolean | null>(null);
  const open = wanted ?? writing;
  return (
    <section className="thought">
      <button type="button" className="thought-fold" aria-expanded={open} onClick={() => want(!open)}>
        {words.thought}
      </button>
      {open && <Markdown text={text} growing={writing} />}
    </section>
  );
}

/** Tools that the model asks for, as it wrote them. */
export function Calls({ calls }: { calls: ToolCall[] }) {
  const words = useWords();
  return (
    <>
      {calls.map((call, index) => (
        <section key={index} className="call" aria-label={words.callOf(call.name)}>
          <Code text={laidOut(call.arguments)} language="json" title={words.callOf(call.name)} />
        </section>
      ))}
      <p className="note">{words.callsNote}</p>
    </>
  );
}

function laidOut(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json; // still being written, or not JSON
  }
}

/** Who gave this answer, and with which settings. */
export function About({ turn }: { turn: Turn }) {
  const words = useWords();
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" className="tool" aria-label={words.aboutAnswer} title={words.aboutAnswer} onClick={() => setOpen(true)}>
        <Info />
      </button>
      {open && (
        <Dialog title={words.aboutAnswer} onClose={() => setOpen(false)}>
          <Facts turn={turn} />
        </Dialog>
      )}
    </>
  );
}

function Facts({ turn }: { turn: Turn }) {
  const words = useWords();
  const { sampling } = turn;
  const own = (value: number | null | undefined): string => value?.toLocaleString(words.locale) ?? words.modelDefault;
  const rows: [string, string | undefined][] = [
    [words.answeredBy, turn.model],
    [words.hash, turn.sha256],
    [words.serverFingerprint, turn.fingerprint],
    [words.when, new Date(turn.at).toLocaleString(words.locale)],
    [words.temperature, sampling && own(sampling.temperature)],
    [words.topP, sampling && own(sampling.topP)],
    [words.maxTokens, sampling && own(sampling.maxTokens)],
    [words.seed, sampling && (sampling.seed?.toString() ?? words.random)],
    [words.system, sampling?.system.trim() || undefined],
    [words.promptTokens, turn.promptTokens?.toLocaleString(words.locale)],
  ];
  return (
    <dl className="facts">
      {rows.map(([name, value]) => value && (
        <div key={name}>
          <dt>{name}</dt>
          <dd className="fact">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
