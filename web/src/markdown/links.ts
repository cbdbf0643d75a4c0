/** Which addresses the page is willing to show as a link. Nothing is opened or looked up before the person says so. */

const ALLOWED = new Set(['http:', 'https:', 'mailto:']);

/** null for anything but a whole http, https or mailto address. */
export function safeUrl(address: string): URL | null {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    return null;
  }
  return ALLOWED.has(url.protocol) ? url : null;
}

/** The address as shown beside a link: enough to know where it leads. */
export function shortly(url: URL): string {
  if (url.protocol === 'mailto:') return url.pathname;
  const rest = (url.pathname === '/' ? '' : url.pathname) + url.search;
  const whole = url.host + rest;
  return whole.length <= 40 ? whole : url.host + rest.slice(0, Math.max(0, 39 - url.host.length)) + '…';
}
