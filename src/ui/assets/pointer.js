// Mouse, pen and finger on the entries. A click on a name opens it, one beside it selects, with Shift and Control as everywhere. A finger
// opens by a tap and selects by a long press, after which taps select.
import { menu } from "./dialog.js";

const LONG_PRESS_MS = 450;
const STILL_PX = 10; // a finger that moves further scrolls

export class Pointer {
  #app;
  #press = 0;
  #start = null;
  #isSpent = false; // the press has done something: it is no click any more
  #isTouch = false; // what came down last
  #first; // the address of the entry on which a double click began

  constructor(app) {
    this.#app = app;
    const { body } = app.view;
    document.addEventListener("click", (event) => event.detail <= 1 && (this.#first = app.view.entryOf(event.target)?.href), true);
    body.addEventListener("pointerdown", (event) => this.#down(event));
    body.addEventListener("pointermove", (event) => this.#moved(event));
    for (const type of ["pointerup", "pointercancel"]) body.addEventListener(type, () => clearTimeout(this.#press));
    body.addEventListener("click", (event) => this.#click(event));
    body.addEventListener("dblclick", (event) => this.#doubleClick(event));
    document.addEventListener("click", (event) => this.#isBeside(event) && app.folder.selectNone());
    document.addEventListener("contextmenu", (event) => this.#menu(event));
  }

  // --- fingers ---

  #down(event) {
    this.#isTouch = event.pointerType === "touch";
    this.#isSpent = false;
    clearTimeout(this.#press);
    if (!this.#isTouch || event.target.closest(".more")) return;
    const entry = this.#app.view.entryOf(event.target);
    this.#start = { x: event.clientX, y: event.clientY };
    this.#press = setTimeout(() => this.#long(entry), LONG_PRESS_MS);
  }

  #moved({ clientX, clientY }) {
    if (this.#start && Math.hypot(clientX - this.#start.x, clientY - this.#start.y) > STILL_PX) clearTimeout(this.#press);
  }

  #long(entry) {
    const index = this.#app.folder.shown.indexOf(entry); // it may be gone
    if (index < 0) return;
    this.#isSpent = true;
    navigator.vibrate?.(10);
    this.#app.folder.selectToggle(index);
  }

  // --- clicks ---

  #click(event) {
    const { folder, view } = this.#app;
    const index = view.indexOf(event.target);
    if (index < 0) return;
    event.preventDefault();
    if (this.#isSpent || this.#isStray(event)) return;
    const more = event.target.closest(".more")?.getBoundingClientRect();
    if (more) this.#openMenu(index, more.right, more.bottom);
    else if (this.#opens(event)) {
      folder.setCursor(index);
      this.#app.activate(folder.shown[index]);
    } else {
      this.#select(event, index);
      view.focus();
    }
  }

  // The second half of a double click whose first half has brought something else under the pointer.
  #isStray(event) {
    return event.detail > 1 && this.#app.view.entryOf(event.target)?.href !== this.#first;
  }

  #opens(event) {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.target.closest(".tick")) return false;
    return this.#isTouch ? this.#app.folder.selected.size === 0 : event.target.closest("a") !== null;
  }

  #select(event, index) {
    const { folder } = this.#app;
    const control = event.ctrlKey || event.metaKey;
    if (event.shiftKey) {
      getSelection().removeAllRanges(); // the browser has taken it for text
      folder.selectRange(index, { keep: control });
    } else if (control || this.#isTouch || event.target.closest(".tick")) folder.selectToggle(index);
    else folder.selectOnly(index);
  }

  #doubleClick(event) {
    const entry = this.#app.view.entryOf(event.target);
    if (entry && !this.#isStray(event) && !event.target.closest("a, button, .tick") && !event.ctrlKey && !event.metaKey && !event.shiftKey) this.#app.activate(entry);
  }

  // --- menus ---

  // On nothing: neither on an entry nor on anything that does something.
  #isBeside({ target }) {
    const isPage = target === document.body || target === document.documentElement || target.closest("main");
    return isPage && this.#app.view.indexOf(target) < 0 && !target.closest("a, button, input, [popover], .selection, .head");
  }

  #menu(event) {
    const { actions, view } = this.#app;
    const index = view.indexOf(event.target);
    if (index < 0 && !this.#isBeside(event)) return;
    event.preventDefault();
    if (event.ctrlKey) this.#isSpent = true; // on a Mac that is the right click, and Safari calls it a click besides
    if (this.#isTouch && index >= 0) return; // a long press selects
    if (index >= 0) this.#openMenu(index, event.clientX, event.clientY);
    else menu(actions.menuItems("background", []), event.clientX, event.clientY);
  }

  // About what is selected, if that is part of it.
  #openMenu(index, x, y) {
    const { actions, folder, view } = this.#app;
    const entry = folder.shown[index];
    const isPart = folder.selected.has(entry.href);
    if (!isPart && this.#isTouch) folder.setCursor(index); // nothing that would have to be undone
    else if (!isPart) folder.selectOnly(index);
    view.focus();
    menu(actions.menuItems("menu", isPart ? folder.selection : [entry]), x, y);
  }
}
