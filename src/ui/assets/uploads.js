// Uploads into the open folder and into those in it: buttons, drag and drop, and paste; what the user is asked about conflicts; and the
// folder is shown anew as files arrive.
import { choose, notify } from "./dialog.js";
import { element, isWriting } from "./dom.js";
import { dropped, hasFiles, pasted, pick } from "./drop.js";
import { conflict } from "./names.js";
import { nameOf, parentHref, shownName } from "./paths.js";
import { Queue } from "./upload.js";
import { Memory } from "./upload_memory.js";
import { Panel } from "./upload_panel.js";

const RELOAD_MS = 1000; // between two, at least
const HINT_MS = 1000; // after the last sign that something hangs over the page; the end of it is not always told
const READ_ONLY = "You may look at this folder, but not put anything into it.";

// --- conflicts ---

// {value: "replace" | "keep" | "skip", all}, or null when the dialog was closed. isOne: no other one will be asked about.
function askAboutConflict(item, there, isOne) {
  return choose({ ...conflict(item, item.folder, there, { mayReplace: !there.isFolder }), all: isOne ? undefined : "Do this for all" });
}

// --- the folder that is open ---

// Shows it anew when something has arrived in it; not more often than a long listing can be made.
function reloadAsFilesArrive(app, queue) {
  let timer = 0;
  let pause = RELOAD_MS;
  const reload = async () => {
    const begin = performance.now();
    await app.folder.reload();
    pause = Math.max(RELOAD_MS, 4 * (performance.now() - begin));
    timer = 0;
  };
  queue.addEventListener("stored", ({ detail: href }) => {
    if (parentHref(href) === app.folder.href) timer ||= setTimeout(reload, pause);
  });
}

// --- drag and drop ---

const isBehindDialog = () => document.querySelector(":modal") !== null;

// Where a drop would go: {href, node} of a folder's row, or the open folder.
function targetOf(app, event) {
  const entry = app.view.entryOf(event.target);
  return entry?.isFolder ? { href: entry.href, node: app.view.rowOf(entry) } : { href: app.folder.href, node: null };
}

class DropTarget {
  #app;
  #add;
  #row = null;
  #timer = 0;

  constructor(app, add) {
    this.#app = app;
    this.#add = add;
    this.hint = element("div", { class: "drop-hint", hidden: true });
    document.body.append(this.hint);
    document.addEventListener("dragover", (event) => this.#over(event));
    document.addEventListener("dragleave", (event) => event.relatedTarget === null && this.#leave());
    document.addEventListener("drop", (event) => this.#drop(event));
  }

  #over(event) {
    if (!hasFiles(event.dataTransfer)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
    if (isBehindDialog()) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#leave(), HINT_MS);
    const { writable } = this.#app.folder;
    const { href, node } = targetOf(this.#app, event);
    this.hint.hidden = false;
    this.hint.replaceChildren(...(writable ? ["Drop to upload to ", element("bdi", {}, shownName(nameOf(href)) || "Files")] : [READ_ONLY]));
    if (!writable) return;
    event.dataTransfer.dropEffect = "copy";
    this.#mark(node);
    document.body.classList.add("dropping");
  }

  #mark(row) {
    if (row === this.#row) return;
    this.#row?.classList.remove("drop-target");
    row?.classList.add("drop-target");
    this.#row = row;
  }

  #leave() {
    clearTimeout(this.#timer);
    this.#mark(null);
    this.hint.hidden = true;
    document.body.classList.remove("dropping");
  }

  #drop(event) {
    this.#leave();
    if (!hasFiles(event.dataTransfer)) return;
    event.preventDefault();
    if (!isBehindDialog()) this.#add(dropped(event.dataTransfer), targetOf(this.#app, event).href);
  }
}

// --- all of it ---

export function install(app) {
  const { folder } = app;
  const queue = new Queue({ memory: new Memory(app.facts.user), ask: askAboutConflict });
  const panel = new Panel(queue, { findAgain });

  // found: an array, or arrays one after the other.
  async function add(found, href) {
    if (!folder.writable) return notify(READ_ONLY, { isError: true });
    const batch = {};
    if (Array.isArray(found)) queue.add(found, href, batch);
    else for await (const some of found) queue.add(some, href, batch);
    return undefined;
  }

  // First what the browser still lets us read, then by asking for it.
  async function findAgain(items) {
    if (items.some((item) => item.handle)) await queue.resumeByHandle();
    const [missing] = items.filter((item) => item.state === "interrupted");
    if (!missing) return;
    const found = await pick({ isFolder: missing.path.includes("/") });
    const others = queue.provide(found);
    if (found.length > 0 && others === found.length) notify(`That is not the file that is needed, or it has changed: “${shownName(missing.path)}”.`, { isError: true });
  }

  // Into the folder that is open now, whatever is open when something has been chosen.
  async function pickInto(href, options) {
    const found = await pick(options);
    queue.add(found, href, {});
  }

  app.addAction({ id: "upload", label: "Upload", icon: "upload", isMain: true, place: ["bar", "background"], help: "Upload files", when: () => folder.writable, run: () => pickInto(folder.href) });
  app.addAction({ id: "upload-folder", label: "Upload folder", icon: "upload-folder", place: ["bar", "background"], when: () => folder.writable, run: () => pickInto(folder.href, { isFolder: true }) });
  new DropTarget(app, add);
  document.addEventListener("paste", (event) => {
    if (isWriting(event.target) || isBehindDialog() || !event.clipboardData || event.clipboardData.files.length === 0) return;
    event.preventDefault();
    add(pasted(event.clipboardData), folder.href);
  });
  addEventListener("beforeunload", (event) => queue.isBusy && event.preventDefault());
  reloadAsFilesArrive(app, queue);
  document.body.append(panel.element);
  queue.recall();
}
