import { useContext, createContext, type ReactNode } from 'react';
import { useWords } from '../words/context';
import { safeUrl, shortly } from './links';

/** Called with the address when a link is pressed; the page then asks before anything is opened. */
export const OpenLink = createContext<(url: URL) => void>(() => undefined);

export function Link({ url, picture = false, children }: { url: string; picture?: boolean; children: ReactNode }) {
  const open = useContext(OpenLink);
  const words = useWords();
  const target = safeUrl(url);
  const className = picture ? 'md-picture' : undefined;
  if (!target) {
    return (
      <span className={className}>
        {children} <span className="md-target">({url ? words.refusedAddress(url.slice(0, 60)) : words.noAddress})</span>
      </span>
    );
  }
  const short = shortly(target);
  const same = children?.toString() === target.href;
  return (
    <span className={className}>
      <button type="button" className="md-link" title={target.href} onClick={() => open(target)}>
        {children}
      </button>
      {!same && <span className="md-target"> ({short})</span>}
    </span>
  );
}
