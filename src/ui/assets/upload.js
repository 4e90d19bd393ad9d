// The queue of uploads: what is to be sent, in which order, and what is done when something goes wrong. It knows no DOM.
//
// It promises: no file is overwritten unless the user said so. Whatever happens to the connection, the session or the page, no
// item is lost silently: it is stored, waits, or says what is wrong. What had arrived of a large file is not sent again.
//
// Few things go on at once, for a browser has six connections to a server, and the folder view wants to have some too.
import { failureOf, request } from "./api.js";
import { decodeName, parentHref } from "./paths.js";
import { PART_LEAST, store } from "./upload_http.js";
import { Item, keyOf } from "./upload_item.js";
import { Rate } from "./upload_rate.js";
import { backOff, checkReadable, explained, isPassing, look, pause, quietly, unlessAborted } from "./upload_trouble.js";

const REQUESTS_MOST = 4;
const LARGE_MOST = 2;
const TRIES_MOST = 6; // in a row without any progress, while the server can be reached
const FILE_COST_BYTES = 50_000; // sending a file costs as much time as so many bytes more of one would
const PROGRESS_MS = 250;

const wholeSeconds = (milliseconds) => Math.floor(milliseconds / 1000) * 1000; // as the server keeps times
const isCounted = (state) => ["waiting", "running", "asking", "paused", "done"].includes(state);

// Events: "change" (something looks different now; while only bytes flow, four times a second at most) and "stored" (detail: the
// address of what is there now).
export class Queue extends EventTarget {
  items = new Set();
  isPaused = false;
  isOffline = false;
  isLoggedOut = false;
  rate = new Rate(); // of bytes
  totals = { files: 0, done: 0, bytes: 0, sent: 0 }; // of what waits, goes on, or is done
  counts = {}; // by state
  #costRate = new Rate();
  #waiting = { large: new Set(), small: new Set() };
  #running = new Map(); // items to AbortControllers
  #folders = new Map(); // addresses to promises that they are there
  #interrupted = new Map(); // keys to items
  #questions = new Set();
  #isAsking = false;
  #reconnecting = null;
  #loggingIn = null;
  #changeTimer = 0;
  #memory;
  #ask;

  // memory: see upload_memory.js. ask: async (item, {size, mtime} or {isFolder} of what has its name, whether no other one of its batch
  // can be asked about) → {value: "replace" | "keep" | "skip", all: bool}; null skips it too.
  constructor({ memory, ask }) {
    super();
    this.#memory = memory;
    this.#ask = ask;
  }

  get isBusy() {
    const { waiting = 0, running = 0, asking = 0, paused = 0 } = this.counts;
    return waiting + running + asking + paused > 0;
  }

  // Infinity where nothing is known yet.
  get secondsLeft() {
    const { files, done, bytes, sent } = this.totals;
    return (bytes - sent + FILE_COST_BYTES * (files - done)) / this.#costRate.perSecond();
  }

  // From 0 to 1.
  get progress() {
    const { files, done, bytes, sent } = this.totals;
    return (sent + FILE_COST_BYTES * done) / Math.max(1, bytes + FILE_COST_BYTES * files);
  }

  // --- what the user does ---

  // found: [{path, file, handle, root} | {path, isFolder: true} | {path, problem}] (drop.js); base: the folder's address. What is added
  // with the same `batch` shares the answer to "do this for all".
  add(found, base, batch) {
    if (found.length === 0) return;
    if (!this.isBusy && !batch.answers) this.clear();
    if (!batch.answers) this.#folders.clear(); // somebody may have removed some meanwhile
    batch.answers ??= {};
    const added = [];
    for (const one of found) {
      const item = new Item(this, base, one);
      const known = one.file && this.#interrupted.get(item.key);
      if (known) {
        this.#give(known, one.file);
        continue;
      }
      item.batch = batch;
      item.message = one.problem ?? "";
      this.items.add(item);
      this.#enter(item, one.problem ? "failed" : "waiting");
      if (item.file) added.push(item);
    }
    this.#memory.keep(added);
    this.#pump();
  }

  pause(items) {
    for (const item of items) {
      item.isPaused = true;
      const controller = this.#running.get(item);
      if (controller) controller.abort("pause");
      else if (item.state === "waiting") this.#enter(item, "paused");
    }
    this.#memory.keep([...items].filter((item) => item.state === "paused"));
    this.#changed();
  }

