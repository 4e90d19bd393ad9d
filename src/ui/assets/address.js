// The address bar: which folder is open, in which order, and the way back. The history keeps where one was in a folder.
import { isWriting } from "./dom.js";
import { canonical } from "./paths.js";

const KEYS = ["name", "size", "time"];
const STILL_MS = 150; // without scrolling, and it has ended

function sortOf(query) {
  const given = new URLSearchParams(query);
  const key = KEYS.includes(given.get("sort")) ? given.get("sort") : "name";
  return { key, descending: given.get("order") === "desc" };
}

// As the plain listing has it; nothing for the usual order.
function queryOf({ key, descending }) {
  return key === "name" && !descending ? "" : `?sort=${key}&order=${descending ? "desc" : "asc"}`;
}

// Calls back when scrolling has come to an end, which Safari tells from 26.2 on only.
function whenScrolled(done) {
  if ("onscrollend" in window) return addEventListener("scrollend", done);
  let timer = 0;
  return addEventListener("scroll", () => {
    clearTimeout(timer);
    timer = setTimeout(done, STILL_MS);
  }, { passive: true });
}

export class Address {
  #app;
  #turn = 0; // of going somewhere; the last one counts

  constructor(app) {
    this.#app = app;
    history.scrollRestoration = "manual";
    addEventListener("popstate", (event) => this.#isShown() || this.#show(event.state ?? {}));
    whenScrolled(() => this.#keep());
    addEventListener("pagehide", () => this.#keep());
    app.folder.addEventListener("sort", () => history.replaceState(history.state, "", app.folder.href + queryOf(app.folder.sort)));
  }

  // Shows what the page was opened with. The focus stays where the browser puts it.
  start() {
    return this.#show({ ...history.state, isFirst: true });
  }

  // Opens a folder. The order stays as it is, and of the same folder there is one entry in the history.
  open(href, { cursor } = {}) {
    this.#keep();
    history[href === this.#app.folder.href ? "replaceState" : "pushState"]({ cursor }, "", href + queryOf(this.#app.folder.sort));
    return this.#show({ cursor });
  }

  // A step that stays within the folder: in or out of a preview.
  #isShown() {
    const { href, state, sort } = this.#app.folder;
    return state === "ready" && href === canonical(location.href) && queryOf(sort) === queryOf(sortOf(location.search));
  }

  async #show({ scroll, cursor, isFirst = false }) {
    const { folder, view } = this.#app;
    const turn = ++this.#turn;
    let isSeen = false;
    const begin = () => {
      if (isSeen || turn !== this.#turn || folder.shown.length === 0) return;
      isSeen = true;
      view.scrollTo(0);
    };
    folder.addEventListener("change", begin); // the first entries of many, while the others are on their way
    await folder.open(canonical(location.href), { sort: sortOf(location.search) });
    folder.removeEventListener("change", begin);
    if (folder.state !== "ready" || turn !== this.#turn) return;
    const isStill = !isSeen || scrollY === 0; // nobody has gone on from the first entries
    const isFound = isStill && cursor !== undefined && folder.setCursorTo(cursor);
    if (isStill) view.scrollTo(scroll ?? 0);
    if (isFirst || isWriting(document.activeElement)) return;
    if (scroll === undefined && isFound) view.focus();
    else view.focusWithoutScrolling();
  }

  #keep() {
    const { folder } = this.#app;
    if (folder.state === "ready") history.replaceState({ ...history.state, scroll: scrollY, cursor: folder.isFresh ? undefined : folder.current?.href }, "");
  }
}
