// Where one is: the folders on the way, each a link. Where there is not room for all, those in the middle are in a menu.
import { menu } from "./dialog.js";
import { element } from "./dom.js";
import { icon } from "./icons.js";
import { crumbs, parentHref, shownName } from "./paths.js";

const MOST = 12; // that are shown, however much room there is

export class Crumbs {
  #app;
  #found = [];

  constructor(app) {
    this.#app = app;
    this.list = element("ol");
    this.up = element("a", { class: "up", title: "Up to the folder above", "aria-label": "Up to the folder above", onclick: (event) => app.follow(event, this.up.pathname, { cursor: app.folder.href }) }, icon("back"));
    this.element = element("nav", { "aria-label": "Where you are" }, this.up, this.list);
    app.folder.addEventListener("load", () => this.#show());
    new ResizeObserver(() => this.#fit()).observe(this.element);
  }

  #show() {
    const { href, state } = this.#app.folder;
    if (state !== "loading" && this.#found.at(-1)?.href === href) return;
    this.#found = crumbs(href);
    const last = this.#found.at(-1);
    document.title = this.#found.length > 1 ? shownName(last.name) : "Files";
    this.up.hidden = this.#found.length === 1;
    this.up.href = parentHref(href);
    this.#put(Math.min(this.#found.length, MOST));
    requestAnimationFrame(() => this.#fit()); // when the page is laid out anyway
  }

  #link({ name, href }) {
    const isLast = href === this.#found.at(-1).href;
    const link = element("a", { href, title: shownName(name), "aria-current": isLast && "page", onclick: (event) => this.#app.follow(event, href) }, element("bdi", {}, shownName(name)));
    return element("li", {}, isLast ? element("h1", {}, link) : link);
  }

  #hidden(hidden) {
    const open = (event) => {
      const { left, bottom } = event.currentTarget.getBoundingClientRect();
      menu(hidden.map(({ name, href }) => ({ label: shownName(name), icon: "folder", run: () => this.#app.open(href) })), left, bottom);
    };
    return element("li", {}, element("button", { type: "button", class: "quiet", "aria-label": "Folders between", "aria-haspopup": "menu", onclick: open }, "…"));
  }

  // All; or the first and as many of the last as there is room for; or only the last.
  #fit() {
    for (let count = Math.min(this.#found.length, MOST); count > 0; count--) {
      this.#put(count);
      if (!this.#isCut()) break;
    }
  }

  #put(count) {
    const all = this.#found;
    const first = count > 1 ? 1 : 0;
    const rest = all.length - count + first;
    const links = (some) => some.map((one) => this.#link(one));
    this.list.replaceChildren(...links(all.slice(0, first)), ...(rest > first ? [this.#hidden(all.slice(first, rest))] : []), ...links(all.slice(rest)));
  }

  #isCut() {
    const link = this.list.querySelector("h1 a");
    return link && (link.scrollWidth > link.clientWidth || this.list.scrollWidth > this.list.clientWidth);
  }
}
