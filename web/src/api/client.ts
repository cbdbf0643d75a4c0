/** The API as this page uses it. Everything that goes wrong becomes an `ApiError` holding a `Failure`. */

import { recall, remember } from '../chat/memory';
import type { Failure, FailureKind, Message, Sampling, ToolCall } from '../chat/types';
import { events } from './sse';

export class ApiError extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}

/** GET /v1/creuset/model; another server's /v1/models gives the name only. */
export interface ModelInfo {
  name: string;
  parameters?: number | null;
  active_parameters?: number | null;
  sha256?: string;
  context?: number | null;
  size_bytes?: number;
  languages?: string[];
  license?: string | null;
  /** Its name at another server, which answers for it. */
  upstream?: string;
  sampling_defaults?: { temperature?: number; top_p?: number };
  /** Markdown. */
  card?: string;
  /** Of a model that others made: what is known of where it is from, and what is not, by language. */
  origin?: { known: Record<string, string[]>; unknown: Record<string, string[]> } | null;
}

/** One model of GET /v1/models. */
export interface ListedModel {
  id: string;
  /** Set where `id` is a second name of the model. */
  alias_of?: string | null;
  state?: string;
  parameters?: number | null;
  max_model_len?: number | null;
  upstream?: boolean;
}

export interface Answer {
  finish: string;
  model?: string;
  promptTokens?: number;
  tokens?: number;
  fingerprint?: string;
}

/** What a part of the stream brings. */
export interface Piece {
  text?: string;
  thought?: string;
  calls?: CallPiece[];
}

interface CallPiece {
  index?: number;
  id?: string;
  function?: { name?: string; arguments?: string };
}

/** Calls come in parts: the name first, then the arguments piece by piece. */
export function grown(calls: ToolCall[], parts: CallPiece[]): ToolCall[] {
  const made = [...calls];
  for (const part of parts) {
    const at = part.index ?? made.length;
    const before = made[at] ?? { id: '', name: '', arguments: '' };
    made[at] = {
      id: part.id || before.id,
      name: before.name + (part.function?.name ?? ''),
      arguments: before.arguments + (part.function?.arguments ?? ''),
    };
  }
  return made.filter(Boolean);
}

const HEALTH_WAIT = 10_000; // milliseconds: for what is answered without a model

export const readKey = (): string => recall('key');
export const writeKey = (key: string): void => remember('key', key);

function headers(): Record<string, string> {
  const key = readKey();
  return key ? { Authorization: `Bearer ${key}` } : {};
}

async function call(url: string, init: RequestInit): Promise<Response> {
  const all = { ...headers(), ...init.headers };
  let response: Response;
  try {
    response = await fetch(url, { ...init, headers: all, cache: 'no-store', credentials: 'omit', redirect: 'error' });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'TimeoutError') throw new ApiError({ kind: 'silent', message: '' });
    if (init.signal?.aborted) throw error;
    throw new ApiError({ kind: 'network', message: '' });
  }
  if (response.ok) return response;
  throw new ApiError(await failureOf(response));
}

async function failureOf(response: Response): Promise<Failure> {
  const body = await response.json().catch(() => null);
  const failure = failureFrom(body?.error, response.status);
  const wait = Number(response.headers.get('retry-after'));
  return wait > 0 ? { ...failure, wait } : failure;
}

interface ErrorObject {
  message?: unknown;
  code?: unknown;
  type?: unknown;
}

function failureFrom(error: ErrorObject | undefined, status: number): Failure {
  const message = typeof error?.message === 'string' ? error.message : '';
  let kind: FailureKind = 'refused';
  if (error?.code === 'context_length_exceeded') kind = 'too_long';
  else if (status === 401 || status === 403) kind = 'key';
  else if (status === 429) kind = 'busy';
  else if (status >= 500) kind = 'engine';
  return { kind, message };
}

/** The models that can be asked, each under its first name. */
export async function fetchModels(): Promise<ListedModel[]> {
  const list = (await (await call('/v1/models', { signal: AbortSignal.timeout(HEALTH_WAIT) })).json()) as { data?: ListedModel[] };
  return (list.data ?? []).filter((model) => !model.alias_of);
}

/** What is known of one of them. */
export async function fetchModel(id: string): Promise<ModelInfo> {
  try {
    return (await (await call(`/v1/creuset/model?model=${encodeURIComponent(id)}`, {})).json()) as ModelInfo;
  } catch (error) {
    if (!(error instanceof ApiError) || error.failure.kind !== 'refused') throw error;
    return { name: id };
  }
}

/** `unloaded`: the model is loaded when it is asked; `loading`: whoever asks now waits for that; `down`: another server's. */
export type Health = 'ready' | 'unloaded' | 'loading' | 'starting' | 'down' | 'away';

