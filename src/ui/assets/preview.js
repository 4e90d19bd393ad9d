// Looking at files in place: a dialog over the folder, from one file of it to the next.
//
// What is open stands in the address ("#view=NAME"): a link leads to it, a reload keeps it, and Back closes it. So whatever opens or
// closes the preview changes the history, and the page follows (#follow).
import { Failure } from "./api.js";
import { closeMenu, notify } from "./dialog.js";
import { element, setText } from "./dom.js";
import { formatFullTime, formatSize, formatTime } from "./format.js";
import { icon, kindIcon, kindOf } from "./icons.js";
import { canonical, shownName } from "./paths.js";
import { contentOf, lookOf, prefetch, Unshowable } from "./preview_content.js";
import { Gestures } from "./preview_gestures.js";

const HASH = "#view=";
const PATIENCE_MS = 300; // before it is said that something is loading
const STEP = 1.25; // of the keys + and -

const hashOf = (entry) => HASH + entry.href.split("/").pop();

const button = (label, picture, onclick, attributes) => element("button", { type: "button", "aria-label": label, title: label, onclick, ...attributes }, icon(picture));

class Preview {
  #app;
  #entry = null; // what is looked at
  #loading = new AbortController(); // of its content
  #isClosing = false; // on the way back in the history
  #began; // where the pointer came down
  #dialog;
  #stage;
  #gestures;
  #name = element("bdi");
  #info = element("p");
  #position = element("span", { class: "preview-position" });
  #zoom = element("button", { type: "button", class: "preview-zoom", onclick: () => this.#gestures.toggle() });
  #download = element("a", { class: "button", title: "Download", "aria-label": "Download" }, icon("download"));
  #previous = button("Previous file", "previous", () => this.#step(-1), { class: "preview-previous" });
  #next = button("Next file", "next", () => this.#step(1), { class: "preview-next" });

