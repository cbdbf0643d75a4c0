/** Reading a text that grows at its end: what is settled is read once, so that a long answer costs no more than a short one.
 *
 *  The text is cut where a new paragraph or heading begins at the margin after an empty line, outside fences: nothing that
 *  comes later can change the blocks before such a place. What links the parts (references, footnotes) is read at the end.
 */

import type { RootContent } from 'mdast';
import { parse, type Parsed } from './parse';

interface Placed {
  node: RootContent;
  parsed: Parsed;
}

export class Grower {
  private settled = '';
  private placed: Placed[] = [];

  read(text: string): { parsed: Parsed; placed: Placed[] } {
    if (!text.startsWith(this.settled)) {
      this.settled = '';
      this.placed = [];
    }
    const cut = lastCut(text, this.settled.length);
    if (cut > this.settled.length) {
      this.placed = this.placed.concat(blocks(text.slice(this.settled.length, cut)).placed);
      this.settled = text.slice(0, cut);
    }
    const end = blocks(text.slice(cut));
    return { parsed: { ...end.parsed, footnotes: [] }, placed: this.placed.concat(end.placed) };
  }
}

function blocks(text: string): { parsed: Parsed; placed: Placed[] } {
  const parsed = parse(text);
  return { parsed, placed: parsed.blocks.map((node) => ({ node, parsed })) };
}

const FENCE = /^ {0,3}(`{3,}|~{3,}|\$\$+)/;
const FENCE_INSIDE = /^[\s>*+\-\d.)]*(`{3,}|~{3,}|\$\$)/; // perhaps a fence of a list or a quotation
const RAW = /^ {0,3}<(?:!|\?|pre|script|style|textarea)/i; // blocks of HTML that an empty line does not end
const BEGINS = /^(?:#{1,6} |(?:\p{L}|["“«(¿¡]|\*{1,2}[^\s*]|_{1,2}[^\s_])\S* \S)/u; // nothing that could go on with a list or a table

/** The last place after `from` where the text can be cut; `from` itself where there is none. */
export function lastCut(text: string, from: number): number {
  let cut = from;
  let fence = '';
  let inside = false;
  let empty = false;
  for (let at = from; ; ) {
    const end = text.indexOf('\n', at);
    if (end < 0) return cut; // the last line may still become anything
    const line = text.slice(at, end);
    const mark = FENCE.exec(line)?.[1];
    if (fence) {
      if (mark?.startsWith(fence) && !line.slice(line.indexOf(mark) + mark.length).trim()) fence = '';
    } else if (mark && inside) {
      inside = false; // its end may stand nearer to the margin than its beginning
    } else if (mark) {
      const rest = line.slice(line.indexOf(mark) + mark.length);
      if (!rest.includes(mark.charAt(0))) fence = mark;
    } else if (RAW.test(line)) {
      return cut;
    } else if (FENCE_INSIDE.test(line)) {
      inside = !inside;
    } else if (empty && at > from && BEGINS.test(line)) {
      cut = at;
      inside = false; // what begins at the margin ends the list, and what was open in it
    }
    empty = !fence && line.trim() === '';
    at = end + 1;
  }
}
