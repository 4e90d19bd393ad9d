// The folder that is open: what is in it, in which order and filtered how, what is selected, and where the cursor is. No DOM.
//
// Events: "load" (state, failure or another folder), "change" (what is shown: entries, order, filter), "sort" (the order only),
// "selection" (selected, cursor).
import { Failure, list } from "./api.js";

// Folders come first whatever the order. The server orders by name, which is not done again; sorts here are stable, so that what
// is alike stays ordered by name.
const ORDERS = {
  name: null,
  size: (a, b) => a.size - b.size,
  time: (a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0),
};

function sorted(entries, key, descending) {
  const compare = ORDERS[key];
  const folders = entries.filter((entry) => entry.isFolder);
  const files = entries.filter((entry) => !entry.isFolder);
  const sign = descending ? -1 : 1;
  for (const part of [folders, files]) {
    if (compare) part.sort((a, b) => sign * compare(a, b));
    else if (descending) part.reverse();
  }
  return folders.concat(files);
}

export class Folder extends EventTarget {
  href = "/";
  writable = false;
  state = "loading"; // "ready", "failed"
  failure = null; // why it failed; in "ready": why it could not be looked at again
  entries = []; // all, by name
  shown = []; // what of them is seen, in its order
  selected = new Set(); // of Entry.href
  cursor = 0; // an index in shown
  isFresh = true; // whether nobody has moved the cursor yet
  sort = { key: "name", descending: false };
  filterText = "";
  #ordered = []; // all, in the order of `sort`
  #anchor = 0; // where a range begins
  #loading = null;
  #loaded = null; // a promise of it

  // --- loading ---

  // Shows another folder. How it gets into the history is the caller's business (app.open()).
  async open(href, { sort = this.sort } = {}) {
    this.href = href;
    this.sort = sort;
    this.#empty();
    this.filterText = "";
    this.state = "loading";
    this.failure = null;
    this.#tell("load", "change", "selection");
    await this.#load();
  }

  // Asks again what is in it. What is selected stays so, the cursor stays on its entry.
  async reload() {
    await this.#load();
  }

