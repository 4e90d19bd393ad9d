// The account panel: who one is, how much room there is, passwords for apps, and the ways out.
import { askRoom, Failure, request } from "./api.js";
import { closeBeside, closeMenu, confirm } from "./dialog.js";
import { element, setText } from "./dom.js";
import { formatSize } from "./format.js";
import { icon } from "./icons.js";

const ACCOUNT = "/.fastfile/account";
const APPS = `${ACCOUNT}/apps`;

export function install(app) {
  if (!app.facts.user) return;
  app.addAction({ id: "account", label: "Account", icon: "user", place: ["account"], when: () => true, run: () => openPanel(app) });
  if (!app.facts.session) return;
  app.addAction({ id: "log-out", label: "Log out", icon: "log-out", place: ["account"], when: () => true, run: () => logOut() });
}

// A navigation, so that the browser forgets the pages that it keeps for its Back button.
function logOut({ everywhere = false } = {}) {
  const form = element("form", { method: "post", action: "/.fastfile/logout" },
    everywhere && element("input", { type: "hidden", name: "everywhere", value: "1" }));
  document.body.append(form);
  form.submit();
}

async function logOutEverywhere(user) {
  const text = `Every browser in which ${user} is logged in will ask for the password again, this one too. App passwords stay as they are.`;
  if (await confirm({ title: "Log out everywhere?", text, ok: "Log out everywhere", isDanger: true })) logOut({ everywhere: true });
}

// --- room ---

async function showRoom(section, href) {
  const room = await askRoom(href).catch(() => null);
  if (!room) return;
  const used = element("div");
  used.style.width = `${Math.ceil(100 * (1 - room.free / room.total))}%`;
  section.append(element("h3", {}, "Room"), element("div", { class: "room", "aria-hidden": "true" }, used),
    element("p", {}, `${formatSize(room.free)} of ${formatSize(room.total)} are free.`));
}

// --- app passwords ---

// Text with a button that copies it.
function copyable(label, text) {
  const value = element("code", { tabindex: 0 }, text);
  const copy = element("button", { type: "button", "aria-label": `Copy: ${label}` }, icon("copy"), element("span", {}, "Copy"));
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      setText(copy.lastChild, "Copied");
    } catch {
      getSelection().selectAllChildren(value); // not allowed here: one key is left to press
    }
  });
  return [element("dt", {}, label), element("dd", {}, value, copy)];
}

function showMade(section, user, { label, password }) {
  const address = `${location.origin}/`;
  const box = element("div", { class: "made", role: "status" },
    element("h4", {}, "Password for ", element("bdi", {}, label)),
    element("dl", {}, ...copyable("Password", password), ...copyable("Address", address), ...copyable("User name", user)),
    element("p", {}, "Give this to the app now: the password is not shown again."));
  section.querySelector(".made")?.remove();
  section.querySelector("form").after(box);
  box.scrollIntoView({ block: "nearest" });
}

const REFUSALS = {
  400: "That name will not do: up to 64 bytes, without a colon.",
  409: "There is a password with that name already.",
  507: "No more passwords fit in: revoke one that is not used any more.",
};

async function addApp(label, readOnly) {
  const body = new URLSearchParams(readOnly ? { label, readOnly: 1 } : { label });
  const response = await request("POST", APPS, { body, accept: Object.keys(REFUSALS).map(Number) });
  const refusal = REFUSALS[response.status];
  if (refusal) throw new Failure(response.status, refusal);
  return response.json();
}

async function removeApp(label) {
  const text = "Apps and devices that use this password will not get in any more.";
  if (!(await confirm({ title: `Revoke the password for ${label}?`, text, ok: "Revoke", isDanger: true }))) return false;
  await request("DELETE", `${APPS}/${encodeURIComponent(label)}`, { accept: [404] });
  return true;
}

// The list with what is done about it: everything is asked of the server anew after a change.
class Apps {
  #user;
  #section;
  #list = element("ul");
  #label = element("input", { type: "text", name: "label", required: true, maxlength: 64, autocomplete: "off", placeholder: "Phone, laptop, backup …", "aria-label": "Name of the app or device", "aria-describedby": "account-error" });
  #readOnly = element("input", { type: "checkbox" });
  #error = element("p", { class: "error", id: "account-error", role: "alert" });

  // A form for passwords that may change files only where the user may.
  constructor(section, user, writable) {
    this.#user = user;
    this.#section = section;
    const form = element("form", { onsubmit: (event) => this.#add(event) }, this.#label, element("button", { class: "main" }, "Make password"),
      writable && element("label", { class: "check" }, this.#readOnly, "May only look, not change files"));
    section.append(element("h3", {}, "App passwords"),
      element("p", {}, "For a network drive, a sync program or a phone: each gets a password of its own, which can be revoked without the others."),
      this.#list, form, this.#error);
  }

  async load() {
    await this.#tell(async () => {
      const { apps } = await (await request("GET", ACCOUNT)).json();
      this.#list.replaceChildren(...apps.map((one) => this.#row(one)));
    });
  }

  #row({ label, readOnly }) {
    const revoke = element("button", { type: "button", class: "danger", "aria-label": `Revoke: ${label}`, onclick: () => this.#remove(label) }, "Revoke");
    return element("li", {}, element("bdi", {}, label), readOnly && element("small", {}, "may only look"), revoke);
  }

  async #add(event) {
    event.preventDefault();
    await this.#tell(async () => {
      const made = await addApp(this.#label.value.trim(), this.#readOnly.checked);
      this.#label.value = "";
      this.#readOnly.checked = false;
      await this.load();
      showMade(this.#section, this.#user, made);
    });
  }

  async #remove(label) {
    await this.#tell(async () => {
      if (!(await removeApp(label))) return;
      this.#section.querySelector(".made")?.remove();
      await this.load();
      this.#label.focus(); // the button that had the focus is gone
    });
  }

  async #tell(action) {
    this.#error.textContent = "";
    try {
      await action();
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      this.#error.textContent = failure.message;
    }
  }
}

// --- the panel ---

function openPanel({ facts, folder }) {
  const { user, writable, session } = facts;
  const room = element("section");
  const apps = element("section");
  const close = element("button", { type: "button", class: "quiet round", "aria-label": "Close", onclick: () => node.close() }, icon("close"));
  const node = element("dialog", { class: "dialog profile", "aria-labelledby": "account-title" },
    element("header", {}, element("span", { class: "avatar", "aria-hidden": "true" }, [...user][0].toUpperCase()), element("div", {}, element("h2", { id: "account-title" }, element("bdi", {}, user)),
      element("p", {}, writable ? "You may change files." : "You may look at files, not change them.")), close),
    room, apps);
  if (session)
    node.append(element("footer", {},
      element("button", { type: "button", class: "danger", onclick: () => logOutEverywhere(user) }, "Log out everywhere"),
      element("button", { type: "button", onclick: () => logOut() }, "Log out")));
  closeBeside(node);
  node.addEventListener("keydown", (event) => event.stopPropagation()); // no key of the page behind it
  node.addEventListener("close", () => node.remove());
  document.body.append(node);
  closeMenu();
  node.showModal();
  showRoom(room, folder.href);
  if (session) new Apps(apps, user, writable).load();
  else apps.append(element("p", {}, "App passwords are made by who has come through the login page."));
}
