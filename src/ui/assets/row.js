// One row (or tile) of the view. It shows one entry after the other: only what is different is written.
import { element, setAttribute, setText } from "./dom.js";
import { formatFullTime, formatNumber, formatSize, formatTime } from "./format.js";
import { icon, kindIcon, kindOf, setKind } from "./icons.js";
import { shownName } from "./paths.js";

export const FIRST_ROW = 2; // aria-rowindex; the first one is the head

export class Row {
  entry = null;

  constructor() {
    this.kind = kindIcon("file");
    this.name = element("bdi");
    this.link = element("a", { class: "open", tabindex: -1, draggable: "false" }, element("span", { class: "picture" }, this.kind), this.name);
    this.size = element("div", { class: "size", role: "gridcell" });
    this.time = element("div", { class: "time", role: "gridcell" });
    this.more = element("button", { class: "more quiet round", type: "button", tabindex: -1, "aria-haspopup": "menu" }, icon("more"));
    this.node = element("div", { class: "row", role: "row" },
      element("div", { class: "name", role: "gridcell" }, element("span", { class: "tick", "aria-hidden": "true" }, icon("check")), this.link),
      this.size, this.time, element("div", { class: "last", role: "gridcell" }, this.more));
    this.node.addEventListener("pointerenter", () => this.#describe());
  }

  show(entry, index) {
    setAttribute(this.node, "aria-rowindex", index + FIRST_ROW);
    if (this.entry === entry) return;
    this.entry = entry;
    const name = shownName(entry.name);
    setText(this.name, name);
    setAttribute(this.link, "href", entry.href);
    setAttribute(this.link, "title", null);
    setAttribute(this.more, "aria-label", `What to do with ${name}`);
    setKind(this.kind, kindOf(entry));
    this.node.classList.toggle("folder", entry.isFolder);
    this.node.classList.toggle("hidden-file", name.startsWith("."));
    setText(this.size, entry.isFolder ? "" : formatSize(entry.size));
    setText(this.time, formatTime(entry.mtime));
  }

  // Tooltips, for whoever points at it.
  #describe() {
    setAttribute(this.link, "title", this.name.textContent);
    setAttribute(this.size, "title", this.entry.isFolder ? null : `${formatNumber(this.entry.size)} bytes`);
    setAttribute(this.time, "title", formatFullTime(this.entry.mtime));
  }

  mark(isSelected, hasCursor) {
    setAttribute(this.node, "aria-selected", String(isSelected));
    setAttribute(this.node, "tabindex", hasCursor ? 0 : -1);
  }

  // In pixels; the width is the style's where it is null.
  put(x, y, width) {
    this.node.style.transform = `translate(${x}px, ${y}px)`;
    this.node.style.width = width === null ? "" : `${width}px`;
  }
}