  #empty() {
    this.entries = this.#ordered = this.shown = [];
    this.selected = new Set();
    this.cursor = this.#anchor = 0;
    this.isFresh = true;
  }

  // Who waits for a load that another one takes over waits for that.
  async #load() {
    this.#loading?.abort();
    this.#loading = new AbortController();
    this.#loaded = this.#ask(this.#loading);
    let waited = null;
    while (waited !== this.#loaded) {
      waited = this.#loaded;
      await waited;
    }
  }

  async #ask(loading) {
    try {
      const first = (entries) => loading === this.#loading && this.#takeFirst(entries);
      const found = await list(this.href, { signal: loading.signal, first });
      if (loading === this.#loading) this.#take(found);
    } catch (failure) {
      if (loading !== this.#loading) return;
      if (!(failure instanceof Failure)) throw failure;
      this.failure = failure;
      // What was seen stays, if only the server cannot be asked.
      if (this.state === "ready" && ![403, 404].includes(failure.status)) {
        this.#tell("load");
        return;
      }
      this.state = "failed";
      this.writable = false;
      this.#empty();
      this.#tell("load", "change", "selection");
    }
  }

  // Those that come first are shown while the rest is on its way.
  #takeFirst(entries) {
    if (this.entries.length > 0 || this.sort.key !== "name" || this.sort.descending) return;
    this.entries = this.#ordered = entries;
    this.#choose();
    this.#tell("change");
  }

  #take({ entries, writable }) {
    const at = this.shown[this.cursor]?.href;
    this.writable = writable;
    this.entries = entries;
    this.state = "ready";
    this.failure = null;
    if (this.selected.size > 0) {
      const here = new Set(entries.map((entry) => entry.href));
      this.selected = new Set([...this.selected].filter((href) => here.has(href)));
    }
    this.#order();
    this.#choose(at);
    this.#tell("load", "change", "selection");
  }

  // --- order and filter ---

  sortBy(key, descending) {
    const at = this.shown[this.cursor]?.href;
    this.sort = { key: Object.hasOwn(ORDERS, key) ? key : "name", descending };
    this.#order();
    this.#choose(at);
    this.#tell("sort", "change");
  }

  // The cursor goes to the first one found; without a filter it stays where it is.
  filter(text) {
    const at = text === "" ? this.shown[this.cursor]?.href : undefined;
    this.filterText = text;
    if (text !== "") this.cursor = 0;
    this.#choose(at);
    this.#tell("change");
  }

  #order() {
    this.#ordered = sorted(this.entries, this.sort.key, this.sort.descending);
  }

  // Those whose name has all words of the filter; the cursor goes to the entry `at` if that is still seen.
  #choose(at) {
    const words = fold(this.filterText).split(/\s+/).filter(Boolean);
    const matches = (entry) => words.every((word) => foldedName(entry).includes(word));
    this.shown = words.length === 0 ? this.#ordered : this.#ordered.filter(matches);
    const found = at === undefined ? -1 : this.shown.findIndex((entry) => entry.href === at);
    this.cursor = found >= 0 ? found : Math.max(0, Math.min(this.cursor, this.shown.length - 1));
    this.#anchor = this.cursor;
  }

  // --- selection and cursor ---

  get current() {
    return this.shown[this.cursor];
  }

  // What is selected, in the order in which it is seen (without what the filter hides).
  get selection() {
    return this.selected.size === 0 ? [] : this.shown.filter((entry) => this.selected.has(entry.href));
  }

  select(entries) {
    this.selected = new Set(entries.map((entry) => entry.href));
    this.#tell("selection");
  }

  selectOnly(index) {
    this.#moveTo(index);
    this.select([this.shown[index]]);
  }

  selectToggle(index) {
    this.#moveTo(index);
    const { href } = this.shown[index];
    if (!this.selected.delete(href)) this.selected.add(href);
    this.#tell("selection");
  }

  // From where the last selection began up to here.
  selectRange(index, { keep = false } = {}) {
    const [from, to] = [Math.min(this.#anchor, index), Math.max(this.#anchor, index)];
    const range = this.shown.slice(from, to + 1).map((entry) => entry.href);
    this.selected = new Set(keep ? [...this.selected, ...range] : range);
    this.cursor = index;
    this.isFresh = false;
    this.#tell("selection");
  }

  selectAll() {
    this.select(this.shown);
  }

  selectNone() {
    if (this.selected.size > 0) this.select([]);
  }

  setCursor(index) {
    if (this.shown.length === 0) return;
    this.#moveTo(Math.max(0, Math.min(index, this.shown.length - 1)));
    this.#tell("selection");
  }

  // Puts the cursor on an entry, if it is seen.
  setCursorTo(href) {
    const index = this.shown.findIndex((entry) => entry.href === href);
    if (index >= 0) this.setCursor(index);
    return index >= 0;
  }

  // Puts the cursor on the next name that begins with `text`; a single character goes on from the cursor to the next one.
  find(text) {
    const start = this.cursor + ([...text].length === 1 && !this.isFresh ? 1 : 0);
    const wanted = fold(text);
    for (let step = 0; step < this.shown.length; step++) {
      const index = (start + step) % this.shown.length;
      if (!foldedName(this.shown[index]).startsWith(wanted)) continue;
      this.selectOnly(index);
      return true;
    }
    return false;
  }

  #moveTo(index) {
    this.cursor = this.#anchor = index;
    this.isFresh = false;
  }

  #tell(...types) {
    for (const type of types) this.dispatchEvent(new Event(type));
  }
}

// Without case and accents.
function fold(text) {
  return (isAscii(text) ? text : text.normalize("NFD").replace(/\p{Mn}/gu, "")).toLowerCase();
}

const isAscii = (text) => /^[\0-\x7f]*$/.test(text);

const foldedName = (entry) => (entry.folded ??= fold(entry.name));
