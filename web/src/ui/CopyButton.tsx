import { useEffect, useState } from 'react';
import { useWords } from '../words/context';
import { Check, Copy } from './icons';

export function CopyButton({ text, label }: { text: string; label: string }) {
  const words = useWords();
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1600);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = (): void => void copyText(text).then(setCopied);
  return (
    <button type="button" className="tool" aria-label={copied ? words.copied : label} title={label} onClick={copy}>
      {copied ? <Check /> : <Copy />}
    </button>
  );
}

/** The clipboard exists only on https and on loopback; elsewhere an old command does it. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'hidden';
    (document.querySelector('dialog[open]') ?? document.body).append(area); // beside an open dialog nothing takes the focus
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
}
