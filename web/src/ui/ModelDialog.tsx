import { useEffect, useId } from 'react';
import type { ListedModel, ModelInfo } from '../api/client';
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
export function ModelDialog({ model, models, onPick, onLook, onClose }: { model: ModelInfo; models: ListedModel[]; onPick: (id: string) => void; onLook: () => void; onClose: () => void }) {
  const words = useWords();
  const several = models.length > 1;
  useEffect(() => {
    if (!several) return;
    onLook(); // which are loaded may have changed since
    const timer = setInterval(onLook, 2_000);
    return () => clearInterval(timer);
  }, [several, onLook]);
  const names = new Intl.DisplayNames([words.locale], { type: 'language', fallback: 'code' });
  const spoken = model.languages?.map((code) => names.of(code) ?? code).join(', ');
  const bytes = new Intl.NumberFormat(words.locale, { style: 'unit', unit: 'megabyte', maximumSignificantDigits: 3 });
  const rows: [string, string | undefined][] = [
    [words.parameters, sizeOf(model, words)],
    [words.context, model.context ? words.tokens(model.context) : undefined],
    [words.answeredBy, model.upstream && words.otherServer(model.upstream)],
    [words.onDisk, model.size_bytes ? bytes.format(model.size_bytes / 1e6) : undefined],
    [words.languages, spoken],
    [words.license, model.license ?? undefined],
  ];
  return (
    <Dialog title={several ? words.models : model.name} wide onClose={onClose}>
      {several && <Picker model={model} models={models} onPick={onPick} />}
      {several && <h3 className="picked">{model.name}</h3>}
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

/** One of the models: radio buttons, so that arrows move between them and a screen reader counts them. */
function Picker({ model, models, onPick }: { model: ModelInfo; models: ListedModel[]; onPick: (id: string) => void }) {
  const words = useWords();
  const group = useId();
  return (
    <fieldset className="models">
      <legend className="hidden">{words.chooseModel}</legend>
      {models.map((one) => {
        const about = [one.parameters ? short(one.parameters, words) : '', one.max_model_len ? words.tokens(one.max_model_len) : '', one.upstream ? words.elsewhere : ''];
        const state = words.states[one.state ?? ''] ?? '';
        return (
          <label key={one.id}>
            <input type="radio" name={group} value={one.id} checked={one.id === model.name} data-first={one.id === model.name || undefined} onChange={() => onPick(one.id)} />
            <span className="names">
              <strong>{one.id}</strong>
              <span className="quiet">{about.filter(Boolean).join(' · ')}</span>
            </span>
            <span className={`state state-${one.state ?? 'unknown'}`}>{state}</span>
          </label>
        );
      })}
    </fieldset>
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
