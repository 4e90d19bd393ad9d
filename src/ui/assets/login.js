// A session that has ended while a page is open: one logs in again in place, and whatever waited for the server goes on.
import { Failure, whenLoggedOut } from "./api.js";
import { dialog } from "./dialog.js";
import { element } from "./dom.js";
import { formatDuration } from "./format.js";

const MESSAGES = {
  0: "There is no connection to the server.",
  403: "That name and password do not belong together.",
  503: "The server is busy. Try again in a moment.",
};

// What the server says about this name and password: "" where they are right.
async function logIn(user, password) {
  let response;
  try {
    response = await fetch("/.fastfile/login", {
      method: "POST",
      body: new URLSearchParams({ user, password, next: "/" }),
      redirect: "manual", // to where the login page would lead, which nobody needs here
    });
  } catch {
    return MESSAGES[0];
  }
  if (response.type === "opaqueredirect") return "";
  if (response.status === 429) {
    const seconds = Number(response.headers.get("Retry-After")) || 1;
    return `Too many wrong passwords. Try again in ${formatDuration(seconds)}.`;
  }
  return MESSAGES[response.status] ?? "That did not work. Try again in a moment.";
}

function field(label, attributes) {
  const input = element("input", { required: true, "aria-describedby": "login-error", ...attributes });
  return { input, row: element("label", { class: "field" }, label, input) };
}

// Resolves with the name of who has logged in, or null.
function askAgain(user) {
  const name = field("Name", { type: "text", name: "user", value: user, autocomplete: "username", autocapitalize: "none", autocorrect: "off", spellcheck: "false" });
  const password = field("Password", { name: "password", type: "password", autocomplete: "current-password", autofocus: true });
  const error = element("p", { class: "error", id: "login-error", role: "alert" });
  return dialog({
    title: "You have been logged out",
    className: "login-again",
    content: [element("p", {}, "Log in again to go on. Nothing on this page is lost."), name.row, password.row, error],
    buttons: [{ label: "Not now", value: null }, { label: "Log in", isMain: true }],
    value: async () => {
      error.textContent = "";
      error.textContent = await logIn(name.input.value, password.input.value);
      if (error.textContent === "") return name.input.value;
      password.input.select();
      return undefined;
    },
  });
}

let asking = null; // everybody who waits, waits for the same dialog

async function askOnce(user) {
  const again = await askAgain(user);
  if (again === null) throw new Failure(401, "You are not logged in any more.");
  if (again === user) return;
  location.reload(); // these files are not this user's
  await new Promise(() => {});
}

export function install(app) {
  whenLoggedOut(() => (asking ??= askOnce(app.facts.user).finally(() => (asking = null))));
}
