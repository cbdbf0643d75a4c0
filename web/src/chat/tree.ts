/** Pure functions over the tree of turns; every one returns a new conversation and changes nothing. */

import type { Conversation, Role, Turn } from './types';

export const newId = (): string => crypto.randomUUID();

export function newConversation(now: number): Conversation {
  return { id: newId(), title: '', created: now, updated: now, turns: {}, chosen: {} };
}

export function children(conversation: Conversation, parent: string): Turn[] {
  return Object.values(conversation.turns)
    .filter((turn) => turn.parent === parent)
    .sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));
}

/** The turns on screen, from the first to the last. */
export function path(conversation: Conversation): Turn[] {
  const shown: Turn[] = [];
  const seen = new Set<string>(); // an imported file may hold a loop
  for (let parent = ''; ; ) {
    const options = children(conversation, parent);
    const turn = options.find((option) => option.id === conversation.chosen[parent]) ?? options.at(-1);
    if (!turn || seen.has(turn.id)) return shown;
    seen.add(turn.id);
    shown.push(turn);
    parent = turn.id;
  }
}

export function add(conversation: Conversation, parent: string, role: Role, text: string, now: number): [Conversation, Turn] {
  const last = children(conversation, parent).at(-1);
  const at = last ? Math.max(now, last.at + 1) : now; // siblings keep the order in which they were made
  const turn: Turn = { id: newId(), parent, role, text, at, state: role === 'user' ? 'done' : 'writing' };
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
  return { ...conversation, turns: { ...conversation.turns, [id]: { ...turn, ...difference } } };
}

export function choose(conversation: Conversation, turn: Turn): Conversation {
  return { ...conversation, chosen: { ...conversation.chosen, [turn.parent]: turn.id } };
}

export function titleFrom(text: string): string {
  const line = text.trim().split('\n', 1)[0] ?? '';
  return line.length <= 60 ? line : line.slice(0, 57).trimEnd() + '…';
}

/** Does `query` occur in the title or in any message? Case and accents do not count. */
export function matches(conversation: Conversation, query: string): boolean {
  const wanted = fold(query.trim());
  if (!wanted) return true;
  if (fold(conversation.title).includes(wanted)) return true;
  return Object.values(conversation.turns).some((turn) => fold(turn.text).includes(wanted));
}

function fold(text: string): string {
  return text.normalize('NFD').replace(/\p{Diacritic}/gu, '').toLowerCase();
}
