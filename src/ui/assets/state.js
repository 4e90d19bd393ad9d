// What is said where there are no entries to see: that the folder is empty, still being read, or cannot be shown, and what to do. And the
// banner that says why the folder could not be looked at again. A server that cannot be reached is tried until it can.
import { actionButton } from "./buttons.js";
import { announce } from "./dialog.js";
import { element, setText } from "./dom.js";
import { summaryOf } from "./format.js";
import { icon } from "./icons.js";
import { parentHref, shownName, nameOf } from "./paths.js";

const PATIENCE_MS = 200; // what comes sooner needs no skeleton
const RETRY_MS = [2000, 4000, 8000, 15000, 30000];
const SKELETON_ROWS = 8;

export class State {
  #app;
  #waiting = 0;
  #retry = 0;
  #failures = 0; // one after the other
  #said = ""; // the address of the folder whose summary was said

  constructor(app) {
    this.#app = app;
    const again = element("button", { type: "button", onclick: () => app.folder.reload() }, "Try again");
    this.bannerText = element("span");
    this.banner = element("div", { class: "banner", role: "alert", hidden: true }, icon("warning"), this.bannerText, again);
    this.element = element("div", { class: "state", hidden: true });
    app.folder.addEventListener("load", () => this.#loaded());
    app.folder.addEventListener("change", () => this.#changed());
    addEventListener("online", () => app.folder.failure && app.folder.reload());
    addEventListener("visibilitychange", () => document.visibilityState === "visible" && app.folder.state !== "loading" && app.folder.reload());
  }

  #loaded() {
    const { folder } = this.#app;
    clearTimeout(this.#waiting);
    clearTimeout(this.#retry);
    document.body.classList.toggle("leaving", folder.state === "loading"); // what is seen belongs to another folder
    document.body.classList.remove("waiting");
    if (folder.state === "loading") {
      this.#waiting = setTimeout(() => this.#wait(), PATIENCE_MS);
      return;
    }
    this.#tellFailure(folder.failure);
    if (folder.state === "ready" && !folder.failure && folder.href !== this.#said) {
      this.#said = folder.href;
      announce(`${shownName(nameOf(folder.href)) || "Files"}: ${summaryOf(folder.entries) || "empty"}`);
    }
    this.#show();
  }

  #wait() {
    if (this.#app.folder.shown.length > 0) return; // the rest is coming
    document.body.classList.add("waiting");
    announce("Loading");
    this.#show();
    this.#app.frame.refresh();
    this.#app.view.refresh();
  }

  #changed() {
    if (this.#app.folder.shown.length > 0) document.body.classList.remove("leaving", "waiting");
    this.#show();
  }

  #tellFailure(failure) {
    this.banner.hidden = !failure || this.#app.folder.state === "failed";
    if (failure) setText(this.bannerText, `${failure.status === 0 ? "The server cannot be reached." : failure.message} What you see may be old.`);
    if (failure?.status !== 0) {
      this.#failures = 0;
      return;
    }
    this.#retry = setTimeout(() => this.#app.folder.reload(), RETRY_MS[Math.min(this.#failures++, RETRY_MS.length - 1)]);
  }

  #show() {
    const { folder } = this.#app;
    if (folder.state === "loading" && folder.shown.length === 0 && !document.body.classList.contains("waiting")) return;
    const content = this.#content();
    this.element.replaceChildren(...content);
    this.element.hidden = content.length === 0;
    this.#app.view.element.hidden = content.length > 0;
  }

  #content() {
    const { folder } = this.#app;
    this.element.classList.remove("drop");
    if (folder.shown.length > 0 && folder.state !== "failed") return [];
    if (folder.state === "loading") return Array.from({ length: SKELETON_ROWS }, () => element("div", { class: "skeleton" }, element("i"), element("i"), element("i")));
    if (folder.state === "failed") return this.#failed(folder.failure);
    return folder.filterText ? this.#nothingFound() : this.#empty();
  }

  #failed({ status, message }) {
    const { folder } = this.#app;
    const up = () => this.#app.open(parentHref(folder.href));
    const again = element("button", { type: "button", class: "main", onclick: () => folder.reload() }, "Try again");
    const goUp = folder.href !== "/" && element("button", { type: "button", class: [403, 404].includes(status) && "main", onclick: up }, "Go to the folder above");
    const texts = { 403: "You are not allowed to look into this folder", 404: "This folder is gone" };
    const details = { 403: "Ask whoever runs the server.", 404: "Somebody has moved, renamed or deleted it.", 0: "It is tried again until there is one." };
    return [icon(status === 0 ? "offline" : "warning"), element("h2", {}, texts[status] ?? message), element("p", {}, details[status] ?? ""),
      element("div", { class: "buttons" }, ...[403, 404].includes(status) ? [goUp || again] : [again, goUp].filter(Boolean))];
  }

  #nothingFound() {
    const { folder, frame } = this.#app;
    return [icon("search"), element("h2", {}, "No match"), element("p", {}, "Nothing in this folder is called ", element("q", { dir: "auto" }, folder.filterText.trim())),
      element("div", { class: "buttons" }, element("button", { type: "button", onclick: () => (frame.filter.clear(), frame.filter.focus()) }, "Clear the filter"))];
  }

  #empty() {
    const actions = this.#app.actions.at("bar", []);
    const canAdd = this.#app.folder.writable && actions.length > 0;
    this.element.classList.toggle("drop", canAdd);
    return [icon("folder-open"), element("h2", {}, "This folder is empty"), element("p", {}, canAdd ? "Drop files here, or add something:" : "There is nothing to see."),
      canAdd && element("div", { class: "buttons" }, ...actions.map((action) => actionButton(action, () => [])))].filter(Boolean);
  }
}
