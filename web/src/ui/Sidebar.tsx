import { useVirtualizer } from '@tanstack/react-virtual';
import { memo, useDeferredValue, useMemo, useRef, useState, type ReactNode, type RefObject } from 'react';
import type { Store } from '../chat/store';
import type { Conversation } from '../chat/types';
import { useWords, type languages } from '../words/context';
import { Confirm, Dialog } from './Dialog';
import { composes } from './keys';
import { Bin, Crucible, Pencil, Plus, Search, Sliders } from './icons';

interface Props {
  store: Store;
  conversations: Conversation[];
  currentId: string;
  searchBox: RefObject<HTMLInputElement | null>;
  onPick: (id: string) => void;
  onSettings: () => void;
  onLanguage: () => void;
}

export const Sidebar = memo(function Sidebar({ store, conversations, currentId, searchBox, onPick, onSettings, onLanguage }: Props) {
  const words = useWords();
  const [query, setQuery] = useState('');
  const [renaming, setRenaming] = useState<Conversation | null>(null);
  const [removing, setRemoving] = useState<Conversation | null>(null);
  const wanted = useDeferredValue(query); // the letters come first, then what they find
  const found = useMemo(() => {
    const ids = wanted.trim() ? store.find(wanted) : null;
    return ids ? conversations.filter(({ id }) => ids.has(id)) : conversations;
  }, [store, conversations, wanted]);
  const remove = (conversation: Conversation): void => {
    store.remove(conversation.id);
    if (conversation.id === currentId) onPick('');
  };
  return (
    <nav className="sidebar-in" aria-label={words.conversations}>
      <div className="brand">
        <Crucible />
        <span>creuset</span>
      </div>
      <button type="button" className="button new" onClick={() => onPick('')}>
        <Plus /> {words.newChat}
      </button>
      <div className="search">
        <Search />
        <input ref={searchBox} type="search" value={query} placeholder={words.searchShort} aria-label={words.search} aria-keyshortcuts="Control+K"
          onChange={(event) => setQuery(event.target.value)}
          onKeyDown={(event) => event.key === 'Enter' && !composes(event) && found[0] && onPick(found[0].id)} />
        <kbd>Ctrl K</kbd>
      </div>
      <List conversations={found} currentId={currentId} onPick={onPick} onRename={setRenaming} onRemove={setRemoving}>
        {found.length === 0 && <p className="quiet">{query ? words.noMatch : words.noChats}</p>}
      </List>
      <div className="foot">
        <button type="button" className="bottom" onClick={onSettings}>
          <Sliders /> {words.settings}
        </button>
        <button type="button" className="bottom" lang={words.locale === 'fr' ? 'en' : 'fr'} onClick={onLanguage}>
          {words.other}
        </button>
      </div>
      {renaming && <Rename conversation={renaming} onRename={(title) => store.rename(renaming.id, title)} onClose={() => setRenaming(null)} />}
      {removing && (
        <Confirm title={words.remove} action={words.remove} onYes={() => remove(removing)} onClose={() => setRemoving(null)}>
          {words.removeSure(removing.title || words.untitled)}
        </Confirm>
      )}
    </nav>
  );
});

interface ListProps {
  conversations: Conversation[];
  currentId: string;
  onPick: (id: string) => void;
  onRename: (conversation: Conversation) => void;
  onRemove: (conversation: Conversation) => void;
  children: ReactNode;
}

/** One list with its headings; only the rows in sight are on the page, for there may be thousands. */
function List({ conversations, currentId, onPick, onRename, onRemove, children }: ListProps) {
  const words = useWords();
  const place = useRef<HTMLDivElement>(null);
  const rows = useMemo<(string | Conversation)[]>(() => grouped(conversations, words).flatMap(([name, members]) => [name, ...members]), [conversations, words]);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => place.current,
    estimateSize: (index) => (typeof rows[index] === 'string' ? 32 : 38),
    getItemKey: (index) => keyOf(rows[index]),
    overscan: 8,
    useFlushSync: false,
  });
  return (
    <div className="list" ref={place}>
      <ul style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map(({ index, start, key }) => {
          const row = rows[index];
          const at = { 'data-index': index, ref: virtual.measureElement, style: { transform: `translateY(${start}px)` } };
          if (typeof row === 'string') return <li key={key} {...at} className="heading"><h2>{row}</h2></li>;
          return row && (
            <li key={key} {...at} className={row.id === currentId ? 'current' : undefined}>
              <button type="button" className="pick" dir="auto" aria-current={row.id === currentId ? 'page' : undefined} title={row.title} onClick={() => onPick(row.id)}>
                {row.title || words.untitled}
              </button>
              <button type="button" className="tool" aria-label={words.renameNamed(row.title)} title={words.rename} onClick={() => onRename(row)}>
                <Pencil />
              </button>
              <button type="button" className="tool" aria-label={words.removeNamed(row.title)} title={words.remove} onClick={() => onRemove(row)}>
                <Bin />
              </button>
            </li>
          );
        })}
      </ul>
      {children}
    </div>
  );
}

const keyOf = (row: string | Conversation | undefined): string => (typeof row === 'object' ? row.id : `heading ${row}`);

function Rename({ conversation, onRename, onClose }: { conversation: Conversation; onRename: (title: string) => void; onClose: () => void }) {
  const words = useWords();
  const [title, setTitle] = useState(conversation.title);
  const save = (): void => {
    onRename(title);
    onClose();
  };
  return (
    <Dialog title={words.rename} onClose={onClose}>
      <form onSubmit={(event) => (event.preventDefault(), save())}>
        <input data-first dir="auto" value={title} aria-label={words.newTitle} onChange={(event) => setTitle(event.target.value)} />
        <footer>
          <button type="button" className="button" onClick={onClose}>
            {words.cancel}
          </button>
          <button type="submit" className="button button-main">
            {words.save}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

function grouped(conversations: Conversation[], words: (typeof languages)['en']): [string, Conversation[]][] {
  const midnight = new Date().setHours(0, 0, 0, 0);
  const yesterday = midnight - 24 * 3600 * 1000;
  const groups: [string, Conversation[]][] = [
    [words.today, conversations.filter((one) => one.updated >= midnight)],
    [words.yesterday, conversations.filter((one) => one.updated < midnight && one.updated >= yesterday)],
    [words.earlier, conversations.filter((one) => one.updated < yesterday)],
  ];
  return groups.filter(([, members]) => members.length > 0);
}
