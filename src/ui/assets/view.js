// The entries of the folder, as rows or as tiles. Only those in sight are in the document: a row that leaves it becomes another one,
// and the one with the cursor stays, so that the focus is never lost. All are equally high, so an index is a position. For screen
// readers it is a grid with one row for each entry in both forms.
import { element, setAttribute } from "./dom.js";
import { FIRST_ROW, Row } from "./row.js";

const BEYOND = 0.6; // so many screens above and below are there before they are scrolled to
const FORM = "form"; // as what the form is remembered

export class View {
  #folder;
  #rows = new Map(); // index → Row
  #spare = [];
  #decorators = [];
  #frame = 0;
  #isStale = false; // whether what the rows show may be wrong
  #layout = { height: 1, width: 1, columns: 1, gap: 0, top: 0 };

  constructor(folder) {
    this.#folder = folder;
    this.head = element("div", { class: "head", role: "row", "aria-rowindex": 1 });
    this.top = element("div", { class: "top", role: "rowgroup" }, this.head);
    this.body = element("div", { class: "rows", role: "rowgroup" });
    this.sizer = element("div", { class: "row sizer", role: "presentation" });
    this.element = element("div", { class: "grid", role: "grid", "aria-label": "Files", "aria-multiselectable": "true", "aria-colcount": 4, "aria-busy": "true" },
      this.top, this.sizer, this.body);
    this.element.dataset.form = localStorage.getItem(FORM) === "tiles" ? "tiles" : "list";
    for (const type of ["load", "change", "selection"]) folder.addEventListener(type, () => this.refresh());
    addEventListener("scroll", () => this.#later(), { passive: true });
    new ResizeObserver(() => this.refresh()).observe(this.element);
  }

  // --- for other parts ---

  // decorate(node, entry) is called when a row begins to show an entry, and when it is shown anew. Its picture is in `.picture`.
  addDecorator(decorate) {
    this.#decorators.push(decorate);
    this.refresh();
  }

  // The entry that something in the document belongs to, or undefined.
  entryOf(node) {
    return this.#folder.shown[this.indexOf(node)];
  }

  indexOf(node) {
    const index = node?.closest?.(".rows > .row")?.getAttribute("aria-rowindex");
    return index ? Number(index) - FIRST_ROW : -1;
  }

  // The row of an entry if it is in sight, or near.
  rowOf(entry) {
    return [...this.#rows.values()].find((row) => row.entry.href === entry.href)?.node ?? null;
  }

  // Shows everything anew, at the next frame.
  refresh() {
    this.#isStale = true;
    this.#later();
  }

  // --- list or tiles ---

  get isTiles() {
    return this.element.dataset.form === "tiles";
  }

  // What is seen stays in sight.
  showTiles(isTiles) {
    const { columns, height } = this.#layout;
    const index = Math.floor(this.#scrolled() / height) * columns;
    this.element.dataset.form = isTiles ? "tiles" : "list";
    localStorage.setItem(FORM, this.element.dataset.form);
    this.#isStale = true;
    this.render();
    if (index > 0) scrollTo(0, this.#layout.top + this.#positionOf(index) - this.#covered());
  }

  // --- focus and scrolling ---

  hasFocus() {
    return this.body.contains(document.activeElement);
  }

  // The focus goes to the entry with the cursor, which comes into view.
  focus() {
    this.reveal(this.#folder.cursor);
    this.focusWithoutScrolling();
  }

  focusWithoutScrolling() {
    this.render();
    this.#rows.get(this.#folder.cursor)?.node.focus({ preventScroll: true });
  }

  // How far keys go: the entries in one line and on one screen.
  steps() {
    const lines = Math.floor((innerHeight - this.#covered()) / this.#layout.height) - 1;
    return { line: this.#layout.columns, page: Math.max(1, lines) * this.#layout.columns };
  }

  // Scrolls as little as is needed to see the entry.
  reveal(index) {
    this.#measure();
    const start = this.#layout.top + this.#positionOf(index);
    const end = start + this.#layout.height;
    const below = parseFloat(getComputedStyle(this.element).scrollMarginBottom) || 0;
    if (start < scrollY + this.#covered()) scrollTo(0, start - this.#covered());
    else if (end + below > scrollY + innerHeight) scrollTo(0, end + below - innerHeight);
  }

  // Where one was.
  scrollTo(position) {
    this.render(); // so that the page is that high
    scrollTo(0, position);
    this.render();
  }

  #scrolled() {
    return Math.max(0, scrollY + this.#covered() - this.#layout.top);
  }

  // What sticks to the top of the screen.
  #covered() {
    return this.top.offsetHeight + (parseFloat(getComputedStyle(this.top).top) || 0);
  }

  // --- rows in sight ---

  #later() {
    this.#frame ||= requestAnimationFrame(() => this.render());
  }

  #measure() {
    const { width, height } = this.sizer.getBoundingClientRect();
    const box = this.body.getBoundingClientRect();
    const gap = this.isTiles ? parseFloat(getComputedStyle(this.element).columnGap) || 0 : 0;
    const columns = this.isTiles ? Math.max(1, Math.floor((box.width + gap) / (width + gap))) : 1;
    this.#layout = { columns, gap, height: Math.max(1, height + gap), width: (box.width + gap) / columns, top: box.top + scrollY };
  }

  #positionOf(index) {
    return Math.floor(index / this.#layout.columns) * this.#layout.height;
  }

  // The indexes that have rows, ascending: those near the screen, and the cursor's.
  #wanted() {
    const { height, columns, top } = this.#layout;
    const { cursor, shown } = this.#folder;
    const beyond = innerHeight * BEYOND;
    const first = Math.max(0, Math.floor((scrollY - top - beyond) / height) * columns);
    const end = Math.min(shown.length, Math.ceil((scrollY - top + innerHeight + beyond) / height) * columns);
    const wanted = Array.from({ length: Math.max(0, end - first) }, (_, at) => first + at);
    if (cursor < first && cursor < shown.length) wanted.unshift(cursor);
    if (cursor >= end && cursor < shown.length) wanted.push(cursor);
    return wanted;
  }

  render() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const { cursor, shown, state } = this.#folder;
    const hadFocus = this.hasFocus();
    setAttribute(this.element, "aria-busy", String(state === "loading"));
    if (state === "loading" && shown.length === 0 && !document.body.classList.contains("waiting")) return; // what was there stays for a moment
    this.#measure();
    const wanted = this.#wanted();
    this.body.style.height = `${Math.ceil(shown.length / this.#layout.columns) * this.#layout.height}px`;
    setAttribute(this.element, "aria-rowcount", shown.length + 1);
    this.#retire(new Set(wanted));
    this.#show(wanted);
    this.#isStale = false;
    const focused = this.#rows.get(cursor)?.node;
    if (hadFocus && focused && !focused.contains(document.activeElement)) focused.focus({ preventScroll: true }); // it follows the cursor
  }

  #retire(wanted) {
    for (const [index, row] of this.#rows) {
      if (wanted.has(index)) continue;
      this.#rows.delete(index);
      this.#spare.push(row);
      row.node.remove();
    }
  }

  // In the document they stand in their order. Those that are there already do, and are not moved, for that would cost the focus.
  #show(wanted) {
    let next = this.body.firstChild;
    for (const index of wanted) {
      let row = this.#rows.get(index);
      const isNew = !row;
      if (isNew) {
        row = this.#spare.pop() ?? new Row();
        this.#rows.set(index, row);
        this.body.insertBefore(row.node, next);
      } else next = row.node.nextSibling;
      if (isNew || this.#isStale) this.#showRow(row, index);
    }
  }

  #showRow(row, index) {
    const { columns, width, height, gap } = this.#layout;
    const entry = this.#folder.shown[index];
    row.show(entry, index);
    row.mark(this.#folder.selected.has(entry.href), index === this.#folder.cursor);
    row.put((index % columns) * width, Math.floor(index / columns) * height, this.isTiles ? width - gap : null);
    for (const decorate of this.#decorators) decorate(row.node, entry);
  }
}
