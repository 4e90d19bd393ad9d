// The page around the entries: the bar on top, where one is, what can be done here, what is selected, and the heads of the columns.
import { actionButton, iconButton } from "./buttons.js";
import { Crumbs } from "./crumbs.js";
import { announce, makeRegions, menu } from "./dialog.js";
import { element, setAttribute, setText } from "./dom.js";
import { Filter } from "./filter.js";
import { formatCount, formatNumber, summaryOf } from "./format.js";
import { icon } from "./icons.js";
import { State } from "./state.js";

const COLUMNS = [
  { key: "name", label: "Name", descending: false },
  { key: "size", label: "Size", descending: true }, // first what one mostly looks for
  { key: "time", label: "Modified", descending: true },
];

// Puts the buttons of actions into a bar. They are made anew where they are others only: one of them may have the focus.
function fill(bar, actions, about) {
  const ids = actions.map(({ id }) => id).join(" ");
  if (bar.dataset.actions === ids) return;
  bar.dataset.actions = ids;
  bar.replaceChildren(...actions.map((action) => actionButton(action, about)));
}

export class Frame {
  #app;
  #selected = 0; // how many it was

  constructor(app) {
    this.#app = app;
    const { folder } = app;
    this.filter = new Filter(app);
    this.state = new State(app);
    this.bar = element("div", { class: "bar", role: "group", "aria-label": "In this folder" });
    this.summary = element("p", { class: "summary" });
    this.count = element("span");
    this.counted = element("span", { class: "count" }, this.count, element("span", { class: "word" }, " selected"));
    this.offered = element("div", { class: "actions" });
    this.selection = element("div", { class: "selection", role: "group", "aria-label": "With what is selected" },
      iconButton("close", "Select nothing (Esc)", () => folder.selectNone()), this.counted, this.offered);
    this.form = iconButton("grid", "", () => this.#changeForm());
    this.heads = this.#makeHeads();
    document.body.prepend(this.#makeHeader(), this.#makeMain());
    makeRegions();
    this.#showForm();
    folder.addEventListener("load", () => this.refresh());
    folder.addEventListener("change", () => (this.#showSummary(), this.#showSelection())); // the filter hides what is selected too
    folder.addEventListener("selection", () => this.#showSelection());
  }

  #makeHeader() {
    const { user } = this.#app.facts;
    const account = element("button", { type: "button", class: "account quiet", "aria-haspopup": "menu", "aria-label": user ? `Account of ${user}` : "Menu", onclick: () => this.#openAccount(account) },
      user ? element("span", { class: "avatar", "aria-hidden": "true" }, [...user][0].toUpperCase()) : icon("more"), user && element("bdi", { class: "user" }, user));
    const brand = element("a", { class: "brand", href: "/", "aria-label": "Fast File, all files", onclick: (event) => this.#app.follow(event, "/") },
      element("img", { src: new URL("icon.svg", import.meta.url).href, alt: "", width: 28, height: 28 }), element("span", {}, "Fast File"));
    return element("header", {}, brand, this.filter.element, account);
  }

  #makeMain() {
    this.plus = element("button", { type: "button", class: "plus main", "aria-haspopup": "menu", onclick: () => this.#openPlus() });
    this.#showPlus(false);
    return element("main", {},
      this.state.banner,
      element("div", { class: "place" }, new Crumbs(this.#app).element, this.bar),
      element("div", { class: "line" }, this.summary, this.selection, this.form),
      this.#app.view.element, this.state.element, this.plus);
  }

  #makeHeads() {
    const { folder, view } = this.#app;
    const heads = COLUMNS.map(({ key, label, descending }) => {
      const sort = () => folder.sortBy(key, folder.sort.key === key ? !folder.sort.descending : descending);
      return element("div", { role: "columnheader", class: key, "data-key": key }, element("button", { type: "button", class: "quiet", onclick: sort }, label, icon("sort-arrow")));
    });
    view.head.append(...heads, element("div", { role: "columnheader", class: "last" }, element("span", { class: "unseen" }, "What to do")));
    return heads;
  }

  // --- menus ---

  #openAccount(button) {
    const { right, bottom } = button.getBoundingClientRect();
    menu(this.#app.actions.menuItems("account", []), right, bottom + 6);
  }

  // All of the background's: a finger has no right click everywhere.
  #openPlus() {
    const { right, top } = this.plus.getBoundingClientRect();
    menu(this.#app.actions.menuItems("background", []), right, top);
  }

  // --- list or tiles ---

  #changeForm() {
    this.#app.view.showTiles(!this.#app.view.isTiles);
    this.#showForm();
    announce(this.#app.view.isTiles ? "Shown as tiles" : "Shown as a list");
  }

  #showForm() {
    const label = this.#app.view.isTiles ? "Show as a list" : "Show as tiles";
    this.form.replaceChildren(icon(this.#app.view.isTiles ? "list" : "grid"));
    setAttribute(this.form, "aria-label", label);
    setAttribute(this.form, "title", label);
  }

  // --- what is in the folder, and what of it is selected ---

  // What can be done may have changed; while a folder is on its way that is not known.
  refresh() {
    const actions = this.#app.actions.at("bar", []);
    if (this.#app.folder.state !== "loading") {
      fill(this.bar, actions, () => []);
      this.#showPlus(actions.length > 0);
    }
    this.#showSummary();
    this.#showSelection();
  }

  #showPlus(canAdd) {
    this.plus.replaceChildren(icon(canAdd ? "plus" : "more"));
    setAttribute(this.plus, "aria-label", canAdd ? "Add something" : "What can be done here");
  }

  #showSummary() {
    const { folder } = this.#app;
    for (const head of this.heads)
      setAttribute(head, "aria-sort", head.dataset.key !== folder.sort.key ? null : folder.sort.descending ? "descending" : "ascending");
    // What was there is still seen for a moment.
    if (folder.state !== "loading" || document.body.classList.contains("waiting"))
      setText(this.summary, folder.state === "ready" ? summaryOf(folder.shown) : "");
  }

  #showSelection() {
    const { actions, folder } = this.#app;
    const entries = folder.selection;
    document.body.classList.toggle("selecting", entries.length > 0);
    if (entries.length > 0) {
      setAttribute(this.counted, "title", summaryOf(entries));
      setText(this.count, formatNumber(entries.length));
      fill(this.offered, actions.at("selection", entries), () => folder.selection);
    }
    if (entries.length !== this.#selected) announce(entries.length > 0 ? `${formatCount(entries.length, "selected", "selected")}` : "Nothing selected");
    this.#selected = entries.length;
  }
}
