/** The API as this page uses it. Everything that goes wrong becomes an `ApiError` holding a `Failure`. */

import type { Failure, FailureKind, Message, Sampling } from '../chat/types';
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
}

const KEY = 'creuset.key';
export const readKey = (): string => sessionStorage.getItem(KEY) ?? '';
export const writeKey = (key: string): void =>
  key ? sessionStorage.setItem(KEY, key) : sessionStorage.removeItem(KEY);

function headers(): Record<string, string> {
  const key = readKey();
  return key ? { Authorization: `Bearer ${key}` } : {};
}

async function call(url: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { ...init, headers: { ...headers(), ...init.headers }, cache: 'no-store', credentials: 'omit', redirect: 'error' });
  } catch (error) {
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
  const list = (await (await call('/v1/models', {})).json()) as { data?: ListedModel[] };
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
    const response = await fetch(id ? `/health?model=${encodeURIComponent(id)}` : '/health', { signal, cache: 'no-store', credentials: 'omit' });
    const body = (await response.json().catch(() => null)) as { engines?: { state?: string; upstream?: boolean }[] } | null;
    const engine = body?.engines?.[0];
    if (!response.ok) return id && engine?.upstream ? 'down' : 'starting';
    if (id && engine?.state === 'unloaded') return 'unloaded';
    return id && engine?.state === 'starting' ? 'loading' : 'ready';
  } catch {
    return 'away';
  }
}

/** One answer, piece by piece through `onText`. Resolves when the stream ended as it should. */
export async function streamAnswer(
  model: string,
  messages: Message[],
  sampling: Sampling,
  signal: AbortSignal,
  onText: (piece: string) => void,
): Promise<Answer> {
  const body: Record<string, unknown> = { model, messages, stream: true, stream_options: { include_usage: true } };
  if (sampling.temperature !== null) body.temperature = sampling.temperature;
  if (sampling.topP !== null) body.top_p = sampling.topP;
  if (sampling.maxTokens !== null) body.max_tokens = sampling.maxTokens;
  if (sampling.seed !== null) body.seed = sampling.seed;
  const response = await call('/v1/chat/completions', {
    method: 'POST',
    signal,
    headers: { 'Content-Type': 'application/json', Accept: 'text/event-stream' },
    body: JSON.stringify(body),
  });
  const answer: Answer = { finish: '' };
  try {
    if (response.body) for await (const data of events(response.body)) {
      if (data === '[DONE]') break;
      readChunk(JSON.parse(data) as Chunk, answer, onText);
    }
  } catch (error) {
    if (signal.aborted || error instanceof ApiError) throw error;
    throw new ApiError({ kind: 'broken', message: '' });
  }
  if (!answer.finish) throw new ApiError({ kind: 'broken', message: '' });
  return answer;
}

interface Chunk {
  model?: string;
  choices?: { delta?: { content?: string | null }; finish_reason?: string | null }[];
  usage?: { prompt_tokens: number; completion_tokens: number } | null;
  error?: ErrorObject;
}

function readChunk(chunk: Chunk, answer: Answer, onText: (piece: string) => void): void {
  if (chunk.error) {
    const failure = failureFrom(chunk.error, 500);
    throw new ApiError(failure);
  }
  if (chunk.model) answer.model = chunk.model;
  if (chunk.usage) {
    answer.promptTokens = chunk.usage.prompt_tokens;
    answer.tokens = chunk.usage.completion_tokens;
  }
  const choice = chunk.choices?.[0];
  if (choice?.delta?.content) onText(choice.delta.content);
  if (choice?.finish_reason) answer.finish = choice.finish_reason;
}
