/** Safe Markdown: a parsed tree to React elements, by a closed list of node types.
 *
 *  Raw HTML is shown as the text it is, but for a few plain tags without attributes (inline.ts). No image is fetched: it becomes its label and address. A link is a button that
 *  shows where it leads and opens nothing before the person agrees (an `<a href>` would let the browser look its host up).
 */

import type { AlignType, Definition, PhrasingContent, RootContent } from 'mdast';
import { Fragment, memo, useMemo, useRef, type ReactNode } from 'react';
import { Check } from '../ui/icons';
import { useWords } from '../words/context';
import { Code } from './Code';
import { isMath } from './delimiters';
import { Link } from './Link';
import { Formula } from './Formula';
import { Grower } from './grow';
import { folded, isBreak } from './inline';
import { parse, type Parsed } from './parse';

/** `growing`: it is being written, and only its end is read again. */
export const Markdown = memo(function Markdown({ text, growing = false }: { text: string; growing?: boolean }) {
  const grower = useRef<Grower>(null);
  const { parsed, placed } = useMemo(() => {
    if (growing) return (grower.current ??= new Grower()).read(text);
    grower.current = null;
    const parsed = parse(text);
    return { parsed, placed: parsed.blocks.map((node) => ({ node, parsed })) };
  }, [text, growing]);
  // What a block shows depends on its own source and on the definitions, so that a growing text redraws only its last block.
  const shared = useMemo(() => {
    const addresses = [...parsed.definitions.values()].map((one) => `${one.identifier} ${one.url}`);
    return [...addresses, ...parsed.footnotes.map((note) => note.identifier)].join('\n');
  }, [parsed]);
  return (
    <div className="md" dir="auto">
      {placed.map((one, index) => (
        <Block key={index} node={one.node} parsed={one.parsed} source={sourceOf(one.node, one.parsed)} shared={shared} />
      ))}
      {parsed.footnotes.length > 0 && (
        <ol className="md-notes">
          {parsed.footnotes.map((note) => (
            <li key={note.identifier}>{many(note.children, parsed)}</li>
          ))}
        </ol>
      )}
    </div>
  );
});

interface BlockProps {
  node: RootContent;
  parsed: Parsed;
  source: string;
  shared: string;
}

const Block = memo(
  ({ node, parsed }: BlockProps) => one(node, parsed, 'auto'),
  (before, after) => before.source === after.source && before.shared === after.shared && before.node.type === after.node.type,
);

function sourceOf(node: RootContent, parsed: Parsed): string {
  const { start, end } = node.position ?? {};
  return parsed.source.slice(start?.offset ?? 0, end?.offset ?? 0);
}

function many(nodes: RootContent[], parsed: Parsed): ReactNode {
  return folded(nodes).map((node, index) => <Fragment key={index}>{'Tag' in node ? <node.Tag>{many(node.inside, parsed)}</node.Tag> : one(node, parsed)}</Fragment>);
}

const HEADINGS = ['h3', 'h4', 'h5', 'h6', 'h6', 'h6'] as const; // the page has its own h1 and h2

