/** Line icons on a 20-unit square, drawn here: nothing to fetch. They are decoration; their buttons carry the words. */

import type { ReactNode } from 'react';

function icon(...parts: ReactNode[]) {
  return function Icon() {
    return (
      <svg className="icon" viewBox="0 0 20 20" aria-hidden="true">
        {...parts}
      </svg>
    );
  };
}

export const Menu = icon(<path d="M3 6h14M3 10h14M3 14h9" />);
export const Plus = icon(<path d="M10 4v12M4 10h12" />);
export const Close = icon(<path d="M5 5l10 10M15 5L5 15" />);
export const Search = icon(<circle cx="9" cy="9" r="5" />, <path d="M13 13l4 4" />);
export const Sliders = icon(<path d="M3 6h8M15 6h2M3 14h2M9 14h8" />, <circle cx="13" cy="6" r="2" />, <circle cx="7" cy="14" r="2" />);
export const ArrowUp = icon(<path d="M10 16V4.500M5 9.500l5-5 5 5" />);
export const ArrowDown = icon(<path d="M10 4v11.500M5 10.500l5 5 5-5" />);
export const Square = icon(<rect x="5.500" y="5.500" width="9" height="9" rx="1.500" fill="currentColor" />);
export const Copy = icon(<rect x="7" y="7" width="9.500" height="9.500" rx="2" />, <path d="M13 4.500A1.500 1.500 0 0 0 11.500 3.500h-6A2 2 0 0 0 3.500 5.500v6A1.500 1.500 0 0 0 4.500 13" />);
export const Check = icon(<path d="M4 10.500l4 4 8-9" />);
export const Pencil = icon(<path d="M4 16l.8-3.500L13.300 4a1.500 1.500 0 0 1 2.200 0l.5.5a1.500 1.500 0 0 1 0 2.200L7.500 15.200z" />);
export const Again = icon(<path d="M16 10a6 6 0 1 1-1.800-4.300" />, <path d="M16.500 3v3.500H13" />);
export const Left = icon(<path d="M12 5l-5 5 5 5" />);
export const Right = icon(<path d="M8 5l5 5-5 5" />);
export const Bin = icon(<path d="M4 6h12M8 6V4h4v2M5.500 6l.7 10h7.600l.7-10" />);
export const Warning = icon(<path d="M10 3.500L17.500 16h-15zM10 8.500v3.500M10 14v.2" />);
export const Chevron = icon(<path d="M5.500 8l4.500 4.500L14.500 8" />);
export const Info = icon(<circle cx="10" cy="10" r="7" />, <path d="M10 9.200v4.300M10 6.500v.2" />);

/** The crucible: a bowl and the fire above it. */
export function Crucible() {
  return (
    <svg className="crucible" viewBox="0 0 32 32" aria-hidden="true">
      <path className="crucible-fire" d="M17 1.500c.3 3.300 3.600 4.600 3.600 8.100 0 1.200-.4 2.200-1 3h-7.200c-.7-.8-1-1.800-1-2.800 0-2.300 1.500-3.300 2.100-4.900.8.6 1.300 1.300 1.500 2.100 1.300-1.300 2.100-3.300 2-5.500z" />
      <path className="crucible-bowl" d="M4.500 15h23c.6 0 1 .6.8 1.200l-.4 1.100c-.1.400-.5.700-1 .7h-.6l-1.700 7.700a4.800 4.800 0 0 1-4.700 3.800h-7.800a4.800 4.800 0 0 1-4.700-3.800L5.700 18h-.6c-.5 0-.9-.3-1-.7l-.4-1.100c-.2-.6.2-1.200.8-1.200z" />
    </svg>
  );
}
