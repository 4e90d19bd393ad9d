// A new name, written where the old one stands. Enter and a click elsewhere take it, Escape does not. Where a finger is what points,
// it is a dialog, which has room above the keyboard.
import { Failure, list, request } from "./api.js";
import { ask, notify } from "./dialog.js";
import { element, isComposing } from "./dom.js";
import { nameProblem, quoted } from "./names.js";
import { childHref, parentHref, splitName } from "./paths.js";
import { refresh } from "./refresh.js";

const HEIGHT_PX = 32; // of the input, and how far its text is from its edge; as in change.css
const LEFT_PX = 9;
const TAKEN = "That name is taken.";

// How much of a name is selected to be written over.
const stemLength = ({ name, isFolder }) => (isFolder ? name : splitName(name).stem).length;

// What a line of text makes of a name: it has no room for line breaks.
const given = (name) => name.replace(/[\r\n]/g, "");

// What is wrong with a new name, as far as it can be told from here.
function problemOf(app, entry, name) {
  return nameProblem(name) || (app.folder.entries.some((one) => one.name === name && one.href !== entry.href) ? TAKEN : "");
}

// Gives the name; resolves with the new address.
async function give(entry, name) {
  const folder = parentHref(entry.href);
  const to = childHref(folder, name, entry.isFolder);
  const move = (overwrite) => request("MOVE", entry.href, { headers: { Destination: to, Overwrite: overwrite }, accept: [412] });
  if ((await move("F")).status !== 412) return to;
  // Where the file system does not tell a from A, the name is taken by what is to be renamed.
  const isSpelling = name.toLowerCase() === entry.name.toLowerCase() && (await list(folder)).entries.every((one) => one.name !== name);
  if (isSpelling && (await move("T")).status !== 412) return to;
  throw new Failure(412, TAKEN);
}

class Renaming {
  #app;
  #entry;
  #isMoving = false; // from row to row
  #isBusy = false;

  constructor(app, entry, whenDone) {
    this.#app = app;
    this.#entry = entry;
    this.whenDone = whenDone;
    this.input = element("input", { type: "text", "aria-label": "New name", "aria-describedby": "rename-error", autocomplete: "off", autocapitalize: "off", spellcheck: "false", dir: "auto" });
    this.error = element("p", { id: "rename-error", role: "alert" });
    this.element = element("div", { class: "rename" }, this.input, this.error);
    this.input.value = entry.name;
    this.input.addEventListener("keydown", (event) => this.#key(event));
    this.input.addEventListener("input", () => this.#say(this.input.value === given(entry.name) ? "" : problemOf(app, entry, this.input.value)));
    // (When another window gets the focus, the input stays the active element.)
    this.input.addEventListener("blur", () => !this.#isMoving && document.activeElement !== this.input && this.#take(true));
    for (const type of ["pointerdown", "click", "dblclick", "contextmenu", "dragstart"]) this.element.addEventListener(type, (event) => event.stopPropagation());
  }

  // Called for each row: the input goes where its entry is shown.
  decorate(node, entry) {
    const isHere = entry.href === this.#entry.href;
    node.classList.toggle("renaming", isHere);
    if (!isHere) return;
    this.#place(node);
    if (node.contains(this.element)) return;
    const [start, end] = [this.input.selectionStart, this.input.selectionEnd];
    this.#isMoving = true;
    node.querySelector(".name").append(this.element);
    this.input.focus({ preventScroll: true });
    this.input.setSelectionRange(start, end);
    this.#isMoving = false;
  }

  // Over the name: as wide as there is room for it, or as the tile.
  #place(node) {
    const row = node.getBoundingClientRect();
    const cell = node.querySelector(".name").getBoundingClientRect();
    const name = node.querySelector("bdi").getBoundingClientRect();
    const isTile = name.top > cell.top + cell.height / 2;
    const left = isTile ? cell.left : name.left - LEFT_PX;
    Object.assign(this.element.style, { left: `${left - row.left}px`, width: `${cell.right - left}px`, top: `${name.top + name.height / 2 - row.top - HEIGHT_PX / 2}px` });
  }

  #say(problem) {
    this.error.textContent = problem;
    this.input.setAttribute("aria-invalid", problem !== "");
    return problem === "";
  }

  #key(event) {
    event.stopPropagation();
    if (isComposing(event)) return;
    if (event.key === "Enter") this.#take(false);
    else if (event.key === "Escape") this.#close();
    else return;
    event.preventDefault();
  }

