/** Conversations as a file, out and in. What comes in was written by others: every field is checked and copied by name. */

import { newId } from './tree';
import type { Conversation, Sampling, ToolCall, Turn } from './types';

const FORMAT = 'creuset.conversations';

export function toFile(conversations: Conversation[]): Blob {
  const content = { format: FORMAT, version: 1, exported: new Date().toISOString(), conversations };
  return new Blob([JSON.stringify(content, null, 2) + '\n'], { type: 'application/json' });
}

/** Throws when the text is not such a file; conversations that cannot be read are left out and counted. */
export function fromFile(text: string): { conversations: Conversation[]; skipped: number } {
  const content = record(JSON.parse(text));
  if (content?.format !== FORMAT || !Array.isArray(content.conversations)) throw new Error('not an export of this page');
  const read = content.conversations.map(conversationFrom);
  const conversations = read.filter((conversation) => conversation !== null);
  return { conversations, skipped: read.length - conversations.length };
}

function record(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const number = (value: unknown): number | undefined => (typeof value === 'number' && Number.isFinite(value) ? value : undefined);

function conversationFrom(value: unknown): Conversation | null {
  const source = record(value);
  const turns = record(source?.turns);
  if (!source || !turns) return null;
  const kept: Record<string, Turn> = {};
  for (const item of Object.values(turns)) {
    const turn = turnFrom(item);
    if (turn) kept[turn.id] = turn;
  }
  if (Object.keys(kept).length === 0) return null;
  const chosen: Record<string, string> = {};
  for (const [parent, child] of Object.entries(record(source.chosen) ?? {})) {
    if (typeof child === 'string' && child in kept) chosen[parent] = child;
  }
  const created = number(source.created) ?? Date.now();
  return {
    id: text(source.id) || newId(),
    title: text(source.title).slice(0, 200),
    created,
    updated: number(source.updated) ?? created,
    turns: kept,
    chosen,
    ...(number(source.titled) !== undefined ? { titled: Math.min(number(source.titled) ?? 0, Date.now()) } : {}),
    ...(source.forgets === true ? { forgets: true } : {}),
  };
}

function turnFrom(value: unknown): Turn | null {
  const source = record(value);
  if (!source || !text(source.id) || typeof source.text !== 'string') return null;
  if (source.role !== 'user' && source.role !== 'assistant') return null;
  const turn: Turn = {
    id: text(source.id),
    parent: text(source.parent),
    role: source.role,
    text: source.text,
    at: number(source.at) ?? 0,
    state: source.state === 'stopped' ? 'stopped' : 'done',
  };
  const figures = { promptTokens: number(source.promptTokens), tokens: number(source.tokens), waited: number(source.waited), wrote: number(source.wrote), leftOut: number(source.leftOut) };
  for (const [name, figure] of Object.entries(figures)) if (figure !== undefined) Object.assign(turn, { [name]: figure });
  for (const name of ['finish', 'model', 'thought', 'sha256', 'fingerprint'] as const) if (text(source[name])) turn[name] = text(source[name]);
  if (source.cut === true) turn.cut = true;
  const changed = number(source.changed);
  if (changed !== undefined) turn.changed = Math.min(changed, Date.now()); // a date to come would win for ever
  const calls = Array.isArray(source.calls) ? source.calls.map(record).filter((call) => call !== null) : [];
  if (calls.length > 0) turn.calls = calls.map((call): ToolCall => ({ id: text(call.id), name: text(call.name), arguments: text(call.arguments) }));
  const sampling = record(source.sampling);
  if (sampling) turn.sampling = samplingFrom(sampling);
  return turn;
}

function samplingFrom(source: Record<string, unknown>): Sampling {
  const figure = (name: string): number | null => number(source[name]) ?? null;
  return { system: text(source.system), temperature: figure('temperature'), topP: figure('topP'), maxTokens: figure('maxTokens'), seed: figure('seed') };
}
