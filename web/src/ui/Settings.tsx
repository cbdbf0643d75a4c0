import { useId, useRef, useState, type ReactNode } from 'react';
import { readKey, writeKey, type ModelInfo } from '../api/client';
import { fromFile, toFile } from '../chat/exchange';
import type { Store } from '../chat/store';
import type { Conversation, Sampling } from '../chat/types';
import { useWords, type Language } from '../words/context';
import { Confirm, Dialog } from './Dialog';
import { forChat, plainSampling, type Preferences, type Theme } from './preferences';

interface Props {
  store: Store;
  defaults: ModelInfo['sampling_defaults'];
  conversations: Conversation[];
  preferences: Preferences;
  onChange: (difference: Partial<Preferences>) => void;
  onKey: () => void;
  onClose: () => void;
}

export function Settings({ store, defaults, conversations, preferences, onChange, onKey, onClose }: Props) {
  const words = useWords();
  const { sampling } = preferences;
  const own = (value: number | undefined): string => (value === undefined ? words.modelDefault : words.modelDefaultIs(value.toLocaleString(words.locale)));
  const ours = forChat(plainSampling, defaults).temperature; // what the page sends where the model states nothing
  const set = (difference: Partial<Sampling>): void => onChange({ sampling: { ...sampling, ...difference } });
  return (
    <Dialog title={words.settings} onClose={onClose}>
      <div className="settings">
        <Field label={words.system} hint={words.systemHint}>
          {(id) => <textarea id={id} rows={3} value={sampling.system} onChange={(event) => set({ system: event.target.value })} />}
        </Field>
        <div className="pair">
          <NumberField label={words.temperature} hint={words.temperatureHint} value={sampling.temperature} empty={ours?.toLocaleString(words.locale) ?? own(defaults?.temperature)} min={0} max={2} step={0.1} onChange={(temperature) => set({ temperature })} />
          <NumberField label={words.topP} hint={words.topPHint} value={sampling.topP} empty={own(defaults?.top_p)} min={0.05} max={1} step={0.05} onChange={(topP) => set({ topP })} />
          <NumberField label={words.maxTokens} value={sampling.maxTokens} min={1} max={1_000_000} step={1} onChange={(maxTokens) => set({ maxTokens })} />
          <NumberField label={words.seed} hint={words.seedHint} value={sampling.seed} min={0} max={2 ** 31} step={1} empty={words.random} onChange={(seed) => set({ seed })} />
        </div>
        <button type="button" className="button button-small" onClick={() => onChange({ sampling: plainSampling })}>
          {words.reset}
        </button>
        <hr />
        <div className="pair">
          <Choice<Theme> label={words.look} value={preferences.theme} options={[['auto', words.auto], ['light', words.light], ['dark', words.dark]]} onChange={(theme) => onChange({ theme })} />
          <Choice<Language> label={words.language} value={preferences.language} options={[['en', 'English'], ['fr', 'Français']]} onChange={(language) => onChange({ language })} />
        </div>
        <KeyField onUse={onKey} />
        <hr />
        <Data store={store} conversations={conversations} />
        <hr />
        <h3>{words.keys}</h3>
        <dl className="keys">
          {words.keyList.map(([key, action]) => (
            <div key={key}>
              <dt>
                <kbd>{key}</kbd>
              </dt>
              <dd>{action}</dd>
            </div>
          ))}
        </dl>
      </div>
    </Dialog>
  );
}

function Field({ label, hint, children }: { label: string; hint?: string | undefined; children: (id: string) => ReactNode }) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children(id)}
      {hint && <p className="quiet">{hint}</p>}
    </div>
  );
}

interface NumberProps {
  label: string;
  hint?: string;
  value: number | null;
  min: number;
  max: number;
  step: number;
  empty?: string;
  onChange: (value: number | null) => void;
}

/** Empty means the model's own default. What is out of range is brought back into it when the field is left. */
function NumberField({ label, hint, value, min, max, step, empty, onChange }: NumberProps) {
  const words = useWords();
  const read = (raw: string): number | null => (raw.trim() === '' || Number.isNaN(Number(raw)) ? null : Number(raw));
  const bound = (): void => {
    if (value === null) return;
    const inside = Math.min(max, Math.max(min, value));
    onChange(step >= 1 ? Math.round(inside) : inside);
  };
  return (
    <Field label={label} hint={hint}>
      {(id) => (
        <input id={id} type="number" inputMode="decimal" min={min} max={max} step={step} value={value ?? ''} placeholder={empty ?? words.modelDefault}
          onChange={(event) => onChange(read(event.target.value))} onBlur={bound} />
      )}
    </Field>
  );
}

function Choice<T extends string>({ label, value, options, onChange }: { label: string; value: T; options: [T, string][]; onChange: (value: T) => void }) {
  const name = useId();
  return (
    <fieldset className="choice">
      <legend>{label}</legend>
      <div>
        {options.map(([option, text]) => (
          <label key={option}>
            <input type="radio" name={name} value={option} checked={value === option} onChange={() => onChange(option)} />
            <span>{text}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

export function KeyField({ onUse }: { onUse: () => void }) {
  const words = useWords();
  const [key, setKey] = useState(readKey);
  const use = (): void => {
    writeKey(key.trim());
    onUse();
  };
  return (
    <form className="key" onSubmit={(event) => (event.preventDefault(), use())}>
      <Field label={words.giveKey} hint={words.keyHint}>
        {(id) => <input id={id} type="password" autoComplete="off" spellCheck={false} value={key} onChange={(event) => setKey(event.target.value)} />}
      </Field>
      <button type="submit" className="button">
        {words.useKey}
      </button>
    </form>
  );
}

function Data({ store, conversations }: { store: Store; conversations: Conversation[] }) {
  const words = useWords();
  const [told, setTold] = useState('');
  const [asking, setAsking] = useState(false);
  const chooser = useRef<HTMLInputElement>(null);
  const take = async (file: File | undefined): Promise<void> => {
    if (!file) return;
    try {
      const { conversations: read, skipped } = fromFile(await file.text());
      await store.take(read);
      setTold(words.imported(read.length, skipped));
    } catch {
      setTold(words.notImported);
    }
  };
  return (
    <section>
      <h3>{words.yourData}</h3>
      <p className="quiet">{words.dataHint}</p>
      <div className="row">
        <button type="button" className="button" disabled={conversations.length === 0} onClick={() => download(toFile(store.all()))}>
          {words.exportAll}
        </button>
        <button type="button" className="button" onClick={() => chooser.current?.click()}>
          {words.importFile}
        </button>
        <button type="button" className="button button-danger" disabled={conversations.length === 0} onClick={() => setAsking(true)}>
          {words.removeAll}
        </button>
        <input ref={chooser} hidden type="file" accept=".json,application/json"
          onChange={(event) => void take(event.target.files?.[0]).then(() => chooser.current && (chooser.current.value = ''))} />
      </div>
      <p role="status">{told}</p>
      {asking && (
        <Confirm title={words.removeAll} action={words.removeAll} onYes={() => store.clear()} onClose={() => setAsking(false)}>
          {words.removeAllSure(conversations.length)}
        </Confirm>
      )}
    </section>
  );
}

function download(file: Blob): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(file);
  link.download = `creuset-${new Date().toISOString().slice(0, 10)}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
