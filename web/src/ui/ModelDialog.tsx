import type { ModelInfo } from '../api/client';
import { Markdown } from '../markdown/Markdown';
import { short, useWords, type languages } from '../words/context';
import { CopyButton } from './CopyButton';
import { Dialog } from './Dialog';

type Words = (typeof languages)['en'];

export function sizeOf(model: ModelInfo, words: Words): string {
  if (!model.parameters) return '';
  const active = model.active_parameters && model.active_parameters < model.parameters ? short(model.active_parameters, words) : '';
  return words.parametersOf(short(model.parameters, words), active);
}

/** Who is talking: name, size, hash, and the card, drawn by the same safe Markdown as the messages. */
export function ModelDialog({ model, onClose }: { model: ModelInfo; onClose: () => void }) {
  const words = useWords();
  const names = new Intl.DisplayNames([words.locale], { type: 'language', fallback: 'code' });
  const spoken = model.languages?.map((code) => names.of(code) ?? code).join(', ');
  const bytes = new Intl.NumberFormat(words.locale, { style: 'unit', unit: 'megabyte', maximumSignificantDigits: 3 });
  const rows: [string, string | undefined][] = [
    [words.parameters, sizeOf(model, words)],
    [words.context, model.context ? words.tokens(model.context) : undefined],
    [words.onDisk, model.size_bytes ? bytes.format(model.size_bytes / 1e6) : undefined],
    [words.languages, spoken],
    [words.license, model.license],
  ];
  return (
    <Dialog title={model.name} wide onClose={onClose}>
      <dl className="facts">
        {rows.map(([name, value]) => value && <Fact key={name} name={name} value={value} />)}
        {model.sha256 && (
          <div>
            <dt>{words.hash}</dt>
            <dd className="hash">
              <code>{model.sha256}</code> <CopyButton text={model.sha256} label={words.copy} />
            </dd>
          </div>
        )}
      </dl>
      {model.origin && <Origin model={model} />}
      <section className="card" tabIndex={0} aria-label={words.seeCard}>
        {model.card ? <Markdown text={model.card} /> : <p className="quiet">{words.noCard}</p>}
      </section>
    </Dialog>
  );
}

/** A model of others: where it is from, and, as plainly, what nobody here knows of it. */
function Origin({ model }: { model: ModelInfo }) {
  const words = useWords();
  const parts: [string, string[]][] = [
    [words.origin, model.origin?.known[words.locale] ?? []],
    [words.notKnown, model.origin?.unknown[words.locale] ?? []],
  ];
  return (
    <section className="origin" aria-label={words.origin}>
      {parts.map(([title, sentences]) => (
        <div key={title}>
          <h3>{title}</h3>
          <ul>
            {sentences.map((sentence) => (
              <li key={sentence}>{sentence}</li>
            ))}
          </ul>
        </div>
      ))}
    </section>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
