/** All conversations of this window. The only writer of them here; React reads snapshots.
 *
 *  Other windows write too: what they did is merged in, and what is deleted there is dropped here.
 */

import { fetchModels } from '../api/client';
import { answering, type Work } from './answering';
import { merge } from './merge';
import { type Aside, claim, claimed, setAside, sweep, takeBack } from './rescue';
import type { Storage } from './storage';
import { add, change, choose, matches, newConversation, shown, titleFrom } from './tree';
import type { Conversation, Sampling, Turn } from './types';
import { openWindows } from './windows';

export interface Snapshot {
  /** The most recently used first. Titles and dates are current; the turns of an answer under way are in `current`. */
  conversations: Conversation[];
  current: Conversation | null;
  lasting: boolean;
  /** The server has said nothing for a while, though an answer of the current conversation is waited for. */
  quiet: boolean;
}

export interface Asking {
  /** '' while the page does not know it yet. */
  model: string;
  /** The hash of that model, where it is known. */
  sha256?: string | undefined;
  sampling: Sampling;
}

const SAVE_EVERY = 1000; // milliseconds: what a crash in the middle of an answer may lose

export class Store {
  private conversations = new Map<string, Conversation>();
  private currentId = '';
  private running = new Map<string, Work>(); // by conversation
  private chosen = new Map<string, Record<string, string>>(); // versions that were chosen in this window
  private quiet = new Set<string>();
/** Answers that ended and whose end is not in the database yet. */
  private unsaved = new Map<string, Aside>();
  private leaving = false; // the browser now cuts the answers: they did not fail, and are gone on with
  private listeners = new Set<() => void>();
  private snapshot: Snapshot;
  private windows = openWindows((id) => void this.reload(id), () => this.forgetAll(), () => [...this.running.values()].map((work) => work.turn));

  private constructor(private storage: Storage) {
    this.snapshot = { conversations: [], current: null, lasting: storage.lasting, quiet: false };
  }

