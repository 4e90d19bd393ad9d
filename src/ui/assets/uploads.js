// Uploads into the open folder and into those in it: buttons, drag and drop, and paste; what the user is asked about conflicts; and the
// folder is shown anew as files arrive.
import { dialog, notify } from "./dialog.js";
import { element, isWriting } from "./dom.js";
import { choose, dropped, hasFiles, pasted } from "./drop.js";
import { formatSize, formatTime } from "./format.js";
import { nameOf, parentHref, shownName } from "./paths.js";
import { Queue } from "./upload.js";
import { numbered } from "./upload_item.js";
import { Memory } from "./upload_memory.js";
import { Panel } from "./upload_panel.js";

const RELOAD_MS = 1000; // between two, at least
const READ_ONLY = "You may look at this folder, but not put anything into it.";

// --- conflicts ---

// "1.2 MB, 2026-11-22 10:00, newer"
function described({ size, mtime }, other) {
  const age = mtime > other.mtime + 1000 ? ", newer" : mtime < other.mtime - 1000 ? ", older" : "";
  return `${formatSize(size)}, ${formatTime(mtime)}${age}`;
}

// {value: "replace" | "keep" | "skip", all}, or null when the dialog was closed.
async function askAboutConflict(item, there) {
  const name = shownName(item.name);
  const box = element("input", { type: "checkbox" });
  const skip = { value: "skip", label: "Skip" };
  const keep = { value: "keep", label: "Keep both", isMain: there.isFolder };
  const replace = { value: "replace", label: "Replace", isMain: true };
  const text = there.isFolder
    ? `“${name}” is a folder here. Yours can be kept as “${shownName(numbered(item.name, 2))}”.`
    : `“${name}” is here already.\nHere: ${described(there, item)}\nYours: ${described(item, there)}`;
  const value = await dialog({
    title: there.isFolder ? "A folder has this name" : "Replace this file?",
    className: "choose",
    content: [element("p", { dir: "auto" }, text), element("label", { class: "check" }, box, "Do this for all")],
    buttons: there.isFolder ? [skip, keep] : [skip, keep, replace],
  });
  return value && { value, all: box.checked };
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

// Where a drop would go: {href, node} of a folder's row, or the open folder.
function targetOf(app, event) {
  const entry = app.view.entryOf(event.target);
  return entry?.isFolder ? { href: entry.href, node: app.view.rowOf(entry) } : { href: app.folder.href, node: null };
}

class DropTarget {
  #app;
  #add;
  #row = null;

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
    const { writable } = this.#app.folder;
    const { href, node } = targetOf(this.#app, event);
    event.dataTransfer.dropEffect = writable ? "copy" : "none";
    this.hint.hidden = false;
    this.hint.replaceChildren(...(writable ? ["Drop to upload to ", element("bdi", {}, shownName(nameOf(href)) || "Files")] : [READ_ONLY]));
    if (!writable) return;
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
    this.#mark(null);
    this.hint.hidden = true;
    document.body.classList.remove("dropping");
  }

  #drop(event) {
    this.#leave();
    if (!hasFiles(event.dataTransfer)) return;
    event.preventDefault();
    this.#add(dropped(event.dataTransfer), targetOf(this.#app, event).href);
  }
}

// --- all of it ---

export function install(app) {
  const { folder } = app;
  const queue = new Queue({ memory: new Memory(app.facts.user), ask: askAboutConflict });
  const panel = new Panel(queue, { findAgain });

  // found: an array, or arrays one after the other.
  async function add(found, href = folder.href) {
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
    const found = await choose({ isFolder: missing.path.includes("/") });
    const others = queue.provide(found);
    if (found.length > 0 && others === found.length) notify(`That is not the file that is needed, or it has changed: “${shownName(missing.path)}”.`, { isError: true });
  }

  app.addAction({ id: "upload", label: "Upload", icon: "upload", isMain: true, place: ["bar", "background"], help: "Upload files", when: () => folder.writable, run: async () => add(await choose()) });
  app.addAction({ id: "upload-folder", label: "Upload folder", icon: "upload-folder", place: ["bar", "background"], when: () => folder.writable, run: async () => add(await choose({ isFolder: true })) });
  new DropTarget(app, add);
  document.addEventListener("paste", (event) => {
    if (isWriting(event.target) || !event.clipboardData || event.clipboardData.files.length === 0) return;
    event.preventDefault();
    add(pasted(event.clipboardData));
  });
  addEventListener("beforeunload", (event) => queue.isBusy && event.preventDefault());
  reloadAsFilesArrive(app, queue);
  document.body.append(panel.element);
  queue.recall();
}
