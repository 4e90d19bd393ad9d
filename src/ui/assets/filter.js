// The field that leaves only names with certain words.
import { announce } from "./dialog.js";
import { element, isComposing } from "./dom.js";
import { formatCount } from "./format.js";
import { icon } from "./icons.js";

export class Filter {
  #app;
  #said = 0;

  constructor(app) {
    this.#app = app;
    this.input = element("input", {
      type: "search", placeholder: "Filter this folder", "aria-label": "Filter by name", autocomplete: "off", autocapitalize: "off", spellcheck: "false", dir: "auto", enterkeyhint: "go",
      oninput: () => this.#changed(), onkeydown: (event) => this.#key(event),
    });
    this.element = element("div", { class: "filter", role: "search" }, icon("search"), this.input, element("kbd", { "aria-hidden": "true" }, "/"));
    app.folder.addEventListener("load", () => this.#sync());
  }

  focus() {
    this.input.focus();
    this.input.select();
  }

  clear() {
    this.input.value = "";
    this.#changed();
  }

  // Another folder is not filtered.
  #sync() {
    if (this.#app.folder.filterText === "" && this.#app.folder.state === "loading") this.input.value = "";
  }

  #changed() {
    const { folder, view } = this.#app;
    folder.filter(this.input.value);
    if (scrollY > 0) scrollTo(0, 0);
    view.render();
    clearTimeout(this.#said); // what is typed is said before what it finds
    this.#said = setTimeout(() => announce(`${formatCount(folder.shown.length, "match", "matches")}`), 500);
  }

  // Down goes to what was found, Enter opens the first of it, Escape takes the filter away.
  #key(event) {
    const { folder, view } = this.#app;
    if (!["Escape", "ArrowDown", "Enter"].includes(event.key) || isComposing(event)) return;
    event.preventDefault();
    if (event.key === "Escape") this.clear();
    if (folder.shown.length === 0) return;
    if (event.key !== "Escape") folder.selectOnly(Math.min(folder.cursor, folder.shown.length - 1));
    view.focus();
    if (event.key === "Enter") this.#app.activate(folder.current);
  }
}