  // Goes on with what is paused, and tries again what failed.
  resume(items) {
    this.#folders.clear();
    for (const item of items) {
      item.isPaused = false;
      if (item.state !== "paused" && !(item.state === "failed" && (item.file || item.isFolder))) continue;
      item.attempts = 0;
      this.#enter(item, "waiting");
      this.remember(item);
    }
    this.#pump();
  }

  cancel(items) {
    const gone = [...items].filter((item) => item.state !== "done");
    for (const item of gone) {
      this.#interrupted.delete(item.key);
      this.items.delete(item);
      this.#enter(item, "cancelled");
      this.#running.get(item)?.abort("cancel");
    }
    this.#forget(gone);
    this.#pump();
  }

  // Nothing is kept of them, neither here nor on the server.
  #forget(items) {
    for (const { url } of items) if (url) request("DELETE", url).catch(() => {}); // it would go by itself after a week
    this.#memory.forget(items);
  }

  pauseAll() {
    this.isPaused = true;
    for (const controller of this.#running.values()) controller.abort("hold");
    this.#changed();
  }

  resumeAll() {
    this.isPaused = false;
    this.rate.restart();
    this.#costRate.restart();
    this.resume([...this.items].filter((item) => item.state === "paused"));
  }

  // Takes what is over from the list. What failed stays: it can be tried again.
  clear() {
    for (const item of this.items) {
      if (!["done", "skipped"].includes(item.state)) continue;
      this.items.delete(item);
      this.#enter(item, "cancelled");
    }
    if (!this.isBusy) {
      this.rate.restart();
      this.#costRate.restart();
    }
    this.#changed();
  }

  // --- what a reload has interrupted ---

  // What can be read without asking goes on at once.
  async recall() {
    const records = await this.#memory.takeInterrupted();
    records.sort((one, other) => Boolean(other.url) - Boolean(one.url)); // of two tabs that had to send the same one goes on
    const others = [];
    for (const record of records) {
      const { id, href, url, isPaused } = record;
      const item = new Item(this, record.base, record);
      Object.assign(item, { id, href, url, isPaused, batch: { answers: {} }, name: decodeName(href.split("/").pop()) });
      if (this.#interrupted.has(item.key)) {
        others.push(item);
        continue;
      }
      this.items.add(item);
      this.#interrupted.set(item.key, item);
      this.#enter(item, "interrupted");
    }
    this.#forget(others);
    for (const item of [...this.#interrupted.values()]) if (!item.isPaused) await this.#read(item, "queryPermission");
    this.#pump();
  }

  // For when the user has clicked: the browser may ask whether we may read what was dropped before.
  async resumeByHandle() {
    for (const item of [...this.#interrupted.values()]) await this.#read(item, "requestPermission");
  }

  async #read(item, permission) {
    if (!item.handle) return;
    try {
      if ((await (item.root ?? item.handle)[permission]({ mode: "read" })) !== "granted") return;
      const file = await item.handle.getFile();
      if (item.state !== "interrupted") return; // it was given or cancelled meanwhile
      if (file.size !== item.size || file.lastModified !== item.mtime) return;
      this.#give(item, file);
      this.#pump();
    } catch {
      // It is not there any more, or may not be read: it has to be chosen by hand.
    }
  }

  // The same files again, found anew. Returns how many were none of those that are needed.
  provide(found) {
    const needed = new Map();
    const lastName = (path) => path.split("/").pop();
    for (const item of this.#interrupted.values()) {
      const key = keyOf(lastName(item.path), item.size, item.mtime);
      needed.set(key, [...(needed.get(key) ?? []), item]);
    }
    let others = 0;
    for (const { path, file } of found) {
      const alike = (file && needed.get(keyOf(lastName(path), file.size, file.lastModified))) || [];
      const [item] = alike.splice(Math.max(0, alike.findIndex((one) => one.path === path)), 1);
      if (item) this.#give(item, file);
      else others++;
    }
    this.#pump();
    return others;
  }

  #give(item, file) {
    this.#interrupted.delete(item.key);
    item.file = file;
    item.isPaused = false;
    this.#enter(item, "waiting");
    this.remember(item);
  }

  // --- the work ---

  #pump() {
    const isFree = () => !this.isPaused && this.#running.size < REQUESTS_MOST;
    const large = () => [...this.#running.keys()].filter((item) => item.isLarge).length;
    while (isFree()) {
      const [next] = large() < LARGE_MOST && this.#waiting.large.size > 0 ? this.#waiting.large : this.#waiting.small;
      if (!next) break;
      this.#run(next);
    }
    this.#changed();
  }

  async #run(item) {
    const controller = new AbortController();
    let reason = null;
    this.#running.set(item, controller);
    this.#enter(item, "running");
    item.rate.restart();
    try {
      await this.#work(item, controller.signal);
    } catch (error) {
      reason = error;
    }
    this.#running.delete(item);
    if (item.state === "running") this.#end(item, reason); // or it was cancelled
    this.#pump();
  }

  // reason: null, one of the words below, or an error.
  #end(item, reason) {
    if (reason === null) return this.#succeed(item);
    if (!item.url) this.noteProgress(item, 0);
    if (reason === "hold" || (reason === "pause" && !item.isPaused)) this.#enter(item, "waiting", { isFirst: true });
    else if (reason === "pause") this.#enter(item, "paused");
    else if (reason === "skip") this.#apply(item, "skip");
    else if (reason === "ask") {
      this.#enter(item, "asking");
      this.#askAll();
    } else {
      item.message = reason.message;
      this.#enter(item, "failed");
      if (!item.url) this.#memory.forgetSoon(item);
    }
    if (reason === "pause") this.remember(item);
    return undefined;
  }

  #succeed(item) {
    this.noteProgress(item, item.size);
    this.#costRate.add(FILE_COST_BYTES);
    this.#enter(item, "done");
    this.#memory.forgetSoon(item);
    this.#announce(item.href);
  }

  async #work(item, signal) {
    let met = 0; // the status that has told that something has its name
    for (let isStored = false; !isStored;) {
      try {
        isStored = met ? await this.#meet(item, met === 405, signal) : await this.#put(item, signal);
        met = 0;
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        if (error === "ask") throw error;
        if (!item.isFolder && [405, 412].includes(error.status)) met = error.status;
        else await this.#recover(item, error, signal);
      }
    }
  }

  async #put(item, signal) {
    await this.#ensureFolder(item.isFolder ? item.href : item.folder, item.base, signal);
    if (!item.isFolder) await store(item, signal);
    return true;
  }

  // Makes the folder and those above it up to `base`, each once.
  async #ensureFolder(href, base, signal) {
    if (href === base) return;
    await this.#ensureFolder(parentHref(href), base, signal);
    if (!this.#folders.has(href)) {
      const made = this.#makeFolder(href);
      made.catch(() => this.#folders.delete(href));
      this.#folders.set(href, made);
    }
    await unlessAborted(this.#folders.get(href), signal);
  }

  async #makeFolder(href) {
    const { status } = await quietly("MKCOL", href, { accept: [405] });
    if (status === 201) return this.#announce(href);
    // It is there, unless it is a file that has the name.
    if ((await quietly("HEAD", href, { accept: [403, 404] })).status === 404) throw failureOf(409);
    return undefined;
  }

  // --- what can go wrong ---

  // Waits until it makes sense to try again. Throws what the user has to know.
  async #recover(item, error, signal) {
    const { status } = error;
    if (status === 401) await this.#logIn(signal);
    else if (status === 413 && item.size > PART_LEAST && item.partMost > PART_LEAST)
      item.partMost = Math.max(PART_LEAST, Math.floor(Math.min(item.partMost, item.size) / 2));
    else if (!isPassing(item, error)) throw await explained(item, error);
    else await this.#waitOut(item, error, signal);
  }

  async #waitOut(item, error, signal) {
    item.attempts++;
    item.rate.restart();
    if (error.status === 0) {
      await checkReadable(item);
      await this.#reconnect(signal);
    }
    if (item.attempts > TRIES_MOST) throw await explained(item, error);
    // A browser may have sent a part twice by itself, so that the offset was another one.
    if (item.attempts === 1 && (error.status === 0 || error.status === 409)) return;
    await pause(Math.max((error.retryAfter ?? 0) * 1000, backOff(item.attempts - 1)), signal);
  }

  // All wait together for the first answer to a small question.
  async #reconnect(signal) {
    this.#reconnecting ??= this.#findServer().finally(() => {
      this.#reconnecting = null;
    });
    await unlessAborted(this.#reconnecting, signal);
  }

  async #findServer() {
    for (let tries = 0; ; tries++) {
      await pause(backOff(tries));
      try {
        await fetch("/.fastfile/health", { cache: "no-store", redirect: "manual" });
        break;
      } catch {
        this.isOffline = true;
        this.#changed();
      }
    }
    this.isOffline = false;
    this.#changed();
  }

  // The first that is refused asks the user to log in (api.js does), the others wait. Who does not want to now, does not lose anything.
  async #logIn(signal) {
    this.#loggingIn ??= request("HEAD", "/", { accept: [403, 404] }).catch((error) => {
      if (error.status === 401) this.pauseAll();
      throw error;
    }).finally(() => {
      this.#loggingIn = null;
      this.isLoggedOut = false;
      this.#changed();
    });
    this.isLoggedOut = true;
    this.#changed();
    await unlessAborted(this.#loggingIn, signal);
  }

  // --- conflicts ---

  // Something has the item's name. It may be this very file: because an answer got lost when all of it had arrived, or because the
  // same folder is sent again to have the rest of it. So what has the same size and time is not asked about.
  // Resolves with whether it is stored then.
  async #meet(item, isFolder, signal) {
    item.meetsFolder = isFolder;
    if (item.answer === "keep") {
      item.becomeCopy();
      return false;
    }
    if (!isFolder && item.answerForAll !== "replace") {
      const there = await look(item, signal);
      item.isThere = there?.size === item.size && there.mtime === wholeSeconds(item.mtime);
    }
    if (!item.isThere) throw "ask";
    return true;
  }

  // One question after the other; the rest goes on meanwhile.
  async #askAll() {
    if (this.#isAsking) return;
    this.#isAsking = true;
    for (const item of this.#questions) {
      this.#questions.delete(item);
      try {
        await this.#askAbout(item);
      } catch (error) {
        // What it is about could not be looked at: it will be met again.
        if (item.state === "asking") this.#enter(item, error.status === 401 || isPassing(item, error) ? "waiting" : "failed");
        item.message = error.message;
      }
      this.#pump();
    }
    this.#isAsking = false;
  }

  async #askAbout(item) {
    if (item.answerForAll) return this.#apply(item, item.answerForAll);
    const there = item.meetsFolder ? { isFolder: true } : await look(item);
    if (!there) return this.#enter(item, "waiting"); // it has gone again
    const answer = await this.#ask(item, there, !this.#isAnotherOpen(item));
    if (answer?.all) item.answerForAll = answer.value;
    if (item.state !== "asking") return undefined;
    return this.#apply(item, answer?.value ?? "skip", there.etag);
  }

  // Whether another one of its batch may have to be asked about.
  #isAnotherOpen({ batch, id }) {
    const isOpen = (item) => item.batch === batch && item.id !== id && ["waiting", "running", "asking", "paused"].includes(item.state);
    return [...this.items].some(isOpen);
  }

  // etag: of what the user has agreed to replace, and nothing else.
  #apply(item, answer, etag = "") {
    if (answer === "skip") {
      this.#enter(item, "skipped");
      return this.#memory.forgetSoon(item);
    }
    item.answer = answer;
    if (answer === "keep") item.becomeCopy();
    else item.condition = etag.startsWith('"') ? { "If-Match": etag } : {};
    this.#enter(item, "waiting");
    return this.remember(item);
  }

  // --- books ---

  // For items only.
  noteProgress(item, sent) {
    const more = sent - item.sent;
    item.sent = sent;
    if (!isCounted(item.state)) return;
    this.totals.sent += more;
    if (more > 0) for (const rate of [item.rate, this.rate, this.#costRate]) rate.add(more);
    this.#changeTimer ||= setTimeout(() => this.#changed(), PROGRESS_MS);
  }

  // For items only.
  remember(item) {
    if (item.file && item.state !== "cancelled") this.#memory.keep([item]);
  }

  #changed() {
    clearTimeout(this.#changeTimer);
    this.#changeTimer = 0;
    this.dispatchEvent(new Event("change"));
  }

  #announce(href) {
    this.dispatchEvent(new CustomEvent("stored", { detail: href }));
  }

  #count(item, by) {
    if (!isCounted(item.state)) return;
    this.totals.files += by;
    this.totals.done += item.state === "done" ? by : 0;
    this.totals.bytes += by * item.size;
    this.totals.sent += by * item.sent;
  }

  #enter(item, state, { isFirst = false } = {}) {
    const size = item.isLarge ? "large" : "small";
    for (const waiting of Object.values(this.#waiting)) waiting.delete(item);
    this.#questions.delete(item);
    this.#count(item, -1);
    this.counts[item.state] = (this.counts[item.state] ?? 1) - 1;
    item.state = state;
    this.counts[state] = (this.counts[state] ?? 0) + 1;
    this.#count(item, 1);
    if (state === "waiting" && isFirst) this.#waiting[size] = new Set([item, ...this.#waiting[size]]);
    else if (state === "waiting") this.#waiting[size].add(item);
    if (state === "asking") this.#questions.add(item);
  }
}
