/** Conversations in IndexedDB. Where the browser refuses it (some private windows), they live as long as the page does. */

import type { Conversation } from './types';

export interface Storage {
  /** False when nothing outlives the page. */
  lasting: boolean;
  all(): Promise<Conversation[]>;
  get(id: string): Promise<Conversation | undefined>;
  put(conversation: Conversation): Promise<void>;
  remove(id: string): Promise<void>;
  clear(): Promise<void>;
}

const NAME = 'creuset';
const TABLE = 'conversations';

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
  const table = (mode: IDBTransactionMode) => database.transaction(TABLE, mode).objectStore(TABLE);
  return {
    lasting: true,
    all: () => promised<Conversation[]>(table('readonly').getAll()),
    get: (id) => promised<Conversation | undefined>(table('readonly').get(id)),
    put: async (conversation) => void (await promised(table('readwrite').put(conversation))),
    remove: async (id) => void (await promised(table('readwrite').delete(id))),
    clear: async () => void (await promised(table('readwrite').clear())),
  };
}

function inMemory(): Storage {
  const kept = new Map<string, Conversation>();
  return {
    lasting: false,
    all: async () => [...kept.values()],
    get: async (id) => kept.get(id),
    put: async (conversation) => void kept.set(conversation.id, conversation),
    remove: async (id) => void kept.delete(id),
    clear: async () => kept.clear(),
  };
}
