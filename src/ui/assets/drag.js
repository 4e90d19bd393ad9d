// Entries dragged onto a folder, a step of the path, or into another window of the same server; with Control or Alt a copy. Dragged
// out of the browser a file is downloaded where the browser knows how. Fingers scroll instead: for them there is "Move to…".
import { element } from "./dom.js";
import { quotedAll } from "./names.js";
import { canonical } from "./paths.js";
import { mayGo, transfer } from "./transfer.js";

const TYPE = "application/x-fastfile";

// What a drag says about itself, which any page may have written.
function parsed(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

// Entries of another window, if it shows this server.
function fromElsewhere({ origin, entries }) {
  if (origin !== location.origin || !Array.isArray(entries)) return [];
  const known = entries.filter((entry) => typeof entry?.href === "string" && typeof entry.name === "string");
  return known.map(({ href, name, isFolder }) => ({ href: canonical(href), name, isFolder: isFolder === true }));
}

class Drag {
  #app;
  #dragged = null; // entries of this window
  #id = ""; // of the drag that began here last
  #marked = null;

  constructor(app) {
    this.#app = app;
    const byMouse = matchMedia("(pointer: fine)");
    app.view.addDecorator((node) => (node.draggable = byMouse.matches && !node.classList.contains("renaming")));
    app.view.body.addEventListener("dragstart", (event) => this.#start(event));
    document.addEventListener("dragover", (event) => this.#over(event));
    document.addEventListener("drop", (event) => this.#drop(event));
    document.addEventListener("dragleave", (event) => event.relatedTarget === null && this.#mark(null));
    document.addEventListener("dragend", () => this.#end());
  }

  #start(event) {
    const { folder, view } = this.#app;
    const index = view.indexOf(event.target);
    if (index < 0) return;
    if (!folder.selected.has(folder.shown[index].href)) folder.selectOnly(index);
    const entries = (this.#dragged = folder.selection);
    const data = event.dataTransfer;
    const url = ({ href }) => location.origin + href;
    data.effectAllowed = folder.writable ? "copyMove" : "copy";
    this.#id = `${Date.now()}-${Math.random()}`;
    data.setData(TYPE, JSON.stringify({ id: this.#id, origin: location.origin, entries: entries.map(({ href, name, isFolder }) => ({ href, name, isFolder })) }));
    data.setData("text/uri-list", entries.map(url).join("\r\n"));
    const [first] = entries;
    if (entries.length === 1 && !first.isFolder) data.setData("DownloadURL", `application/octet-stream:${first.name.replaceAll(":", "_")}:${url(first)}?download`);
    this.#picture(data, entries);
  }

  // What hangs at the pointer.
  #picture(data, entries) {
    const node = element("div", { class: "dragged" }, quotedAll(entries));
    document.body.append(node);
    data.setDragImage(node, -12, -8);
    setTimeout(() => node.remove());
  }

  // {node, href} of the folder under the pointer, or null.
  #targetOf(event) {
    const { folder, view } = this.#app;
    if (!event.dataTransfer.types.includes(TYPE)) return null;
    const entry = view.entryOf(event.target);
    const step = event.target.closest?.("nav a[href]");
    let target = null;
    if (entry?.isFolder) target = { node: view.rowOf(entry), href: entry.href };
    else if (step) target = { node: step, href: canonical(step.href) };
    else if (!this.#dragged && folder.writable && event.target.closest?.("main")) target = { node: view.element, href: folder.href };
    const dragged = this.#dragged ?? [];
    return target && this.#app.facts.writable && dragged.every((one) => mayGo(one, target.href, this.#isCopy(event))) ? target : null;
  }

  #isCopy(event) {
    return event.ctrlKey || event.altKey || event.dataTransfer.effectAllowed === "copy";
  }

  #mark(node) {
    if (node === this.#marked) return;
    this.#marked?.classList.remove("target");
    node?.classList.add("target");
    this.#marked = node;
  }

  #over(event) {
    const target = this.#targetOf(event);
    this.#mark(target?.node ?? null);
    if (!target) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = this.#isCopy(event) ? "copy" : "move";
  }

  #drop(event) {
    const given = parsed(event.dataTransfer.getData(TYPE));
    if (given.id !== this.#id) this.#dragged = null; // nobody has told the end of that one
    const target = this.#targetOf(event);
    const isCopy = this.#isCopy(event);
    const entries = this.#dragged ?? fromElsewhere(given);
    this.#end();
    if (!target) return;
    event.preventDefault();
    if (entries.length > 0) transfer(this.#app, entries, target.href, { isCopy });
  }

  #end() {
    this.#mark(null);
    this.#dragged = null;
  }
}

export function install(app) {
  new Drag(app);
}
