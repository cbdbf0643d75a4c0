/** Models write mathematics as \( \) and \[ \] too. Outside code, these become the dollars that the parser knows. */

export function withDollars(text: string): string {
  if (!text.includes('\\(') && !text.includes('\\[')) return text;
  let fence = '';
  let prose: string[] = [];
  const out: string[] = [];
  const flush = (): void => {
    if (prose.length) out.push(inProse(prose.join('\n')));
    prose = [];
  };
  for (const line of text.split('\n')) {
    const mark = /^\s*(?:>\s?)*(`{3,}|~{3,})/.exec(line)?.[1];
    if (fence) {
      out.push(line);
      if (mark?.startsWith(fence)) fence = '';
    } else if (mark) {
      flush();
      out.push(line);
      fence = mark;
    } else {
      prose.push(line);
    }
  }
  flush();
  return out.join('\n');
}

/** Code spans and escaped backslashes are matched first, so that what they hold is left alone. */
const PARTS = /(`+)(?!`)[\s\S]*?[^`]\1(?!`)|\\\\|\\\[([\s\S]+?)\\\]|\\\(([\s\S]+?)\\\)/g;

function inProse(text: string): string {
  return text.replace(PARTS, (whole, _ticks: string, block?: string, inline?: string, at?: number) => {
    if (inline !== undefined) return inline.includes('\n\n') ? whole : `$${inline.trim()}$`;
    if (block === undefined || block.includes('\n\n')) return whole;
    const before = text.slice(text.lastIndexOf('\n', (at ?? 0) - 1) + 1, at);
    if (before.trim()) return `$$${block.trim().replace(/\n/g, ' ')}$$`;
    const lines = block.trim().split('\n').map((line) => before + line.trim());
    return ['$$', ...lines, before + '$$'].join('\n');
  });
}

/** Is `source` ("$…$" as it was written) mathematics, or two prices? The rule is Pandoc's. */
export function isMath(source: string, next: string): boolean {
  if (!source.startsWith('$') || source.startsWith('$$')) return true;
  return !/^\$\s|\s\$$/.test(source) && !/[0-9]/.test(next);
}
