import { useEffect, useState } from 'react';
import { flushSync } from 'react-dom';

/** True while the page is being printed: then all of it must be there. */
export function usePrinting(): boolean {
  const [printing, set] = useState(false);
  useEffect(() => {
    const begin = (): void => flushSync(() => set(true)); // the browser takes the page as it is when this returns
    const end = (): void => set(false);
    addEventListener('beforeprint', begin);
    addEventListener('afterprint', end);
    return () => {
      removeEventListener('beforeprint', begin);
      removeEventListener('afterprint', end);
    };
  }, []);
  return printing;
}
