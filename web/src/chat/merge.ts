/** Two states of one conversation become one in which nothing is lost: other windows write too, and files may be old. */

import type { Conversation, Turn } from './types';

const changed = (turn: Turn): number => turn.changed ?? turn.at;

/** Every turn of both; of a turn that both have, the later one. Where nothing tells which is later, `b` counts. */
export function merge(a: Conversation, b: Conversation): Conversation {
  const turns = { ...a.turns };
  for (const turn of Object.values(b.turns)) {
    const other = turns[turn.id];
    if (!other || changed(turn) >= changed(other)) turns[turn.id] = turn;
  }
  const titled = (a.titled ?? 0) > (b.titled ?? 0) || !b.title ? a : b;
  const merged: Conversation = {
    id: b.id,
    title: titled.title,
    created: Math.min(a.created, b.created),
    updated: Math.max(a.updated, b.updated),
    turns,
    chosen: { ...a.chosen, ...b.chosen },
  };
  if (titled.titled !== undefined) merged.titled = titled.titled;
  if (a.forgets || b.forgets) merged.forgets = true;
  return merged;
}
