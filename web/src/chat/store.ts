/** All conversations, and the answers being written. The only writer of both; React reads snapshots.
 *
 *  An answer under way: `ask` adds an empty turn -> pieces arrive -> the turn grows once a frame -> done, stopped or failed.
 */

import { ApiError, fetchModels, streamAnswer } from '../api/client';
import type { Storage } from './storage';
import { add, change, choose, matches, newConversation, shown, titleFrom } from './tree';
import type { Conversation, Message, Sampling, Turn } from './types';

export interface Snapshot {
  /** The most recently used first. */
  conversations: Conversation[];
  current: Conversation | null;
  lasting: boolean;
}

export interface Asking {
  /** '' while the page does not know it yet. */
  model: string;
  sampling: Sampling;
}

const SAVE_EVERY = 2000; // milliseconds: what a reload in the middle of an answer may lose

export class Store {
  private conversations = new Map<string, Conversation>();
  private currentId = '';
  private running = new Map<string, AbortController>(); // by conversation
  private listeners = new Set<() => void>();
  private snapshot: Snapshot;
  private channel = new BroadcastChannel('creuset');

  private constructor(private storage: Storage) {
    this.snapshot = { conversations: [], current: null, lasting: storage.lasting };
    this.channel.onmessage = (event: MessageEvent<string>) => void this.reload(event.data);
  }

  static async open(storage: Storage): Promise<Store> {
    const store = new Store(storage);
    for (const kept of await storage.all()) store.conversations.set(kept.id, settled(kept));
    store.publish();
    return store;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  read = (): Snapshot => this.snapshot;

  /** '' shows the empty page; nothing is kept until something is said. */
  show(id: string): void {
    this.currentId = this.conversations.has(id) ? id : '';
    this.publish();
  }

  search(query: string): Conversation[] {
    return this.snapshot.conversations.filter((conversation) => matches(conversation, query));
  }

  isRunning(id: string): boolean {
    return this.running.has(id);
  }

  /** Says `text` under `parent` (undefined: after the last turn shown) and asks for the answer. */
  say(text: string, asking: Asking, parent?: string): void {
    const now = Date.now();
    const conversation = this.snapshot.current ?? newConversation(now);
    if (this.running.has(conversation.id)) return;
    const [said, turn] = add(conversation, parent ?? shown(conversation).at(-1)?.turn.id ?? '', 'user', text, now);
    this.currentId = said.id;
    void this.answer(said.title ? said : { ...said, title: titleFrom(text) }, turn, asking);
  }

  /** Another answer to the same message; the earlier one stays, one step back. A failed one is replaced. */
  again(turn: Turn, asking: Asking): void {
    const conversation = this.snapshot.current;
    const question = conversation?.turns[turn.parent];
    if (!conversation || !question || this.running.has(conversation.id)) return;
    const kept = turn.state === 'failed' && !turn.text ? without(conversation, turn.id) : conversation;
    void this.answer(kept, question, asking);
  }

  /** Goes on with the older messages left out, now and whenever they no longer fit. */
  forget(turn: Turn, asking: Asking): void {
    const conversation = this.snapshot.current;
    if (!conversation) return;
    this.keep({ ...conversation, forgets: true });
    this.again(turn, asking);
  }

  stop(): void {
    this.running.get(this.currentId)?.abort();
  }

  choose(turn: Turn): void {
    if (this.snapshot.current) this.keep(choose(this.snapshot.current, turn), true);
  }

  rename(id: string, title: string): void {
    const conversation = this.conversations.get(id);
    if (conversation && title.trim()) this.keep({ ...conversation, title: title.trim().slice(0, 200) }, true);
  }

  remove(id: string): void {
    this.running.get(id)?.abort();
    this.conversations.delete(id);
    void this.storage.remove(id).then(() => this.channel.postMessage(id));
    this.publish();
  }

  clear(): void {
    for (const controller of this.running.values()) controller.abort();
    this.conversations.clear();
    void this.storage.clear().then(() => this.channel.postMessage(''));
    this.publish();
  }

  /** Imported conversations replace those of the same id. */
  take(conversations: Conversation[]): void {
    for (const conversation of conversations) this.keep(conversation, true);
  }

  private async answer(conversation: Conversation, question: Turn, asking: Asking): Promise<void> {
    const [grown, turn] = add(conversation, question.id, 'assistant', '', Date.now());
    const id = grown.id;
    const controller = new AbortController();
    this.running.set(id, controller);
    this.keep(grown, true);

    const sent = performance.now();
    let first = 0;
    let last = 0;
    let text = '';
    let frame = 0;
    let saved = sent;
    const update = (difference: Partial<Turn>, save = false): void => {
      const now = this.conversations.get(id);
      if (now) this.keep(change(now, turn.id, difference), save); // gone: deleted meanwhile
    };
    const onText = (piece: string): void => {
      last = performance.now();
      first ||= last;
      text += piece;
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        const save = last - saved > SAVE_EVERY;
        if (save) saved = last;
        update({ text }, save);
      });
    };