  constructor(app) {
    this.#app = app;
    this.#stage = element("div", { class: "preview-stage", tabindex: -1, autofocus: true });
    this.#dialog = element("dialog", { class: "preview", "aria-labelledby": "preview-name" },
      element("header", {}, button("Close", "back", () => this.#close()),
        element("div", { class: "preview-title", "aria-live": "polite" }, element("h2", { id: "preview-name" }, this.#name), this.#info), this.#zoom, this.#download),
      this.#stage, this.#previous, this.#next, this.#position);
    this.#gestures = new Gestures(this.#stage, { onSwipe: (step) => this.#step(step), onZoom: (percent) => this.#showZoom(percent) });
    document.addEventListener("keydown", (event) => !event.defaultPrevented && this.#isOnTop && this.#key(event));
    this.#dialog.addEventListener("cancel", (event) => {
      event.preventDefault(); // closing is a step back, which closes
      this.#close();
    });
    this.#stage.addEventListener("pointerdown", (event) => (this.#began = event.target));
    this.#stage.addEventListener("click", (event) => this.#isBeside(event) && this.#close());
    addEventListener("popstate", () => {
      this.#isClosing = false;
      if (this.#named === null && this.#isNaming) app.folder.reload();
      else this.#follow();
    });
    app.folder.addEventListener("load", () => this.#follow());
    app.folder.addEventListener("change", () => this.#entry && this.#showPosition());
  }

  // --- where one is ---

  open(entry) {
    const isDeeper = this.#entry === null;
    const state = { ...history.state, isPreview: isDeeper || history.state?.isPreview };
    history[isDeeper ? "pushState" : "replaceState"](state, "", hashOf(entry));
    this.#follow();
  }

  #close() {
    if (this.#isClosing) return;
    if (history.state?.isPreview) {
      this.#isClosing = true;
      history.back();
      return;
    }
    history.replaceState(history.state, "", location.pathname + location.search);
    this.#follow();
  }

  get #files() {
    return this.#app.folder.shown.filter((entry) => !entry.isFolder);
  }

  get #isNaming() {
    return location.hash.startsWith(HASH);
  }

  // What the address names: an entry, null for none, undefined while that is not known.
  get #named() {
    if (!this.#isNaming) return null;
    const { folder } = this.#app;
    if (folder.state !== "ready" || canonical(location.pathname) !== folder.href) return undefined;
    const href = canonical(folder.href + location.hash.slice(HASH.length));
    return folder.entries.find((entry) => entry.href === href && !entry.isFolder) ?? null;
  }

  // Shows what the address says.
  #follow() {
    const entry = this.#named;
    if (entry === undefined) return;
    if (entry && entry.href !== this.#entry?.href) return this.#show(entry);
    if (entry) return;
    if (this.#entry && this.#isNaming) return; // removed while one looks at it: it stays as long as one likes
    if (this.#isNaming) {
      history.replaceState(history.state, "", location.pathname + location.search);
      notify("That file is not here any more.", { isError: true });
    }
    this.#hide();
  }

  // --- the dialog ---

  #show(entry) {
    this.#choose(entry);
    this.#entry = entry;
    setText(this.#name, shownName(entry.name));
    this.#name.title = shownName(entry.name);
    setText(this.#info, `${formatSize(entry.size)} · ${formatTime(entry.mtime)}`);
    this.#info.title = formatFullTime(entry.mtime);
    this.#download.href = `${entry.href}?download`;
    this.#download.download = entry.name;
    if (!this.#dialog.isConnected) {
      document.body.append(this.#dialog);
      closeMenu();
      this.#dialog.showModal();
    }
    this.#showPosition();
    this.#load(entry);
  }

  // The cursor goes along, and so does the selection where it is this file alone.
  #choose(entry) {
    const { folder } = this.#app;
    const isSelected = folder.selected.size === 1 && folder.selected.has(this.#entry?.href);
    folder.setCursorTo(entry.href);
    if (isSelected) folder.select([entry]);
  }

  #hide() {
    if (!this.#entry) return;
    this.#entry = null;
    this.#loading.abort();
    this.#gestures.hold();
    this.#stage.replaceChildren();
    prefetch([]);
    this.#dialog.close();
    this.#dialog.remove();
    this.#app.view.focus();
  }

  #showPosition() {
    const files = this.#files;
    const index = files.findIndex((entry) => entry.href === this.#entry.href);
    setText(this.#position, index < 0 ? "" : `${index + 1} of ${files.length}`);
    this.#previous.disabled = index <= 0;
    this.#next.disabled = index < 0 || index === files.length - 1;
  }

  #step(by) {
    const files = this.#files;
    const index = files.findIndex((entry) => entry.href === this.#entry.href);
    const entry = index < 0 ? undefined : files[index + by];
    if (entry) this.open(entry);
  }

  // --- what is on the stage ---

  get #isImage() {
    return lookOf(this.#entry) === "image" && this.#stage.classList.contains("zoomable");
  }

  // A single click that begins and ends on the stage: no text is selected by it, nor has a double click opened the preview.
  #isBeside(event) {
    return event.target === this.#stage && this.#began === this.#stage && event.detail <= 1 && !this.#isImage;
  }

  async #load(entry) {
    this.#loading.abort();
    const { signal } = (this.#loading = new AbortController());
    const onFailure = (failure) => this.#put(this.#failure(entry, failure));
    this.#zoom.hidden = true;
    this.#stage.setAttribute("aria-busy", "true"); // what was there before is still seen
    const waiting = setTimeout(() => signal.aborted || this.#put(element("p", { class: "preview-waiting", role: "status" }, "Loading …")), PATIENCE_MS);
    try {
      const content = await contentOf(entry, { signal, onFailure });
      if (signal.aborted) return;
      this.#put(content);
      if (content.matches("img")) this.#gestures.hold(content);
      this.#zoom.hidden = !content.matches("img");
      this.#prefetch();
    } catch (failure) {
      if (!signal.aborted) onFailure(failure);
    } finally {
      clearTimeout(waiting);
      if (!signal.aborted) this.#stage.setAttribute("aria-busy", "false");
    }
  }

  #put(content) {
    const hadFocus = this.#stage.contains(document.activeElement);
    this.#gestures.hold();
    this.#stage.replaceChildren(content);
    if (hadFocus) (content.hasAttribute("tabindex") ? content : this.#stage).focus();
  }

  #prefetch() {
    const files = this.#files;
    const index = files.findIndex((entry) => entry.href === this.#entry?.href);
    if (index >= 0) prefetch([files[index - 1], files[index + 1]].filter(Boolean));
  }

  // What is seen instead: what sort of file it is, why one does not see it, and what can be done.
  #failure(entry, failure) {
    if (!(failure instanceof Failure || failure instanceof Unshowable)) throw failure;
    const isThere = failure instanceof Unshowable;
    const isOpenable = isThere && lookOf(entry) === "pdf";
    return element("div", { class: "preview-card" }, kindIcon(kindOf(entry)),
      element("p", { class: "preview-reason", role: isThere ? "status" : "alert" }, failure.message),
      isOpenable && element("a", { class: "button main", href: entry.href, target: "_blank", rel: "noopener" }, icon("open"), "Open"),
      isThere && element("a", { class: isOpenable ? "button" : "button main", href: `${entry.href}?download`, download: entry.name }, icon("download"), "Download"),
      !isThere && failure.status !== 404 && element("button", { type: "button", class: "main", onclick: () => this.#load(entry) }, icon("refresh"), "Try again"));
  }

  #showZoom(percent) {
    setText(this.#zoom, `${percent} %`);
    const label = this.#gestures.isZoomed ? "Fit into the window" : "Actual size";
    this.#zoom.title = label;
    this.#zoom.setAttribute("aria-label", `${percent} %, ${label}`);
  }

  // --- keys ---

  // Neither hidden nor below another dialog. (What fills the screen is "modal" too, a film for instance.)
  get #isOnTop() {
    return this.#dialog.contains([...document.querySelectorAll(":modal")].at(-1) ?? null);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isOnControl = event.target.closest("video, audio");
    const isOnButton = event.target.closest("button, a");
    const actions = {
      ArrowLeft: () => this.#step(-1),
      ArrowRight: () => this.#step(1),
      " ": () => event.repeat || this.#close(), // held, it has opened the preview
      "+": () => this.#gestures.zoomBy(STEP),
      "=": () => this.#gestures.zoomBy(STEP),
      "-": () => this.#gestures.zoomBy(1 / STEP),
      0: () => this.#gestures.zoom(1),
      1: () => this.#gestures.isZoomed || this.#gestures.toggle(),
    };
    if (isOnControl || (event.key === " " && isOnButton) || !actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  }
}

export function install(app) {
  const preview = new Preview(app);
  app.onOpen((entry) => !entry.isFolder && (preview.open(entry), true));
  app.addAction({
    id: "preview", label: "Preview", icon: "preview", key: " ", place: "selection",
    when: (_, entries) => entries.length === 1 && !entries[0].isFolder,
    run: ([entry]) => preview.open(entry),
  });
}
