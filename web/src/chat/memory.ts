/** Small texts that outlive a reload: sessionStorage, or a plain table where the browser refuses it. */

const table = new Map<string, string>();
const PREFIX = 'creuset.';

export function recall(name: string): string {
  try {
    return sessionStorage.getItem(PREFIX + name) ?? table.get(name) ?? '';
  } catch {
    return table.get(name) ?? '';
  }
}

/** '' forgets it. */
export function remember(name: string, text: string): void {
  if (text) table.set(name, text);
  else table.delete(name);
  try {
    if (text) sessionStorage.setItem(PREFIX + name, text);
    else sessionStorage.removeItem(PREFIX + name);
  } catch {
    // refused or full: it lives as long as the page
  }
}
