import { useEffect } from 'react';
import type { Store } from '../chat/store';

const PREFIX = '#/c/';

export const idIn = (hash: string): string => (hash.startsWith(PREFIX) ? hash.slice(PREFIX.length) : '');

/** The conversation shown is named in the address, so that reload, back and forward work. Nothing else is read from it. */
export function useAddress(store: Store, id: string): void {
  useEffect(() => {
    const follow = (): void => store.show(idIn(location.hash));
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, [store]);
  useEffect(() => {
    const wanted = id ? PREFIX + id : '';
    if (idIn(location.hash) !== id) history.pushState(null, '', wanted || location.pathname);
  }, [id]);
}
