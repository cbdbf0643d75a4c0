/** What the browser keeps. A conversation is a tree of turns: editing a message or asking again adds a sibling,
 *  and `chosen` says which child is shown under each turn ('' stands for the root). */

export type Role = 'user' | 'assistant';

export type FailureKind =
  | 'network' // no answer at all
  | 'engine' // 5xx: loading, restarting, overloaded
  | 'broken' // the stream ended before the answer did
  | 'silent' // the stream is open and brings nothing any more
  | 'too_long' // the conversation does not fit the model's context
  | 'busy' // 429
  | 'key' // 401 or 403
  | 'refused'; // the server said no, in its own words

export interface Failure {
  kind: FailureKind;
  message: string;
  /** The last message is too long by itself: there is nothing older to leave out. */
  alone?: boolean;
  /** Seconds the server asks us to wait. */
  wait?: number;
}

/** A tool that the model asks for. Nothing here runs it. */
export interface ToolCall {
  id: string;
  name: string;
  /** JSON, as the model wrote it. */
  arguments: string;
}

export interface Turn {
  id: string;
  parent: string;
  role: Role;
  text: string;
  /** What the model thought before it answered. */
  thought?: string;
  calls?: ToolCall[];
  at: number;
  /** When it was last changed: of two versions of one turn, the later counts. */
  changed?: number;
  state: 'writing' | 'done' | 'stopped' | 'failed';
  finish?: string;
  failure?: Failure;
  /** The page went away (reload, closed, crash) before the answer was complete. */
  cut?: boolean;
  model?: string;
  /** Who answered: the hash of the model, and the server's own `system_fingerprint`. */
  sha256?: string;
  fingerprint?: string;
  /** What was sent with the question. */
  sampling?: Sampling;
  promptTokens?: number;
  tokens?: number;
  /** From sending to the first piece of text, and from there to the last, in seconds. */
  waited?: number;
  wrote?: number;
  /** How many older messages were not sent because they no longer fit. */
  leftOut?: number;
}

export interface Conversation {
  id: string;
  title: string;
  /** When a person gave it its title. */
  titled?: number;
  created: number;
  updated: number;
  turns: Record<string, Turn>;
  chosen: Record<string, string>;
  /** The person agreed that older messages are left out when they no longer fit. */
  forgets?: boolean;
}

/** null means: whatever the model's own default is. */
export interface Sampling {
  system: string;
  temperature: number | null;
  topP: number | null;
  maxTokens: number | null;
  seed: number | null;
}

export interface Message {
  role: 'system' | Role;
  content: string;
}
