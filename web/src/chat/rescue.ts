/** Answers under way when the page goes: their text is set aside at once, for there is no time to write a database. */

import { recall, remember } from './memory';

const PREFIX = 'creuset.cut.';
const MINE = 'answering';

/** This tab writes these answers: after a reload it may go on with them. */
export const claim = (turns: string[]): void => remember(MINE, turns.join(' '));
export const claimed = (): string[] => recall(MINE).split(' ').filter(Boolean);

export interface Aside {
  text: string;
  thought: string;
}

export function setAside(turn: string, aside: Aside): void {
  try {
    localStorage.setItem(PREFIX + turn, JSON.stringify(aside));
  } catch {
    // refused or full: what was last saved remains
  }
}

export function takeBack(turn: string): Aside {
  try {
    const kept = JSON.parse(localStorage.getItem(PREFIX + turn) ?? '{}') as Partial<Aside>;
    localStorage.removeItem(PREFIX + turn);
    return { text: kept.text ?? '', thought: kept.thought ?? '' };
  } catch {
    return { text: '', thought: '' };
  }
}

/** Nothing set aside outlives the conversations: all but the answers in `wanted` is dropped. */
export function sweep(wanted: Set<string>): void {
  try {
    const names = Object.keys(localStorage).filter((name) => name.startsWith(PREFIX));
    for (const name of names) if (!wanted.has(name.slice(PREFIX.length))) localStorage.removeItem(name);
  } catch {
    // refused: nothing was set aside
  }
}
