import { useEffect, useRef, useState } from 'react';
import type { Turn } from '../chat/types';
import { useWords } from '../words/context';

const EVERY = 1500; // milliseconds between announcements: words one by one would drown each other

/** Reads an answer out to screen readers, whole sentences at a time, while it is being written. */
export function Spoken({ turn }: { turn: Turn | undefined }) {
  const words = useWords();
  const [said, setSaid] = useState('');
  const place = useRef({ id: '', read: 0, next: 0 });
  const answer = turn?.role === 'assistant' ? turn : undefined;
  const { id = '', text = '', state = 'done' } = answer ?? {};
  useEffect(() => {
    const now = place.current;
    if (state === 'writing' && now.id !== id) place.current = { id, read: 0, next: 0 };
    if (place.current.id !== id || !id) return;
    const end = state === 'writing' ? lastSentence(text) : text.length;
    if (state === 'writing' && (end <= place.current.read || performance.now() < place.current.next)) return;
    const piece = text.slice(place.current.read, end);
    place.current = state === 'writing' ? { id, read: end, next: performance.now() + EVERY } : { id: '', read: 0, next: 0 };
    setSaid(state === 'done' ? `${piece} ${words.done}` : piece);
  }, [id, text, state, words]);
  return (
    <div className="hidden" aria-live="polite" role="status">
      {said}
    </div>
  );
}

function lastSentence(text: string): number {
  const ends = [...text.matchAll(/[.!?…:]\s|\n/g)];
  const last = ends.at(-1);
  return last ? last.index + last[0].length : 0;
}