/** How the model `id` is; how the whole server is, for none. */
export async function fetchHealth(id: string, signal: AbortSignal): Promise<Health> {
  try {
    const ended = AbortSignal.any([signal, AbortSignal.timeout(HEALTH_WAIT)]);
    const response = await fetch(id ? `/health?model=${encodeURIComponent(id)}` : '/health', { signal: ended, cache: 'no-store', credentials: 'omit' });
    const body = (await response.json().catch(() => null)) as { engines?: { state?: string; upstream?: boolean }[] } | null;
    const engine = body?.engines?.[0];
    if (!response.ok) return id && engine?.upstream ? 'down' : 'starting';
    if (id && engine?.state === 'unloaded') return 'unloaded';
    return id && engine?.state === 'starting' ? 'loading' : 'ready';
  } catch {
    return 'away';
  }
}

/** A server that works says something this often, if only a heartbeat (creuset: every 10 s). In milliseconds. */
export const QUIET = 30_000;
export const SILENT = 120_000;

/** Ends what waits when nothing was heard for too long. */
class Watch {
  private controller = new AbortController();
  private timers: number[] = [];
  silent = false;
  readonly signal: AbortSignal;

  constructor(outer: AbortSignal, private onQuiet: (quiet: boolean) => void) {
    this.signal = AbortSignal.any([outer, this.controller.signal]);
    this.heard();
  }

  heard(): void {
    if (this.timers.length > 0) this.end();
    this.timers = [
      window.setTimeout(() => this.onQuiet(true), QUIET),
      window.setTimeout(() => {
        this.silent = true;
        this.controller.abort();
      }, SILENT),
    ];
  }

  end(): void {
    this.timers.forEach(clearTimeout);
    this.timers = [];
    this.onQuiet(false);
  }
}

export interface Request {
  model: string;
  messages: Message[];
  sampling: Sampling;
  /** The last message is the beginning of the answer. */
  continues?: boolean;
}

/** One answer, piece by piece through `onPiece`. Resolves when the stream ended as it should.
 *  `onQuiet(true)`: nothing came for `QUIET`; the stream is given up after `SILENT`. */
export async function streamAnswer(
  { model, messages, sampling, continues }: Request,
  signal: AbortSignal,
  onPiece: (piece: Piece) => void,
  onQuiet: (quiet: boolean) => void,
): Promise<Answer> {
  const body: Record<string, unknown> = { model, messages, stream: true, stream_options: { include_usage: true } };
  if (sampling.temperature !== null) body.temperature = sampling.temperature;
  if (sampling.topP !== null) body.top_p = sampling.topP;
  if (sampling.maxTokens !== null) body.max_tokens = sampling.maxTokens;
  if (sampling.seed !== null) body.seed = sampling.seed;
  if (continues) Object.assign(body, { continue_final_message: true, add_generation_prompt: false });
  const answer: Answer = { finish: '' };
  const watch = new Watch(signal, onQuiet);
  try {
    const response = await call('/v1/chat/completions', {
      method: 'POST',
      signal: watch.signal,
      headers: { 'Content-Type': 'application/json', Accept: 'text/event-stream' },
      body: JSON.stringify(body),
    });
    watch.heard();
    if (response.body) for await (const data of events(response.body, () => watch.heard())) {
      if (data === '[DONE]') break;
      readChunk(JSON.parse(data) as Chunk, answer, onPiece);
    }
  } catch (error) {
    if (watch.silent) throw new ApiError({ kind: 'silent', message: '' });
    if (signal.aborted || error instanceof ApiError) throw error;
    throw new ApiError({ kind: 'broken', message: '' });
  } finally {
    watch.end();
  }
  if (!answer.finish) throw new ApiError({ kind: 'broken', message: '' });
  return answer;
}

interface Delta {
  content?: string | null;
  /** vLLM and creuset, and the name that others give it. */
  reasoning_content?: string | null;
  reasoning?: string | null;
  tool_calls?: CallPiece[] | null;
}

interface Chunk {
  model?: string;
  system_fingerprint?: string | null;
  choices?: { delta?: Delta; finish_reason?: string | null }[];
  usage?: { prompt_tokens: number; completion_tokens: number } | null;
  error?: ErrorObject;
}

function readChunk(chunk: Chunk, answer: Answer, onPiece: (piece: Piece) => void): void {
  if (chunk.error) {
    const failure = failureFrom(chunk.error, 500);
    throw new ApiError(failure);
  }
  if (chunk.model) answer.model = chunk.model;
  if (chunk.system_fingerprint) answer.fingerprint = chunk.system_fingerprint;
  if (chunk.usage) {
    answer.promptTokens = chunk.usage.prompt_tokens;
    answer.tokens = chunk.usage.completion_tokens;
  }
  const choice = chunk.choices?.[0];
  const delta = choice?.delta;
  const piece: Piece = {};
  const thought = delta?.reasoning_content || delta?.reasoning;
  if (delta?.content) piece.text = delta.content;
  if (thought) piece.thought = thought;
  if (delta?.tool_calls?.length) piece.calls = delta.tool_calls;
  if (piece.text || piece.thought || piece.calls) onPiece(piece);
  if (choice?.finish_reason) answer.finish = choice.finish_reason;
}
