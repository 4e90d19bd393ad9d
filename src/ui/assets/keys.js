// The keyboard: first the keys of actions, then those that move the cursor, then letters, which look for a name.
import { isWriting } from "./dom.js";
import { keyOf } from "./key.js";

const FORGET_MS = 1000; // what is typed after that is another word

export class Keys {
  #app;
  #typed = "";
  #typedAt = -Infinity;

  constructor(app) {
    this.#app = app;
    document.addEventListener("keydown", (event) => {
      if (event.defaultPrevented || isWriting(event.target) || document.querySelector(":modal")) return;
      if (this.#handle(event)) event.preventDefault();
    });
  }

  // Whether the key has done something.
  #handle(event) {
    const { actions, folder, view } = this.#app;
    const isOnButton = event.target !== document.body && !view.body.contains(event.target);
    if (isOnButton && ["Enter", " "].includes(event.key)) return event.repeat; // it is pressed, once
    const isTyping = event.timeStamp - this.#typedAt <= FORGET_MS;
    const found = !(isTyping && event.key === " ") && actions.ofKey(keyOf(event), this.#app.subject());
    if (found) {
      if (!event.repeat) found.action.run(found.entries, event); // a key that is held does it once
      return true;
    }
    if (event.altKey || folder.shown.length === 0) return false;
    return this.#move(event) || this.#open(event) || this.#toggle(event, isTyping) || this.#type(event, isTyping);
  }

  // Where the cursor goes, or undefined.
  #target(key) {
    const { folder, view } = this.#app;
    const { line, page } = view.steps();
    const at = folder.cursor;
    const last = folder.shown.length - 1;
    const targets = { ArrowDown: at + line, ArrowUp: at - line, Home: 0, End: last, PageDown: at + page, PageUp: at - page };
    if (view.isTiles) Object.assign(targets, { ArrowRight: at + 1, ArrowLeft: at - 1 });
    const target = targets[key];
    if (target === undefined) return undefined;
    if (folder.isFresh && key.startsWith("Arrow")) return at; // the first one shows where the cursor is
    return Math.max(0, Math.min(target, last));
  }

  // Plain keys select what they come to, like in other file managers. With Control only the cursor moves.
  #move(event) {
    const { folder, view } = this.#app;
    const target = this.#target(event.key);
    if (target === undefined) return false;
    const control = event.ctrlKey || event.metaKey;
    if (event.shiftKey) folder.selectRange(target, { keep: control });
    else if (control) folder.setCursor(target);
    else folder.selectOnly(target);
    view.focus();
    return true;
  }

  #open(event) {
    if (event.key !== "Enter" || !this.#app.view.hasFocus()) return false;
    if (!event.repeat) this.#app.activate(this.#app.folder.current);
    return true;
  }

  #toggle(event, isTyping) {
    if (event.key !== " " || isTyping) return false;
    if (event.repeat) return true;
    this.#app.folder.selectToggle(this.#app.folder.cursor);
    this.#app.view.focus();
    return true;
  }

  #type(event, isTyping) {
    if (event.key.length !== 1 || event.ctrlKey || event.metaKey) return false;
    this.#typed = isTyping ? this.#typed + event.key : event.key;
    this.#typedAt = event.timeStamp;
    if (this.#app.folder.find(this.#typed)) this.#app.view.focus();
    return true;
  }
}