  // Somebody who has gone elsewhere is told what was wrong, and keeps the old name.
  async #take(isLeaving) {
    if (this.#isBusy) return;
    const name = this.input.value.trim();
    if (this.input.value === given(this.#entry.name) || name === this.#entry.name || name === "" || this.#isLeft()) return this.#close();
    const problem = problemOf(this.#app, this.#entry, name);
    if (problem === "") return this.#give(name, isLeaving);
    if (!isLeaving) return this.#say(problem);
    notify(`${quoted(this.#entry.name)} keeps its name. ${problem}`, { isError: true });
    this.#close();
  }

  async #give(name, isLeaving) {
    this.#isBusy = this.input.readOnly = true;
    try {
      const href = await give(this.#entry, name);
      await refresh(this.#app, [href], [this.#entry]);
      this.#close();
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      this.#isBusy = this.input.readOnly = false;
      if (failure.status === 412 && !isLeaving && !this.#isLeft()) return this.#say(failure.message);
      notify(`${quoted(this.#entry.name)} keeps its name. ${failure.message}`, { isError: true });
      this.#close();
      if (failure.status !== 0) refresh(this.#app);
    }
  }

  // Whether its folder is not what is shown any more.
  #isLeft() {
    return parentHref(this.#entry.href) !== this.#app.folder.href;
  }

  closeIfLeft() {
    if (this.#isLeft()) this.#close();
  }

  #close() {
    const hadFocus = this.element.contains(document.activeElement);
    this.#isBusy = true; // the blur of its removal takes nothing
    this.element.closest(".row")?.classList.remove("renaming");
    this.element.remove();
    this.whenDone();
    if (hadFocus) this.#app.view.focus();
  }
}

async function renameByDialog(app, entry) {
  for (let value = entry.name, problem = ""; ;) {
    const isSame = (text) => text === given(entry.name) || text.trim() === entry.name;
    const answer = await ask({ title: "Rename", text: problem, label: "New name", value, ok: "Rename", select: stemLength(entry), check: (text) => (isSame(text) ? "" : problemOf(app, entry, text.trim())) });
    if (answer === null || isSame(answer)) return;
    const name = answer.trim();
    try {
      return refresh(app, [await give(entry, name)]);
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      if (failure.status !== 412) {
        notify(`${quoted(entry.name)} keeps its name. ${failure.message}`, { isError: true });
        return failure.status !== 0 && refresh(app);
      }
      [value, problem] = [name, failure.message];
    }
  }
}

export function install(app) {
  const { folder, view } = app;
  let renaming = null;

  const inPlace = (entry) => {
    folder.setCursorTo(entry.href); // whose row stays in the document
    view.focus();
    const row = view.rowOf(entry);
    const made = (renaming = new Renaming(app, entry, () => {
      if (renaming === made) renaming = null; // and not a newer one
      view.refresh();
    }));
    renaming.decorate(row, entry);
    renaming.input.setSelectionRange(0, stemLength(entry));
    view.refresh(); // the row is not to be dragged now (drag.js): where it is, Firefox puts no cursor into the name
  };
  view.addDecorator((node, entry) => renaming?.decorate(node, entry));
  folder.addEventListener("load", () => renaming?.closeIfLeft());
  app.addAction({
    id: "rename", label: "Rename", icon: "edit", key: "F2", place: ["selection", "menu"],
    when: (_, entries) => folder.writable && entries.length === 1,
    run: ([entry]) => (matchMedia("(pointer: fine)").matches ? inPlace(entry) : renameByDialog(app, entry)),
  });
}
