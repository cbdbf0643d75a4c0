/** Markdown to a tree (mdast). There is no HTML anywhere on the way: the tree becomes React elements in Markdown.tsx. */

import type { Definition, FootnoteDefinition, Root, RootContent } from 'mdast';
import { fromMarkdown } from 'mdast-util-from-markdown';
import { gfmFromMarkdown } from 'mdast-util-gfm';
import { mathFromMarkdown } from 'mdast-util-math';
import { gfm } from 'micromark-extension-gfm';
import { math } from 'micromark-extension-math';
import { withDollars } from './delimiters';

export interface Parsed {
  /** The text that positions in the tree refer to. */
  source: string;
  blocks: RootContent[];
  definitions: Map<string, Definition>;
  footnotes: FootnoteDefinition[];
}

export function parse(markdown: string): Parsed {
  const source = withDollars(markdown);
  const root: Root = fromMarkdown(source, {
    extensions: [gfm({ singleTilde: false }), math()],
    mdastExtensions: [gfmFromMarkdown(), mathFromMarkdown()],
  });
  const definitions = new Map<string, Definition>();
  const footnotes: FootnoteDefinition[] = [];
  collect(root, definitions, footnotes);
  const blocks = root.children.filter((node) => node.type !== 'definition' && node.type !== 'footnoteDefinition');
  return { source, blocks, definitions, footnotes };
}

function collect(node: Root | RootContent, definitions: Map<string, Definition>, footnotes: FootnoteDefinition[]): void {
  if (node.type === 'definition' && !definitions.has(node.identifier)) definitions.set(node.identifier, node);
  if (node.type === 'footnoteDefinition') footnotes.push(node);
  if ('children' in node) for (const child of node.children) collect(child, definitions, footnotes);
}
