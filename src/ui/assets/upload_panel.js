// What is seen of the uploads: a panel in the corner, on a phone a sheet at the bottom. Of thousands of rows only those in sight are in
// the document. What needs the user comes first, then what goes on, what waits, and what is done.
import { announce, confirm } from "./dialog.js";
import { element, setAttribute, setText } from "./dom.js";
import { formatCount, formatDuration, formatSize } from "./format.js";
import { icon, kindIcon, kindOf, setKind } from "./icons.js";
import { shownName } from "./paths.js";

const GROUPS = ["interrupted", "failed", "asking", "running", "paused", "waiting", "done", "skipped"];
const BEYOND = 3; // so many rows above and below those in sight
const TICK_MS = 1000; // for speeds and times left, when nothing else changes

const TEXTS = {
  waiting: "Waiting",
  asking: "Waiting for your answer",
  interrupted: "Interrupted: the file is needed again",
  done: "Uploaded",
  skipped: "Skipped",
};

const dotted = (...parts) => parts.filter(Boolean).join(" · ");
const leftText = (seconds) => (Number.isFinite(seconds) ? `${formatDuration(seconds)} left` : "");
const speedText = (rate) => (rate.perSecond() > 0 ? `${formatSize(rate.perSecond())}/s` : "");

// In a row there is little room: "40 s left".
function shortLeft(seconds) {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 100) return `${Math.max(1, Math.round(seconds))} s left`;
  return seconds < 6000 ? `${Math.round(seconds / 60)} min left` : `${Math.round(seconds / 3600)} h left`;
}

function button(name, label, onclick) {
  return element("button", { type: "button", class: "short", title: label, "aria-label": label, onclick }, icon(name));
}

function relabel(node, name, label) {
  if (node.title === label) return;
  node.replaceChildren(icon(name));
  for (const attribute of ["title", "aria-label"]) node.setAttribute(attribute, label);
}

const bar = (label) => element("progress", { max: 1, value: 0, "aria-label": label });

function textOf(item) {
  const { queue } = item;
  if (item.state === "failed") return item.message;
  if (item.isFolder && item.state === "done") return "Folder made";
  if (item.isThere && item.state === "done") return dotted("Here already", formatSize(item.size));
  const amount = item.sent > 0 ? `${formatSize(item.sent)} of ${formatSize(item.size)}` : formatSize(item.size);
  if (item.state === "paused" || (item.state === "waiting" && queue.isPaused)) return dotted("Paused", amount);
  if (item.state === "interrupted") return TEXTS.interrupted;
  if (item.state !== "running") return dotted(TEXTS[item.state], !item.isFolder && formatSize(item.size));
  if (queue.isOffline) return dotted("No connection", amount);
  return dotted(amount, speedText(item.rate), shortLeft(item.secondsLeft));
}

// One item's line.
class Row {
  constructor(item) {
    const { queue } = item;
    this.item = item;
    this.kind = kindIcon(kindOf(item));
    this.name = element("bdi");
    this.text = element("div", { class: "text" });
    this.bar = bar("Progress");
    this.toggle = button("pause", "Pause", () => (["failed", "paused"].includes(item.state) ? queue.resume([item]) : queue.pause([item])));
    this.cancel = button("close", "Cancel", () => queue.cancel([item]));
    this.node = element("li", {}, this.kind,
      element("div", { class: "what" }, element("div", { class: "name" }, this.name), this.text, this.bar), this.toggle, this.cancel);
  }

  show(y) {
    const { item } = this;
    const { state } = item;
    const name = shownName(item.name);
    const text = textOf(item);
    this.node.style.transform = `translateY(${y}px)`;
    setAttribute(this.node, "data-state", state);
    setText(this.name, name);
    setAttribute(this.name, "title", shownName(item.path));
    setText(this.text, text);
    setAttribute(this.text, "title", text);
    setKind(this.kind, kindOf(item));
    this.bar.value = item.size > 0 ? item.sent / item.size : 0;
    this.bar.hidden = !["running", "paused"].includes(state);
    this.toggle.hidden = !((["waiting", "running", "paused"].includes(state) && !item.queue.isPaused) || (state === "failed" && item.file));
    if (state === "failed") relabel(this.toggle, "refresh", "Try again");
    else if (state === "paused") relabel(this.toggle, "play", "Resume");
    else relabel(this.toggle, "pause", "Pause");
    this.cancel.hidden = ["done", "skipped"].includes(state);
    relabel(this.cancel, "close", state === "failed" || state === "interrupted" ? "Dismiss" : "Cancel");
  }
}

