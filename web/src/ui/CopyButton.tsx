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
  const copy = (): void => void write(text).then(setCopied);
  return (
    <button type="button" className="tool" aria-label={copied ? words.copied : label} title={label} onClick={copy}>
      {copied ? <Check /> : <Copy />}
    </button>
  );
}

/** The clipboard exists only on https and on loopback; elsewhere an old command does it. */
async function write(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'hidden';
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
}