  static async open(storage: Storage): Promise<Store> {
    const store = new Store(storage);
    for (const kept of await storage.all()) store.conversations.set(kept.id, kept);
    store.publish(true);
    addEventListener('pagehide', () => store.leave());
    addEventListener('pageshow', (event) => event.persisted && void store.refresh());
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

  all(): Conversation[] {
    return [...this.conversations.values()];
  }

  find(query: string): Set<string> {
    return new Set(this.all().filter((conversation) => matches(conversation, query)).map(({ id }) => id));
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
    this.choosing(said.id, turn);
    this.begin(said.title ? said : { ...said, title: titleFrom(text) }, turn, asking);
  }

  /** Another answer to the same message; the earlier one stays, one step back. A failed one is tried again in its place. */
  again(turn: Turn, asking: Asking): void {
    const conversation = this.snapshot.current;
    const question = conversation?.turns[turn.parent];
    if (!conversation || !question || this.running.has(conversation.id)) return;
    const empty = turn.state === 'failed' && !turn.text && !turn.thought && !turn.calls;
    this.begin(conversation, question, asking, empty ? turn : undefined);
  }

  /** Goes on with an answer where it ended. */
  goOn(turn: Turn, asking: Asking): void {
    const conversation = this.snapshot.current;
    const question = conversation?.turns[turn.parent];
    if (conversation && question && !this.running.has(conversation.id)) this.begin(conversation, question, asking, turn);
  }

  /** Goes on with the older messages left out, now and whenever they no longer fit. */
  forget(turn: Turn, asking: Asking): void {
    const conversation = this.snapshot.current;
    if (!conversation) return;
    this.keep({ ...conversation, forgets: true });
    this.publish();
    this.again(turn, asking);
  }

  stop(): void {
    this.running.get(this.currentId)?.stop();
  }

  choose(turn: Turn): void {
    if (!this.snapshot.current) return;
    this.choosing(this.snapshot.current.id, turn);
    this.keep(choose(this.snapshot.current, turn), true);
  }

  rename(id: string, title: string): void {
    const conversation = this.conversations.get(id);
    if (conversation && title.trim()) this.keep({ ...conversation, title: title.trim().slice(0, 200), titled: Date.now() }, true);
  }

  remove(id: string): void {
    Object.keys(this.conversations.get(id)?.turns ?? {}).forEach(takeBack);
    this.drop(id);
    void this.storage.remove(id).then(() => this.windows.tellChanged(id));
  }

  clear(): void {
    this.forgetAll();
    sweep(new Set());
    void this.storage.clear().then(() => this.windows.tellCleared());
  }

  /** Imported conversations are added to what is here; they may be older. */
  async take(conversations: Conversation[]): Promise<void> {
    for (const conversation of conversations) {
      this.absorb(await this.storage.take(conversation));
      this.windows.tellChanged(conversation.id);
    }
    this.publish(true);
  }

  /** Goes on with the answers that a reload of this tab cut, and marks those that nobody writes any more as cut. */
  async resume(): Promise<void> {
    const cut = this.all().flatMap((conversation) => Object.values(conversation.turns).filter((turn) => turn.state === 'writing').map((turn) => [conversation.id, turn] as const));
    sweep(new Set(cut.map(([, turn]) => turn.id)));
    if (cut.length === 0) return;
    const ours = claimed();
    const others = await this.windows.writing(cut.map(([, turn]) => turn.id));
    for (const [id, turn] of cut) {
      const conversation = this.conversations.get(id);
      if (!conversation || others.has(turn.id) || this.running.has(id)) continue;
      const aside = takeBack(turn.id);
      const whole = { text: longer(aside.text, turn.text), thought: longer(aside.thought, turn.thought ?? '') };
      const settled = change(conversation, turn.id, { text: whole.text, ...(whole.thought ? { thought: whole.thought } : {}), state: 'stopped', cut: true });
      this.keep(settled, true);
      const question = settled.turns[turn.parent];
      const now = settled.turns[turn.id];
      if (!ours.includes(turn.id) || !question || !now?.sampling || (now.text && !now.model) || now.calls || (now.thought && !now.text)) continue;
      this.begin(settled, question, { model: now.model ?? '', sha256: now.sha256, sampling: now.sampling }, now.text ? now : { ...now, state: 'failed' }, true);
    }
  }

  /** `turn`: the answer that is gone on with, or filled; none: a new one. */
  private begin(conversation: Conversation, question: Turn, asking: Asking, turn?: Turn, byItself = false): void {
    const id = conversation.id;
    let grown: Conversation;
    if (turn) {
      const { failure: _failure, cut: _cut, finish: _finish, ...kept } = turn;
      grown = { ...conversation, turns: { ...conversation.turns, [turn.id]: kept } };
    } else {
      [grown, turn] = add(conversation, question.id, 'assistant', '', Date.now());
      this.choosing(id, turn);
    }
    const facts: Partial<Turn> = { state: 'writing', sampling: asking.sampling };
    if (asking.model) facts.model = asking.model;
    if (asking.sha256) facts.sha256 = asking.sha256;
    grown = change(grown, turn.id, facts);
    const one = turn.id;
    let saved = performance.now();
    const work = answering({
      conversation: grown,
      question,
      turn: grown.turns[one] as Turn,
      asking,
      firstModel: async () => (await fetchModels())[0]?.id ?? '',
      onChange: (difference) => {
        const now = this.conversations.get(id);
        if (!now) return; // deleted meanwhile
        const save = Boolean(difference.model) || performance.now() - saved > SAVE_EVERY;
        if (save) saved = performance.now();
        this.keep(change(now, one, difference), save);
      },
      onQuiet: (quiet) => {
        if (quiet === this.quiet.has(id)) return;
        if (quiet) this.quiet.add(id);
        else this.quiet.delete(id);
        this.publish();
      },
      onEnd: (difference) => {
        if (this.leaving) return;
        this.running.delete(id);
        this.quiet.delete(id);
        claim([...this.running.values()].map((other) => other.turn));
        const now = this.conversations.get(id);
        const { failure, ...rest } = difference;
        const unasked = byItself && failure; // nobody asked for this: what is there stays, and is said to be cut
        if (now) {
          const ended = change(now, one, unasked ? { ...rest, state: 'stopped', cut: true } : difference);
          const { text = '', thought = '' } = ended.turns[one] ?? {};
          this.unsaved.set(one, { text, thought });
          void this.keep(ended, true).finally(() => this.unsaved.delete(one));
        }
        this.publish(true);
      },
    });
    this.running.set(id, work);
    claim([...this.running.values()].map((other) => other.turn));
    this.keep(grown, true);
  }

  private keep(conversation: Conversation, save = false): Promise<void> {
    const before = this.conversations.get(conversation.id);
    this.conversations.set(conversation.id, conversation);
    let saving: Promise<void> = Promise.resolve();
    if (save) {
      saving = this.storage
        .put(conversation)
        .then((kept) => (kept ? this.windows.tellChanged(conversation.id) : this.drop(conversation.id)))
        .catch(() => this.publish((this.storage.lasting = false)));
    }
    this.publish(before?.title !== conversation.title || before.updated !== conversation.updated);
    return saving;
  }

  private choosing(id: string, turn: Turn): void {
    this.chosen.set(id, { ...this.chosen.get(id), [turn.parent]: turn.id });
  }

  private drop(id: string): void {
    this.running.get(id)?.stop();
    this.conversations.delete(id);
    this.publish(true);
  }

  private forgetAll(): void {
    for (const work of this.running.values()) work.stop();
    this.conversations.clear();
    this.publish(true);
  }

  /** Another window changed a conversation. */
  private async reload(id: string): Promise<void> {
    if (!this.storage.lasting) return;
    const kept = await this.storage.get(id);
    if (kept) this.absorb(kept);
    else this.drop(id);
    this.publish(true);
  }

  private absorb(kept: Conversation): void {
    const here = this.conversations.get(kept.id);
    const both = here ? merge(kept, here) : kept;
    this.conversations.set(kept.id, { ...both, chosen: { ...both.chosen, ...kept.chosen, ...this.chosen.get(kept.id) } });
  }

  /** The page was asleep in the browser's memory: others may have written meanwhile. */
  private async refresh(): Promise<void> {
    this.leaving = false;
    this.running.clear();
    const kept = await this.storage.all();
    const ids = new Set(kept.map(({ id }) => id));
    for (const id of this.conversations.keys()) if (!ids.has(id) && this.storage.lasting) this.conversations.delete(id);
    kept.forEach((conversation) => this.absorb(conversation));
    this.publish(true);
    void this.resume();
  }

  private leave(): void {
    this.leaving = true;
    for (const [turn, aside] of this.unsaved) if (this.storage.lasting) setAside(turn, aside);
    for (const [id, work] of this.running) {
      if (this.storage.lasting) setAside(work.turn, work.so());
      const conversation = this.conversations.get(id);
      if (conversation) void this.storage.put(conversation).catch(() => undefined);
    }
  }

  /** `listed`: the list of conversations changed, not only what is said in one. */
  private publish(listed = false): void {
    const conversations = listed ? this.all().sort((a, b) => b.updated - a.updated) : this.snapshot.conversations;
    this.snapshot = { conversations, current: this.conversations.get(this.currentId) ?? null, lasting: this.storage.lasting, quiet: this.quiet.has(this.currentId) };
    for (const listener of this.listeners) listener();
  }
}

const longer = (a: string, b: string): string => (a.length > b.length ? a : b);