/** `dir`: of a block that stands by itself, which runs the way its own words do. */
function one(node: RootContent, parsed: Parsed, dir?: 'auto'): ReactNode {
  switch (node.type) {
    case 'text':
      return node.value;
    case 'paragraph':
      return <p dir={dir}>{many(node.children, parsed)}</p>;
    case 'heading': {
      const Tag = HEADINGS[node.depth - 1] ?? 'h6';
      return <Tag dir={dir} className={`md-h${node.depth}`}>{many(node.children, parsed)}</Tag>;
    }
    case 'emphasis':
      return <em>{many(node.children, parsed)}</em>;
    case 'strong':
      return <strong>{many(node.children, parsed)}</strong>;
    case 'delete':
      return <del>{many(node.children, parsed)}</del>;
    case 'blockquote':
      return <blockquote dir={dir}>{many(node.children, parsed)}</blockquote>;
    case 'inlineCode':
      return <code>{node.value}</code>;
    case 'code':
      return <Code text={node.value} language={node.lang ?? ''} />;
    case 'inlineMath':
    case 'math':
      return mathematics(node, parsed);
    case 'break':
      return <br />;
    case 'thematicBreak':
      return <hr />;
    case 'list': {
      const items = node.children.map((item, index) => (
        <li key={index} className={typeof item.checked === 'boolean' ? 'md-task' : undefined}>
          {typeof item.checked === 'boolean' && <Box checked={item.checked} />}
          {item.children.map((child, at) => (
            <Fragment key={at}>{child.type === 'paragraph' && !node.spread && !item.spread ? many(child.children, parsed) : one(child, parsed)}</Fragment>
          ))}
        </li>
      ));
      return node.ordered ? <ol dir={dir} start={node.start ?? 1}>{items}</ol> : <ul dir={dir}>{items}</ul>;
    }
    case 'table':
      return <Table node={node} parsed={parsed} dir={dir} />;
    case 'link':
      return <Link url={node.url}>{many(node.children, parsed)}</Link>;
    case 'linkReference': {
      const target = definition(node.identifier, parsed);
      return target ? <Link url={target.url}>{many(node.children, parsed)}</Link> : many(node.children, parsed);
    }
    case 'image':
      return <Picture url={node.url} label={node.alt ?? ''} />;
    case 'imageReference':
      return <Picture url={definition(node.identifier, parsed)?.url ?? ''} label={node.alt ?? ''} />;
    case 'footnoteReference':
      return <sup>{parsed.footnotes.findIndex((note) => note.identifier === node.identifier) + 1}</sup>;
    case 'html':
      if (isBreak(node.value)) return <br />;
      return <span className="md-raw">{node.value}</span>;
    default:
      return 'value' in node ? node.value : null;
  }
}

function definition(identifier: string, parsed: Parsed): Definition | undefined {
  return parsed.definitions.get(identifier);
}

function mathematics(node: Extract<RootContent, { type: 'math' | 'inlineMath' }>, parsed: Parsed): ReactNode {
  const source = sourceOf(node, parsed);
  const after = parsed.source.charAt(node.position?.end.offset ?? 0);
  if (node.type === 'inlineMath' && !isMath(source, after)) return source;
  const display = node.type === 'math' || source.startsWith('$$');
  return <Formula tex={node.value} display={display} />;
}

/** A box of a task list; it is not a control, so it does not look like one that is switched off. */
function Box({ checked }: { checked: boolean }) {
  const words = useWords();
  return (
    <span className={checked ? 'md-box md-checked' : 'md-box'} role="img" aria-label={checked ? words.ticked : words.unticked}>
      {checked && <Check />}
    </span>
  );
}

function Picture({ url, label }: { url: string; label: string }) {
  const words = useWords();
  return (
    <Link url={url} picture>
      {label ? words.imageNamed(label) : words.image}
    </Link>
  );
}

function Table({ node, parsed, dir }: { node: Extract<RootContent, { type: 'table' }>; parsed: Parsed; dir: 'auto' | undefined }) {
  const [head, ...body] = node.children;
  const cell = (children: PhrasingContent[], at: number, Tag: 'th' | 'td') => (
    <Tag key={at} className={alignment(node.align?.[at])}>
      {many(children, parsed)}
    </Tag>
  );
  return (
    <div className="md-table" tabIndex={0} role="group">
      <table dir={dir}>
        <thead>
          <tr>{head?.children.map((one, at) => cell(one.children, at, 'th'))}</tr>
        </thead>
        <tbody>
          {body.map((row, index) => (
            <tr key={index}>{row.children.map((one, at) => cell(one.children, at, 'td'))}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function alignment(align: AlignType | undefined): string | undefined {
  return align ? `md-${align}` : undefined;
}
