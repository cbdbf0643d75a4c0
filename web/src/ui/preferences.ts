/** What the person chose, kept in localStorage; the API key is elsewhere (sessionStorage, api/client.ts). */

import { useCallback, useState } from 'react';
import type { Sampling } from '../chat/types';
import { browserLanguage, type Language } from '../words/context';

export type Theme = 'auto' | 'light' | 'dark';

export interface Preferences {
  theme: Theme;
  language: Language;
  sampling: Sampling;
  /** The model to ask; the server's first where it is not served. */
  model: string;
}

export const plainSampling: Sampling = { system: '', temperature: null, topP: null, maxTokens: null, seed: null };

const CHAT_TEMPERATURE = 0.7; // of a model whose makers recommend nothing: drawn from as it is, a small one rambles

/** What is sent: what the person set, and for a model of this server that states no sampling a temperature to chat with. */
export function forChat(sampling: Sampling, stated: { temperature?: number; top_p?: number } | undefined): Sampling {
  const hot = sampling.temperature === null && stated !== undefined && !('temperature' in stated);
  return hot ? { ...sampling, temperature: CHAT_TEMPERATURE } : sampling;
}

const KEY = 'creuset.preferences';

function read(): Preferences {
  const chosen: Preferences = { theme: 'auto', language: browserLanguage(), sampling: plainSampling, model: '' };
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? '{}');
    if (kept.theme === 'light' || kept.theme === 'dark') chosen.theme = kept.theme;
    if (kept.language === 'en' || kept.language === 'fr') chosen.language = kept.language;
    if (typeof kept.model === 'string') chosen.model = kept.model;
    if (typeof kept.sampling === 'object') chosen.sampling = { ...plainSampling, ...kept.sampling };
  } catch {
    // unreadable or forbidden: begin with the defaults
  }
  return chosen;
}

function write(preferences: Partial<Preferences>): void {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? '{}');
    localStorage.setItem(KEY, JSON.stringify({ ...kept, ...preferences }));
  } catch {
    // nothing is kept where the browser forbids it
  }
}

export function usePreferences(): [Preferences, (difference: Partial<Preferences>) => void] {
  const [preferences, set] = useState(read);
  const update = useCallback((difference: Partial<Preferences>) => {
    write(difference); // only what was chosen: the language goes on following the browser until someone picks one
    set((now) => ({ ...now, ...difference }));
  }, []);
  return [preferences, update];
}
