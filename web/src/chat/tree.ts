/** Pure functions over the tree of turns; every one returns a new conversation and changes nothing. */

import type { Conversation, Role, Turn } from './types';

/** 128 random bits. `crypto.randomUUID` would be shorter, but browsers keep it from pages that come over plain http. */
export function newId(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

export function newConversation(now: number): Conversation {
  return { id: newId(), title: '', created: now, updated: now, turns: {}, chosen: {} };
}

/** A turn on screen, and all the versions it is one of, in the order in which they were made. */
export interface Shown {
  turn: Turn;
  versions: Turn[];
}

const byAge = (a: Turn, b: Turn): number => a.at - b.at || (a.id < b.id ? -1 : 1);

function grouped(turns: Turn[]): Map<string, Turn[]> {
  const under = new Map<string, Turn[]>();
  for (const turn of turns) {
    const versions = under.get(turn.parent);
    if (versions) versions.push(turn);
    else under.set(turn.parent, [turn]);
  }
  return under;
}

/** What can be seen, from the first turn to the last. */
export function shown(conversation: Conversation): Shown[] {
  const under = grouped(Object.values(conversation.turns));
  const line: Shown[] = [];
  const seen = new Set<string>(); // an imported file may hold a loop
  for (let parent = ''; ; ) {
    const versions = (under.get(parent) ?? []).sort(byAge);
    const turn = versions.find((version) => version.id === conversation.chosen[parent]) ?? versions.at(-1);
    if (!turn || seen.has(turn.id)) return line;
    seen.add(turn.id);
    line.push({ turn, versions });
    parent = turn.id;
  }
}

export function add(conversation: Conversation, parent: string, role: Role, text: string, now: number): [Conversation, Turn] {
  const versions = Object.values(conversation.turns).filter((turn) => turn.parent === parent);
  const at = Math.max(now, ...versions.map((version) => version.at + 1)); // versions keep the order in which they were made
  const turn: Turn = { id: newId(), parent, role, text, at, changed: now, state: role === 'user' ? 'done' : 'writing' };
  const grown = {
    ...conversation,
    updated: now,
    turns: { ...conversation.turns, [turn.id]: turn },
    chosen: { ...conversation.chosen, [parent]: turn.id },
  };
  return [grown, turn];
}

export function change(conversation: Conversation, id: string, difference: Partial<Turn>): Conversation {
  const turn = conversation.turns[id];
  if (!turn) return conversation;
  const changed = Math.max(Date.now(), (turn.changed ?? turn.at) + 1);
  return { ...conversation, turns: { ...conversation.turns, [id]: { ...turn, changed, ...difference } } };
}

export function choose(conversation: Conversation, turn: Turn): Conversation {
  return { ...conversation, chosen: { ...conversation.chosen, [turn.parent]: turn.id } };
}

export function titleFrom(text: string): string {
  const line = text.trim().split('\n', 1)[0] ?? '';
  return line.length <= 60 ? line : line.slice(0, 57).trimEnd() + '…';
}

const folded = new WeakMap<Conversation, string>(); // a search looks through all at each letter

/** Does `query` occur in the title or in any message? Case and accents do not count. */
export function matches(conversation: Conversation, query: string): boolean {
  let text = folded.get(conversation);
  if (text === undefined) {
    text = fold([conversation.title, ...Object.values(conversation.turns).map((turn) => turn.text)].join('\0'));
    folded.set(conversation, text);
  }
  return text.includes(fold(query.trim()));
}

function fold(text: string): string {
  return text.normalize('NFD').replace(/\p{Diacritic}/gu, '').toLowerCase();
}
