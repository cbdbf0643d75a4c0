/** One answer under way: pieces arrive -> the turn grows once a frame -> done, stopped or failed. */

import { ApiError, grown, streamAnswer, type Piece } from '../api/client';
import type { Aside } from './rescue';
import type { Conversation, Message, Sampling, ToolCall, Turn } from './types';

export interface Work {
  /** The answer's id. */
  turn: string;
  stop(): void;
  /** What has been written so far. */
  so(): Aside;
}

interface Job {
  conversation: Conversation;
  question: Turn;
  /** What it holds already is gone on with. */
  turn: Turn;
  asking: { model: string; sampling: Sampling };
  firstModel: () => Promise<string>;
  onChange: (difference: Partial<Turn>) => void;
  onQuiet: (quiet: boolean) => void;
  onEnd: (difference: Partial<Turn>) => void;
}

export function answering(job: Job): Work {
  const { turn } = job;
  const controller = new AbortController();
  const sent = performance.now();
  let { text, thought = '', calls = [] as ToolCall[] } = turn;
  let first = 0;
  let last = 0;
  let frame = 0;
  let timer = 0;
  let next = 0;
  const written = (): Partial<Turn> => ({ text, ...(thought ? { thought } : {}), ...(calls.length > 0 ? { calls } : {}) });
  const onPiece = (piece: Piece): void => {
    last = performance.now();
    first ||= last;
    text += piece.text ?? '';
    thought += piece.thought ?? '';
    if (piece.calls) calls = grown(calls, piece.calls);
    draw();
  };
  /** Once a frame, and less often where a drawing costs much: it takes at most a quarter of the time. */
  const draw = (): void => {
    if (frame || timer) return;
    const wait = next - performance.now();
    if (wait > 16) {
      timer = window.setTimeout(() => ((timer = 0), draw()), wait);
      return;
    }
    frame = requestAnimationFrame(() => {
      frame = 0;
      const began = performance.now();
      job.onChange(written());
      setTimeout(() => (next = began + 4 * (performance.now() - began))); // after React and the layout
    });
  };
  const run = async (): Promise<void> => {
    let ending: Partial<Turn>;
    let { model } = job.asking;
    try {
      if (!model) job.onChange({ model: (model = await job.firstModel()) }); // a reload goes on with the same one
      const done = await fitting(job, model, controller.signal, onPiece);
      ending = { state: 'done', finish: done.finish, model: done.model ?? model };
      if (done.fingerprint) ending.fingerprint = done.fingerprint;
      if (done.promptTokens !== undefined) ending.promptTokens = done.promptTokens;
      if (done.tokens !== undefined) ending.tokens = done.tokens;
    } catch (error) {
      if (controller.signal.aborted) ending = { state: 'stopped', model };
      else if (error instanceof ApiError) ending = { state: 'failed', failure: error.failure };
      else ending = { state: 'failed', failure: { kind: 'broken', message: String(error) } };
    }
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    if (first) Object.assign(ending, { waited: (first - sent) / 1000, wrote: (last - first) / 1000 });
    job.onEnd({ ...ending, ...written() });
  };
  void run();
  return { turn: turn.id, stop: () => controller.abort(), so: () => ({ text, thought }) };
}

/** Sends the line; when it is too long and the conversation forgets, sends it again without its oldest exchange. */
async function fitting({ conversation, question, turn, asking, onChange, onQuiet }: Job, model: string, signal: AbortSignal, onPiece: (piece: Piece) => void): ReturnType<typeof streamAnswer> {
  const line = upTo(conversation, question);
  const begun: Message[] = turn.text ? [{ role: 'assistant', content: turn.text }] : [];
  for (let from = 0; ; ) {
    try {
      const sent = [...messages(line.slice(from), asking.sampling.system), ...begun];
      return await streamAnswer({ model, messages: sent, sampling: asking.sampling, continues: begun.length > 0 }, signal, onPiece, onQuiet);
    } catch (error) {
      const tooLong = error instanceof ApiError && error.failure.kind === 'too_long';
      const next = from + Math.max(1, Math.floor((line.length - from) / 4));
      const user = line.findIndex((one, index) => index >= next && one.role === 'user');
      if (tooLong && user < 0) throw new ApiError({ ...error.failure, alone: true });
      if (!tooLong || !conversation.forgets) throw error;
      from = user;
      onChange({ leftOut: from });
    }
  }
}

/** The turns from the first one down to `question`. */
function upTo(conversation: Conversation, question: Turn): Turn[] {
  const line: Turn[] = [];
  for (let turn: Turn | undefined = question; turn; turn = conversation.turns[turn.parent]) line.unshift(turn);
  return line;
}

function messages(line: Turn[], system: string): Message[] {
  const said: Message[] = line.filter((turn) => turn.text).map((turn) => ({ role: turn.role, content: turn.text }));
  return system.trim() ? [{ role: 'system', content: system.trim() }, ...said] : said;
}
