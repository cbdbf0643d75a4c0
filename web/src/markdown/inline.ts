/** The few HTML tags that models write in plain prose and tables. Anything else, and any tag with an attribute, is text. */

import type { RootContent } from 'mdast';

const PAIRS = ['sub', 'sup', 'kbd', 'u', 's', 'b', 'i', 'em', 'strong', 'small', 'mark', 'ins', 'del'] as const;
type Tag = (typeof PAIRS)[number];

export interface Folded {
  Tag: Tag;
  inside: RootContent[];
}

export const isBreak = (html: string): boolean => /^<br\s*\/?>$/i.test(html.trim());

/** Tags come as nodes of their own: each that has its end among its brothers takes in what is between. */
export function folded(nodes: RootContent[]): (RootContent | Folded)[] {
  if (!nodes.some((node) => node.type === 'html')) return nodes;
  const out: (RootContent | Folded)[] = [];
  for (let at = 0; at < nodes.length; at++) {
    const node = nodes[at] as RootContent;
    const Tag = opening(node);
    const end = Tag ? endOf(nodes, at, Tag) : -1;
    if (Tag && end > 0) {
      out.push({ Tag, inside: nodes.slice(at + 1, end) });
      at = end;
    } else {
      out.push(node);
    }
  }
  return out;
}

function opening(node: RootContent): Tag | undefined {
  if (node.type !== 'html') return undefined;
  const name = /^<([a-z]+)>$/i.exec(node.value)?.[1]?.toLowerCase();
  return PAIRS.find((tag) => tag === name);
}

function endOf(nodes: RootContent[], from: number, tag: Tag): number {
  let depth = 0;
  for (let at = from; at < nodes.length; at++) {
    const node = nodes[at] as RootContent;
    if (opening(node) === tag) depth++;
    else if (node.type === 'html' && node.value.toLowerCase() === `</${tag}>` && --depth === 0) return at;
  }
  return -1;
}
