import { memo, useEffect, useState, type ReactNode } from 'react';
import { CopyButton } from '../ui/CopyButton';
import { useWords } from '../words/context';
import type { Highlighted } from './highlight';

const LIMIT = 30_000; // characters; beyond, colours cost more than they give

type Paint = (text: string, language: string) => Highlighted | null;

let paint: Paint | undefined;
let loading: Promise<Paint> | undefined;

function load(): Promise<Paint> {
  loading ??= import('./highlight').then((module) => (paint = module.highlight));
  return loading;
}

export const Code = memo(function Code({ text, language, title }: { text: string; language: string; title?: string }) {
  const words = useWords();
  const [, redraw] = useState(0);
  const wanted = language !== '' && text.length <= LIMIT;
  useEffect(() => {
    if (wanted && !paint) load().then(() => redraw(1), () => undefined);
  }, [wanted]);
  const painted = wanted && paint ? paint(text, language.toLowerCase()) : null;
  return (
    <figure className="md-code">
      <figcaption>
        <span>{title || language || words.code}</span>
        <CopyButton text={text} label={words.copyCode} />
      </figcaption>
      <pre tabIndex={0}>
        <code>{painted ? nodes(painted.children) : text}</code>
      </pre>
    </figure>
  );
});

function nodes(children: Highlighted['children']): ReactNode {
  return children.map((node, index) => {
    if (node.type === 'text') return node.value;
    if (node.type !== 'element') return null;
    const names = node.properties.className;
    return (
      <span key={index} className={Array.isArray(names) ? names.join(' ') : undefined}>
        {nodes(node.children)}
      </span>
    );
  });
}
