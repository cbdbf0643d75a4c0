import { useState } from 'react';
import { recall, remember } from '../chat/memory';

/** A text that is being written under `name`: it is there again after a reload, and waits where one comes back to it. */
export function useDraft(name: string, otherwise = ''): [string, (text: string) => void] {
  const key = `draft.${name}`;
  const [held, hold] = useState({ key, text: recall(key) || otherwise });
  const now = held.key === key ? held : { key, text: recall(key) || otherwise };
  if (now !== held) hold(now);
  const write = (text: string): void => {
    remember(key, text === otherwise ? '' : text);
    hold({ key, text });
  };
  return [now.text, write];
}
