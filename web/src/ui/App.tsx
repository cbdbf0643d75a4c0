import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import type { Asking, Store } from '../chat/store';
import { shown } from '../chat/tree';
import { OpenLink } from '../markdown/Link';
import { languages, short, WordsContext } from '../words/context';
import { Composer, hasKeyboard } from './Composer';
import { Conversation } from './Conversation';
import { LinkDialog } from './Dialog';
import { Chevron, Close, Info, Menu, Plus, Sliders } from './icons';
import { composes } from './keys';
import type { Actions } from './Message';
import { ModelDialog } from './ModelDialog';
import { forChat, usePreferences } from './preferences';
import { Settings } from './Settings';
import { Sidebar } from './Sidebar';
import { Spoken } from './Spoken';
import { useAddress } from './useAddress';
import { useServer } from './useServer';

const narrow = matchMedia('(max-width: 780px)'); // as in chat.css

export function App({ store }: { store: Store }) {
  const { conversations, current, lasting, quiet } = useSyncExternalStore(store.subscribe, store.read);
  const [preferences, setPreferences] = usePreferences();
  const busy = current !== null && store.isRunning(current.id);
  const { health, models, model, look } = useServer(preferences.model, busy);
  const [dialog, setDialog] = useState<'' | 'settings' | 'model'>('');
  const [leaving, setLeaving] = useState<URL | null>(null);
  const [drawer, setDrawer] = useState(false);
  const [editing, setEditing] = useState('');
  const box = useRef<HTMLTextAreaElement>(null);
  const sidebar = useRef<HTMLDivElement>(null);
  const menu = useRef<HTMLButtonElement>(null);
  const searchBox = useRef<HTMLInputElement>(null);

  const words = languages[preferences.language];
  const name = model?.name || words.theModel;
  const asking: Asking = { model: model?.name ?? '', sha256: model?.sha256, sampling: forChat(preferences.sampling, model?.sampling_defaults) };
  const latest = useRef(asking);
  latest.current = asking;

  useEffect(() => {
    document.documentElement.lang = preferences.language;
    document.documentElement.dataset.theme = preferences.theme;
  }, [preferences.language, preferences.theme]);
  useEffect(() => {
    document.title = current?.title ? `${current.title} · creuset` : 'creuset';
  }, [current?.title]);
  useAddress(store, current?.id ?? '');

  const pick = useCallback(
    (id: string) => {
      store.show(id);
      setDrawer(false);
      setEditing('');
      if (hasKeyboard) box.current?.focus();
    },
    [store],
  );
  const send = useCallback((text: string) => store.say(text, latest.current), [store]);
  const actions = useMemo<Actions>(() => {
    const back = (): void => (setEditing(''), box.current?.focus());
    return {
      again: (turn) => store.again(turn, latest.current),
      goOn: (turn) => store.goOn(turn, latest.current),
      forget: (turn) => store.forget(turn, latest.current),
      edit: (turn, text) => (store.say(text, latest.current, turn.parent), back()),
      choose: (turn) => store.choose(turn),
      startEdit: (turn) => (turn ? setEditing(turn.id) : back()),
    };
  }, [store]);
  const openSettings = useCallback(() => (setDrawer(false), setDialog('settings')), []);
  const otherLanguage = useCallback(() => setPreferences({ language: preferences.language === 'fr' ? 'en' : 'fr' }), [preferences.language, setPreferences]);
  const line = useMemo(() => (current ? shown(current) : []), [current]);
  const latestTurn = line.at(-1)?.turn;
  const editLast = (): void => {
    const last = line.findLast(({ turn }) => turn.role === 'user');
    if (last && !busy) setEditing(last.turn.id);
  };

  useEffect(() => {
    const close = (): void => setDrawer(false);
    narrow.addEventListener('change', close);
    return () => narrow.removeEventListener('change', close);
  }, []);
  useEffect(() => {
    if (!drawer) return;
    const opener = menu.current;
    sidebar.current?.querySelector('button')?.focus();
    return () => opener?.focus();
  }, [drawer]);

  const failed = latestTurn?.state === 'failed';
  useEffect(() => {
    if (!busy && (failed || !model)) look(); // is the engine still there? or: can the model be known now?
  }, [busy, failed, model, look]);

  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent): void => {
      const command = event.ctrlKey || event.metaKey;
      if (composes(event)) return;
      if (event.key === 'Escape' && !document.querySelector('dialog[open]')) {
        if (drawer) setDrawer(false);
        else store.stop();
      } else if (command && !event.shiftKey && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        setDrawer(narrow.matches);
        requestAnimationFrame(() => searchBox.current?.focus());
      } else if (command && event.shiftKey && event.key.toLowerCase() === 'o') {
        event.preventDefault();
        pick('');
      }
    };
    addEventListener('keydown', onKeyDown);
    return () => removeEventListener('keydown', onKeyDown);
  }, [store, drawer, pick]);

  return (
    <WordsContext value={words}>
      <OpenLink value={setLeaving}>
        <a className="skip" href="#message" onClick={(event) => (event.preventDefault(), box.current?.focus())}>
          {words.skip}
        </a>
        <div className={drawer ? 'app drawer' : 'app'}>
          <div className="sidebar" ref={sidebar}>
            <Sidebar store={store} conversations={conversations} currentId={current?.id ?? ''} searchBox={searchBox} onPick={pick} onSettings={openSettings} onLanguage={otherLanguage} />
          </div>
          <button type="button" className="veil" tabIndex={-1} aria-label={words.closeMenu} onClick={() => setDrawer(false)}>
            <Close />
          </button>
          <main aria-label={words.conversation} inert={drawer}>
            <header className="top">
              <button ref={menu} type="button" className="tool narrow" aria-label={words.openMenu} aria-expanded={drawer} onClick={() => setDrawer(!drawer)}>
                <Menu />
              </button>
              <h1 className="hidden" dir="auto">{current?.title || 'creuset'}</h1>
              <button type="button" className="model" aria-haspopup="dialog" title={models.length > 1 ? words.chooseModel : words.aboutModel} disabled={!model} onClick={() => setDialog('model')}>
                <span className="badge">{preferences.language === 'fr' ? 'IA' : 'AI'}</span>
                <strong>{name}</strong>
                {model?.parameters && (
                  <span className="size">
                    {short(model.parameters, words)}
                    <span className="wide">{words.parametersWord}</span>
                  </span>
                )}
                {model?.sha256 && <code>{model.sha256.slice(0, 8)}</code>}
                {models.length > 1 ? <Chevron /> : <Info />}
              </button>
              <span className="space" />
              <button type="button" className="tool narrow" aria-label={words.newChat} onClick={() => pick('')}>
                <Plus />
              </button>
              <button type="button" className="tool" aria-label={words.settings} title={words.settings} onClick={() => setDialog('settings')}>
                <Sliders />
              </button>
            </header>
            <div role="status" className="banners">
              {health === 'loading' && busy && <p className="banner">{words.loading(name)}</p>}
              {health === 'down' && <p className="banner">{words.down(name)}</p>}
              {(health === 'starting' || health === 'away') && <p className="banner">{words[health]}</p>}
              {!lasting && <p className="banner">{words.notLasting}</p>}
            </div>
            <Conversation conversation={current} line={line} busy={busy} quiet={quiet} name={name} elsewhere={Boolean(model?.upstream)} editing={editing} actions={actions} onExample={send} />
            <Composer box={box} place={current?.id ?? ''} busy={busy} notice={words.notice(model?.name ?? '')} onSend={send} onStop={() => store.stop()} onEditLast={editLast} />
            <Spoken turn={latestTurn} />
          </main>
        </div>
        {dialog === 'settings' && (
          <Settings store={store} defaults={model?.sampling_defaults} conversations={conversations} preferences={preferences} onChange={setPreferences} onKey={look} onClose={() => setDialog('')} />
        )}
        {dialog === 'model' && model && <ModelDialog model={model} models={models} onPick={(id) => setPreferences({ model: id })} onLook={look} onClose={() => setDialog('')} />}
        {leaving && <LinkDialog url={leaving} onClose={() => setLeaving(null)} />}
      </OpenLink>
    </WordsContext>
  );
}
