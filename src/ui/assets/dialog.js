// Dialogs, menus and notices. A dialog is a promise of what was chosen; null and false mean that nothing is to be done. The focus
// goes back to where it was.
import { element, setText } from "./dom.js";
import { icon } from "./icons.js";

// --- dialogs ---

let dialogs = 0; // there may be one above another

const button = (label, attributes) => element("button", { type: "button", ...attributes }, label);

// Closes a dialog by a click beside it: one that has begun there too, which text that is selected up to there has not, and that is not
// the second half of the double click that has opened it.
export function closeBeside(node) {
  let isBegun = false;
  const isBeside = ({ target, clientX, clientY }) => {
    const { left, right, top, bottom } = node.getBoundingClientRect();
    return target === node && (clientX < left || clientX > right || clientY < top || clientY > bottom);
  };
  node.addEventListener("pointerdown", (event) => (isBegun = isBeside(event)));
  node.addEventListener("click", (event) => isBegun && event.detail <= 1 && isBeside(event) && node.close());
}

// A dialog with anything in it: `content` are nodes, `buttons` are [{value, label, isMain, isDanger}] of which the main one is also
// Enter, and has the focus first unless it is dangerous or something in `content` has autofocus; `value()` makes the result of the main
// button, or a promise of it, and undefined where the dialog stays. Resolves with a button's value, or null when it was closed.
export function dialog({ title, content = [], buttons, className = "", value }) {
  closeMenu();
  return new Promise((resolve) => {
    const before = document.activeElement;
    let result = null;
    let isBusy = false;
    const id = `dialog-title-${++dialogs}`;
    const form = element("form", { method: "dialog", novalidate: true }, element("h2", { id }, title), ...content);
    const node = element("dialog", { class: `dialog ${className}`, "aria-labelledby": id }, form);
    const finish = (chosen) => {
      result = chosen;
      node.close();
    };
    const main = buttons.find((one) => one.isMain);
    const row = element("div", { class: "buttons" });
    for (const one of buttons) {
      const look = `${one.isMain ? "main" : ""} ${one.isDanger ? "danger" : ""}`.trim();
      row.append(one === main ? element("button", { class: look, autofocus: !one.isDanger }, one.label) : button(one.label, { class: look, onclick: () => finish(one.value) }));
    }
    form.append(row);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (isBusy) return;
      isBusy = true;
      const chosen = value ? await value() : main?.value;
      isBusy = false;
      if (chosen !== undefined) finish(chosen);
    });
    closeBeside(node);
    node.addEventListener("keydown", (event) => event.stopPropagation()); // no key of the page behind it
    node.addEventListener("close", () => {
      node.remove();
      before?.focus?.({ preventScroll: true });
      resolve(result);
    });
    document.body.append(node);
    node.showModal();
    node.scrollTop = 0; // also where what has the focus is further down
  });
}

// Whether to do what `ok` says.
export async function confirm({ title, text, ok = "OK", isDanger = false }) {
  const done = await dialog({
    title,
    content: [element("p", { dir: "auto" }, text)],
    buttons: [{ label: "Cancel", value: null }, { label: ok, value: true, isMain: true, isDanger }],
  });
  return done === true;
}

// A line of text, or null. check(value) says what is wrong with it, or "". `select`: how many characters are selected first.
export async function ask({ title, text, label, value = "", ok = "OK", check = () => "", select = value.length }) {
  const input = element("input", { id: "dialog-input", type: "text", autocomplete: "off", autocapitalize: "off", spellcheck: "false", dir: "auto", autofocus: true });
  const error = element("p", { class: "error", id: "dialog-error", role: "alert" });
  input.value = value;
  input.setAttribute("aria-describedby", "dialog-error");
  const show = (message) => {
    error.textContent = message;
    input.setAttribute("aria-invalid", message !== "");
    return message === "";
  };
  input.addEventListener("input", () => show(input.value === "" ? "" : check(input.value)));
  queueMicrotask(() => input.setSelectionRange(0, select));
  return dialog({
    title,
    content: [text && element("p", { dir: "auto" }, text), element("label", { for: "dialog-input" }, label), input, error].filter(Boolean),
    buttons: [{ label: "Cancel", value: null }, { label: ok, isMain: true }],
    value: () => (show(check(input.value)) ? input.value : (input.focus(), undefined)),
  });
}

// One of several: {value, all} or null. `all` is the text of a check box, left out where there is only one to decide about.
export async function choose({ title, text, choices, all }) {
  const box = all && element("input", { type: "checkbox" });
  const chosen = await dialog({
    title,
    className: "choose",
    content: [text && element("p", { dir: "auto" }, text), box && element("label", { class: "check" }, box, all)].filter(Boolean),
    buttons: [{ label: "Cancel", value: null }, ...choices.map((one, at) => ({ ...one, isMain: at === choices.length - 1 }))],
  });
  return chosen === null ? null : { value: chosen, all: box?.checked ?? false };
}

// --- notices ---

let notices = null;
let announcer = null;

// Where notices will be: screen readers tell what is new in a region that they know.
export function makeRegions() {
  notices = element("div", { class: "notices" });
  announcer = element("div", { class: "unseen", role: "status", "aria-live": "polite" });
  document.body.append(notices, announcer);
}

