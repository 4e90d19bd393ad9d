// What was under way when the page was closed or reloaded, in IndexedDB: where each file goes, its size and time, the address of its
// upload, and where the browser has one a handle with which it can be read again. Without IndexedDB (in some private windows) or locks
// nothing is remembered, and nothing else is different.
//
// Several tabs share the memory. Each holds a lock as long as it lives, and what belongs to a lock that nobody holds was interrupted.

const KEPT_MS = 7 * 24 * 3600 * 1000; // as long as the server keeps an upload to which nothing comes
const FORGET_MS = 500;
const LOCK = "fastfile-uploads-";

function promised(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function openDatabase() {
  const opening = indexedDB.open("fastfile-uploads", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("items", { keyPath: "id" });
  return promised(opening);
}

// Resolves when it is held; it is until the page ends.
function holdLock(name) {
  return new Promise((resolve, reject) => {
    const hold = () => {
      resolve();
      return new Promise(() => {});
    };
    navigator.locks.request(name, hold).catch(reject);
  });
}

async function heldLocks() {
  const { held } = await navigator.locks.query();
  return new Set(held.map((lock) => lock.name));
}

function recordOf(item, owner, user) {
  const { id, href, base, path, size, mtime, url, handle, root, isPaused } = item;
  return { id, href, base, path, size, mtime, url, handle, root, isPaused, owner, user, at: Date.now() };
}

export class Memory {
  #owner = `${Date.now()}-${Math.random()}`;
  #user;
  #opened;
  #forgotten = [];

  // user: whose uploads these are; another one does not see them.
  constructor(user) {
    this.#user = user;
    this.#opened = Promise.all([openDatabase(), holdLock(LOCK + this.#owner)]).then(([database]) => database, () => null);
    addEventListener("pagehide", () => this.forget([]));
  }

  async #change(change) {
    const database = await this.#opened;
    if (!database) return;
    try {
      const items = database.transaction("items", "readwrite", { durability: "relaxed" }).objectStore("items");
      change(items);
      await new Promise((resolve) => {
        items.transaction.oncomplete = items.transaction.onabort = resolve;
      });
    } catch {
      // A full disk, or a database that somebody has cleared, is no reason to stop uploading.
    }
  }

  // Also to change what is remembered of them.
  keep(items) {
    if (items.length === 0) return undefined;
    return this.#change((stored) => {
      for (const item of items) stored.put(recordOf(item, this.#owner, this.#user));
    });
  }

  // Within a moment: thousands of small files come one by one.
  forgetSoon(item) {
    if (this.#forgotten.length === 0) setTimeout(() => this.forget([]), FORGET_MS);
    this.#forgotten.push(item);
  }

  forget(items) {
    this.#forgotten.push(...items);
    if (this.#forgotten.length === 0) return undefined;
    const gone = this.#forgotten.splice(0);
    return this.#change((stored) => {
      for (const item of gone) stored.delete(item.id);
    });
  }

  // What no tab works on any more. From now on it is this one's.
  async takeInterrupted() {
    const database = await this.#opened;
    if (!database) return [];
    const held = await heldLocks().catch(() => null);
    if (!held) return [];
    const found = [];
    await this.#change((stored) => {
      stored.openCursor().onsuccess = ({ target: { result: cursor } }) => {
        if (!cursor) return;
        const record = cursor.value;
        const isOld = record.at < Date.now() - KEPT_MS;
        if (isOld) cursor.delete();
        else if (record.user === this.#user && !held.has(LOCK + record.owner)) {
          found.push(record);
          cursor.update({ ...record, owner: this.#owner });
        }
        cursor.continue();
      };
    });
    return found;
  }
}