export class Panel {
  #queue;
  #rows = new Map(); // items to Rows
  #frame = 0;
  #wasBusy = false;

  // findAgain(items): for files that have to be chosen again.
  constructor(queue, { findAgain }) {
    this.#queue = queue;
    this.title = element("h2", { id: "uploads-title" });
    this.text = element("p", { class: "text" });
    this.bar = bar("All uploads");
    this.toggle = button("pause", "Pause all", () => (queue.isPaused ? queue.resumeAll() : queue.pauseAll()));
    this.retry = element("button", { type: "button", onclick: () => queue.resume(this.#itemsIn("failed")) }, "Try again");
    this.cancel = button("close", "Cancel all", () => this.#close());
    this.fold = element("button", { type: "button", class: "short", onclick: () => this.#fold(!this.isFolded), "aria-controls": "uploads-list" });
    this.again = element("button", { type: "button", class: "main", onclick: () => findAgain(this.#itemsIn("interrupted")) }, "Go on");
    this.banner = element("div", { class: "again" }, element("p", {}, "The page was closed before these had arrived. What has arrived is kept."), this.again);
    this.sizer = element("li", { class: "sizer", "aria-hidden": "true" });
    this.list = element("ul", { id: "uploads-list", tabindex: -1, "aria-label": "Uploads" }, this.sizer);
    this.element = element("section", { class: "uploads", "aria-labelledby": "uploads-title", hidden: true },
      element("div", { class: "heading" }, element("div", { class: "what" }, this.title, this.text), this.retry, this.toggle, this.fold, this.cancel),
      this.bar, this.banner, this.list);
    queue.addEventListener("change", () => this.#later());
    this.list.addEventListener("scroll", () => this.#later(), { passive: true });
    setInterval(() => queue.isBusy && this.#later(), TICK_MS);
    this.#fold(matchMedia("(max-width: 44rem)").matches);
  }

  #later() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#render();
    });
  }

  #fold(isFolded) {
    this.isFolded = isFolded;
    this.element.classList.toggle("folded", isFolded);
    setAttribute(this.fold, "aria-expanded", !isFolded);
    relabel(this.fold, isFolded ? "unfold" : "fold", isFolded ? "Show all uploads" : "Show less");
    this.#later();
  }

  #itemsIn(...states) {
    return [...this.#queue.items].filter((item) => states.includes(item.state));
  }

  async #close() {
    const queue = this.#queue;
    if (queue.isBusy) {
      const isSure = await confirm({ title: "Stop all uploads?", text: "What is uploaded already stays.", ok: "Stop uploading", isDanger: true });
      if (!isSure) return;
    }
    queue.cancel(this.#itemsIn("waiting", "running", "asking", "paused", "interrupted", "failed"));
    queue.isPaused = false;
    queue.clear();
  }

  #titleText() {
    const { counts, isBusy, isLoggedOut, isOffline, isPaused, totals } = this.#queue;
    const { failed = 0, interrupted = 0, skipped = 0 } = counts;
    if (isBusy && isLoggedOut) return "Log in to go on";
    if (isBusy && isPaused) return "Paused";
    if (isBusy && isOffline) return "No connection";
    if (isBusy) return `Uploading ${formatCount(totals.files, "item")}`;
    if (interrupted > 0) return `${formatCount(interrupted, "upload was", "uploads were")} interrupted`;
    if (failed > 0) return `${formatCount(failed, "item")} failed`;
    return totals.done > 0 || skipped === 0 ? `${formatCount(totals.done, "item")} uploaded` : `${formatCount(skipped, "item")} skipped`;
  }

  #subText() {
    const queue = this.#queue;
    const { counts, totals } = queue;
    const failed = counts.failed > 0 && `${counts.failed} failed`;
    if (!queue.isBusy) return dotted(totals.done > 0 && formatSize(totals.sent), totals.done > 0 && failed && `${totals.done} uploaded`, counts.skipped > 0 && `${counts.skipped} skipped`);
    const done = `${Math.floor(queue.progress * 100)} %`;
    if (queue.isLoggedOut) return dotted("Nothing is lost", done);
    if (queue.isOffline) return dotted("Going on when it is back", done);
    if (queue.isPaused || !counts.running) return dotted(done, failed);
    return dotted(done, speedText(queue.rate), leftText(queue.secondsLeft), failed);
  }

  #render() {
    const queue = this.#queue;
    const { counts } = queue;
    this.element.hidden = queue.items.size === 0;
    document.body.classList.toggle("has-uploads", !this.element.hidden);
    setText(this.title, this.#titleText());
    setText(this.text, this.#subText());
    this.bar.value = queue.progress;
    this.bar.hidden = !queue.isBusy;
    this.toggle.hidden = !queue.isBusy;
    relabel(this.toggle, queue.isPaused ? "play" : "pause", queue.isPaused ? "Resume all" : "Pause all");
    this.retry.hidden = queue.isBusy || !this.#itemsIn("failed").some((item) => item.file);
    relabel(this.cancel, "close", queue.isBusy ? "Cancel all" : "Close");
    this.banner.hidden = !(counts.interrupted > 0);
    setAttribute(this.element, "data-state", queue.isBusy ? (queue.isPaused ? "paused" : queue.isOffline ? "offline" : "busy") : counts.failed > 0 ? "failed" : "done");
    this.#renderRows();
    if (this.#wasBusy && !queue.isBusy && !this.element.hidden) announce(this.#titleText());
    this.#wasBusy = queue.isBusy;
  }

  // In the order in which they are shown.
  #ordered() {
    const groups = Object.fromEntries(GROUPS.map((state) => [state, []]));
    for (const item of this.#queue.items) groups[item.state].push(item);
    groups.done.reverse();
    return GROUPS.flatMap((state) => groups[state]);
  }

  #renderRows() {
    if (this.isFolded || this.element.hidden) return;
    const items = this.#ordered();
    const height = this.#rowHeight();
    const first = Math.max(0, Math.floor(this.list.scrollTop / height) - BEYOND);
    const focused = this.list.contains(document.activeElement) && document.activeElement;
    const shown = items.slice(first, Math.ceil((this.list.scrollTop + this.list.clientHeight) / height) + BEYOND);
    this.sizer.style.height = `${items.length * height}px`;
    for (const [item, row] of this.#rows) {
      if (shown.includes(item)) continue;
      row.node.remove();
      this.#rows.delete(item);
    }
    let next = null;
    for (const [index, item] of [...shown.entries()].reverse()) { // so that one that is done moves, and not those that it was above
      const row = this.#rows.get(item) ?? new Row(item);
      this.#rows.set(item, row);
      if (!row.node.isConnected || row.node.nextSibling !== next) this.list.insertBefore(row.node, next); // for the Tab key and screen readers
      next = row.node;
      setAttribute(row.node, "aria-posinset", first + index + 1);
      setAttribute(row.node, "aria-setsize", items.length);
      row.show((first + index) * height);
    }
    if (focused) this.#keepFocus(focused);
  }

  // A row that has gone, or has another place, loses it.
  #keepFocus(focused) {
    const target = this.list.contains(focused) && !focused.hidden ? focused : this.list;
    if (document.activeElement !== target) target.focus({ preventScroll: true });
  }

  #rowHeight() {
    return parseFloat(getComputedStyle(this.list).getPropertyValue("--upload-row")) * parseFloat(getComputedStyle(document.documentElement).fontSize);
  }
}