// Tells screen readers what has happened; nobody sees it.
export function announce(text) {
  announcer.textContent = announcer.textContent === text ? text + "\u00a0" : text; // the same twice is said twice
}

// A notice for some seconds (Infinity: until it is closed, and not read out with each change), with one thing that can be done about it: {close(), update(text), isOpen}.
export function notify(text, { action, label, isError = false, seconds = action || isError ? 10 : 5 } = {}) {
  let timer = 0;
  const close = () => {
    clearTimeout(timer);
    node.remove();
  };
  const act = action && button(label, { class: "act", onclick: () => (close(), action()) });
  const node = element("div", { class: isError ? "notice error" : "notice", role: isError ? "alert" : seconds !== Infinity && "status" },
    element("span", { dir: "auto" }, text), act, seconds !== Infinity && element("button", { type: "button", class: "close", "aria-label": "Dismiss", onclick: close }, icon("close")));
  const wait = () => seconds !== Infinity && (timer = setTimeout(close, seconds * 1000));
  // Who is about to use it has the time for that.
  for (const type of ["pointerenter", "focusin"]) node.addEventListener(type, () => clearTimeout(timer));
  for (const type of ["pointerleave", "focusout"]) node.addEventListener(type, () => (clearTimeout(timer), wait()));
  notices.append(node);
  wait();
  return {
    close,
    update: (changed) => setText(node.firstChild, changed),
    get isOpen() {
      return node.isConnected;
    },
  };
}

// --- menus ---

const EDGE_PX = 8;

// Where something of a length goes: after a point, before it where there is no room, or as far as there is any.
function fit(at, length, room) {
  const position = at + length + EDGE_PX <= room ? at : at - length;
  return `${Math.max(EDGE_PX, Math.min(position, room - length - EDGE_PX))}px`;
}

// Beside a point, wholly in view. (On a phone the style makes a sheet of it.)
function place(node, x, y) {
  node.style.left = fit(x, node.offsetWidth, innerWidth);
  node.style.top = fit(y, node.offsetHeight, innerHeight);
}

function keyInMenu(event, node, close) {
  const items = [...node.querySelectorAll("button:not(:disabled)")];
  const at = items.indexOf(document.activeElement);
  const moves = { ArrowDown: at + 1, ArrowUp: at < 0 ? -1 : at - 1, Home: 0, End: -1 };
  event.stopPropagation();
  if (event.key === "Tab") close();
  let next = moves[event.key];
  if (next === undefined && event.key.length === 1) {
    const after = [...items.slice(at + 1), ...items.slice(0, at + 1)];
    next = items.indexOf(after.find((one) => one.textContent.toLowerCase().startsWith(event.key.toLowerCase())));
    if (next < 0) return;
  }
  if (next === undefined) return;
  event.preventDefault();
  items.at(next % items.length)?.focus();
}

let closeOpen = null;

// Closes the menu, if there is one: for whatever lays itself above the page.
export function closeMenu() {
  closeOpen?.();
}

// Calls close() for a press beside the menu, Escape, and the Back of a phone. "auto" popovers would do that by themselves, but HTML has them
// closed by the release of the very right click that opens one, and Safari does as it says; nor do taps close them on iOS before 18.3.
// Returns how to stop it.
function whenLeft(node, close) {
  const press = (event) => !node.contains(event.target) && close(event);
  const escape = (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault(); // it is used up
    event.stopPropagation();
    close();
  };
  document.addEventListener("pointerdown", press, true);
  document.addEventListener("keydown", escape, true);
  const watcher = "CloseWatcher" in window ? new CloseWatcher() : null;
  watcher?.addEventListener("close", close);
  return () => {
    document.removeEventListener("pointerdown", press, true);
    document.removeEventListener("keydown", escape, true);
    watcher?.destroy();
  };
}

// items: [{label, icon, key, run, disabled, isDanger}]. Keys are shown only.
export function menu(items, x, y) {
  closeMenu();
  const before = document.activeElement;
  const node = element("div", { class: "menu", role: "menu", tabindex: -1, popover: "manual" });
  const focusBack = () => document.activeElement === document.body && before?.focus?.({ preventScroll: true });
  const close = (event) => {
    stopWatching();
    closeOpen = null;
    node.remove();
    focusBack();
    if (event?.type === "pointerdown") document.addEventListener("pointerup", focusBack, { once: true }); // the press takes it from there
  };
  const stopWatching = whenLeft(node, close);
  closeOpen = close;
  for (const item of items)
    node.append(element("button", {
      type: "button", role: "menuitem", tabindex: -1, disabled: item.disabled, class: item.isDanger && "danger",
      onclick: () => (close(), item.run()),
    }, icon(item.icon ?? ""), element("span", {}, item.label), item.key && element("kbd", {}, item.key)));
  node.addEventListener("keydown", (event) => keyInMenu(event, node, close));
  node.addEventListener("contextmenu", (event) => event.preventDefault());
  document.querySelector("main").append(node); // a landmark, for screen readers
  node.showPopover?.(); // Safari has it from 17 on; before, the style alone keeps it above the page
  place(node, x, y);
  node.querySelector("button:not(:disabled)")?.focus();
}
