import { memo, useState, type RefObject } from 'react';
import type { Store } from '../chat/store';
import { matches } from '../chat/tree';
import type { Conversation } from '../chat/types';
import { useWords, type languages } from '../words/context';
import { Confirm, Dialog } from './Dialog';
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
  const found = query.trim() ? conversations.filter((conversation) => matches(conversation, query)) : conversations;
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
          onKeyDown={(event) => event.key === 'Enter' && found[0] && onPick(found[0].id)} />
        <kbd>Ctrl K</kbd>
      </div>
      <div className="list">
        {grouped(found, words).map(([name, members]) => (
          <section key={name}>
            <h2>{name}</h2>
            <ul>
              {members.map((conversation) => (
                <li key={conversation.id} className={conversation.id === currentId ? 'current' : undefined}>
                  <button type="button" className="pick" aria-current={conversation.id === currentId ? 'page' : undefined} title={conversation.title} onClick={() => onPick(conversation.id)}>
                    {conversation.title || words.untitled}
                  </button>
                  <button type="button" className="tool" aria-label={words.renameNamed(conversation.title)} title={words.rename} onClick={() => setRenaming(conversation)}>
                    <Pencil />
                  </button>
                  <button type="button" className="tool" aria-label={words.removeNamed(conversation.title)} title={words.remove} onClick={() => setRemoving(conversation)}>
                    <Bin />
                  </button>
                </li>
              ))}
            </ul>
          </section>
        ))}
        {found.length === 0 && <p className="quiet">{query ? words.noMatch : words.noChats}</p>}
      </div>
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
        <input data-first value={title} aria-label={words.newTitle} onChange={(event) => setTitle(event.target.value)} />
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
