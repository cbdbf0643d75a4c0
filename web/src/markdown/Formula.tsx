import { memo, useLayoutEffect, useRef } from 'react';

interface Drawn {
  toNode(): Node;
  attributes?: Record<string, string>;
  children?: Drawn[];
}

interface Katex {
  __renderToDomTree(tex: string, options: Record<string, unknown>): Drawn;
}

let ready: Katex | undefined;
let loading: Promise<Katex> | undefined; // fetched with its fonts when the first formula is met

function load(): Promise<Katex> {
  loading ??= import('./katex').then((module) => (ready = module.katex as unknown as Katex));
  return loading;
}

/** A formula drawn by KaTeX with its DOM calls: the page's CSP allows no style attribute, and no HTML is parsed.
 *  What KaTeX refuses is shown as it was written. */
export const Formula = memo(function Formula({ tex, display }: { tex: string; display: boolean }) {
  const place = useRef<HTMLSpanElement>(null);
  useLayoutEffect(() => {
    let gone = false;
    const show = (katex: Katex): void => {
      if (gone || !place.current) return;
      try {
        const drawn = katex.__renderToDomTree(tex, { displayMode: display, trust: false, strict: 'ignore', maxSize: 20, maxExpand: 300, throwOnError: true });
        strip(drawn);
        place.current.replaceChildren(drawn.toNode());
      } catch {
        place.current.replaceChildren(tex);
      }
    };
    if (ready) show(ready); // at once: a row that comes into sight has its height, and a printed page its formulas
    else load().then(show, () => undefined);
    return () => {
      gone = true;
    };
  }, [tex, display]);
  return (
    <span className={display ? 'md-display' : 'md-inline'} tabIndex={display ? 0 : undefined}>
      <span ref={place}>{/* until KaTeX is there */}</span>
    </span>
  );
});

/** Two of KaTeX's commands (\fcolorbox, \pmb) would write a style attribute, which the CSP forbids. */
function strip(node: Drawn): void {
  if (node.attributes) delete node.attributes.style;
  node.children?.forEach(strip);
}
