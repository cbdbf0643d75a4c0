/** Conversations in IndexedDB. Where the browser refuses it (some private windows), they live as long as the page does.
 *
 *  Several windows write here, so nothing is overwritten: a write reads what is there and adds to it, in one transaction.
 *  A deleted conversation leaves a mark, so that a window that still has it does not bring it back.
 */

import { merge } from './merge';
import type { Conversation } from './types';

export interface Storage {
  /** False when nothing outlives the page. */
  lasting: boolean;
  all(): Promise<Conversation[]>;
  get(id: string): Promise<Conversation | undefined>;
  /** Adds `conversation` to what is kept of it. False: it was deleted. */
  put(conversation: Conversation): Promise<boolean>;
  /** Adds what is kept to `conversation`, which is older, or was deleted and is wanted back. */
  take(conversation: Conversation): Promise<Conversation>;
  remove(id: string): Promise<void>;
  clear(): Promise<void>;
}

interface Removed {
  id: string;
  removed: number;
}

type Row = Conversation | Removed;

const NAME = 'creuset';
const TABLE = 'conversations';

const gone = (row: Row): row is Removed => 'removed' in row;

function promised<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(TABLE, { keyPath: 'id' });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

export async function openStorage(): Promise<Storage> {
  try {
    return inDatabase(await open());
  } catch {
    return inMemory();
  }
}

function inDatabase(database: IDBDatabase): Storage {
  const rows = (): Promise<Row[]> => promised(database.transaction(TABLE, 'readonly').objectStore(TABLE).getAll());
  /** Reads the row `id` and writes what `change` makes of it; resolves when that is on the disk. */
  const rewrite = (id: string, change: (row: Row | undefined) => Row | undefined): Promise<Row | undefined> =>
    new Promise((resolve, reject) => {
      const transaction = database.transaction(TABLE, 'readwrite');
      const table = transaction.objectStore(TABLE);
      let made: Row | undefined;
      const reading: IDBRequest<Row | undefined> = table.get(id);
      reading.onsuccess = () => {
        made = change(reading.result);
        if (made) table.put(made);
      };
      transaction.oncomplete = () => resolve(made);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  return {
    lasting: true,
    all: async () => (await rows()).filter((row): row is Conversation => !gone(row)),
    get: async (id) => {
      const row = await promised<Row | undefined>(database.transaction(TABLE, 'readonly').objectStore(TABLE).get(id));
      return row && !gone(row) ? row : undefined;
    },
    put: async (conversation) => Boolean(await rewrite(conversation.id, (row) => (!row ? conversation : gone(row) ? undefined : merge(row, conversation)))),
    take: async (conversation) => (await rewrite(conversation.id, (row) => (row && !gone(row) ? merge(conversation, row) : conversation))) as Conversation,
    remove: async (id) => void (await rewrite(id, () => ({ id, removed: Date.now() }))),
    clear: () =>
      new Promise((resolve, reject) => {
        const transaction = database.transaction(TABLE, 'readwrite');
        const table = transaction.objectStore(TABLE);
        const reading = table.getAllKeys();
        reading.onsuccess = () => reading.result.forEach((id) => table.put({ id, removed: Date.now() }));
        transaction.oncomplete = () => resolve();
        transaction.onerror = transaction.onabort = () => reject(transaction.error);
      }),
  };
}

function inMemory(): Storage {
  const kept = new Map<string, Conversation>();
  return {
    lasting: false,
    all: async () => [...kept.values()],
    get: async (id) => kept.get(id),
    put: async (conversation) => Boolean(kept.set(conversation.id, conversation)),
    take: async (conversation) => {
      const other = kept.get(conversation.id);
      kept.set(conversation.id, other ? merge(conversation, other) : conversation);
      return kept.get(conversation.id) as Conversation;
    },
    remove: async (id) => void kept.delete(id),
    clear: async () => kept.clear(),
  };
}