    let ending: Partial<Turn>;
    let { model } = asking;
    try {
      model ||= (await fetchModels())[0]?.id ?? '';
      const line = upTo(grown, question);
      const done = await this.fitting(grown, line, { ...asking, model }, controller.signal, onText, (leftOut) => update({ leftOut }));
      ending = { state: 'done', finish: done.finish, model: done.model ?? model };
      if (done.promptTokens !== undefined) ending.promptTokens = done.promptTokens;
      if (done.tokens !== undefined) ending.tokens = done.tokens;
    } catch (error) {
      if (controller.signal.aborted) ending = { state: 'stopped', model };
      else if (error instanceof ApiError) ending = { state: 'failed', failure: error.failure };
      else ending = { state: 'failed', failure: { kind: 'broken', message: String(error) } };
    }
    cancelAnimationFrame(frame);
    this.running.delete(id);
    if (first) Object.assign(ending, { waited: (first - sent) / 1000, wrote: (last - first) / 1000 });
    update({ ...ending, text }, true);
  }

  /** Sends the line; when it is too long and the conversation forgets, sends it again without its oldest exchange. */
  private async fitting(
    conversation: Conversation,
    line: Turn[],
    asking: Asking,
    signal: AbortSignal,
    onText: (piece: string) => void,
    onLeftOut: (count: number) => void,
  ): ReturnType<typeof streamAnswer> {
    for (let from = 0; ; ) {
      try {
        return await streamAnswer(asking.model, messages(line.slice(from), asking.sampling.system), asking.sampling, signal, onText);
      } catch (error) {
        const tooLong = error instanceof ApiError && error.failure.kind === 'too_long';
        const next = from + Math.max(1, Math.floor((line.length - from) / 4));
        const user = line.findIndex((turn, index) => index >= next && turn.role === 'user');
        if (tooLong && user < 0) throw new ApiError({ ...error.failure, alone: true });
        if (!tooLong || !conversation.forgets) throw error;
        from = user;
        onLeftOut(from);
      }
    }
  }

  private keep(conversation: Conversation, save = false): void {
    this.conversations.set(conversation.id, conversation);
    if (save) {
      const saving = this.storage.put(conversation).then(() => this.channel.postMessage(conversation.id));
      saving.catch(() => this.publish((this.storage.lasting = false)));
    }
    this.publish();
  }

  /** Another window changed a conversation ('' means all of them went). */
  private async reload(id: string): Promise<void> {
    if (this.running.has(id)) return;
    if (id === '') this.conversations.clear();
    const kept = id && (await this.storage.get(id));
    if (kept) this.conversations.set(id, kept);
    else this.conversations.delete(id);
    this.publish();
  }

  private publish(lasting = this.storage.lasting): void {
    const conversations = [...this.conversations.values()].sort((a, b) => b.updated - a.updated);
    this.snapshot = { conversations, current: this.conversations.get(this.currentId) ?? null, lasting };
    for (const listener of this.listeners) listener();
  }
}

/** An answer that was being written when the page went away was stopped. */
function settled(conversation: Conversation): Conversation {
  let settled = conversation;
  for (const turn of Object.values(conversation.turns)) {
    if (turn.state === 'writing') settled = change(settled, turn.id, { state: 'stopped' });
  }
  return settled;
}

function without(conversation: Conversation, id: string): Conversation {
  const { [id]: _gone, ...turns } = conversation.turns;
  return { ...conversation, turns };
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
