// A dialog in which a folder is chosen, by walking through them: for "Move to…" and "Copy to…".
import { list } from "./api.js";
import { dialog } from "./dialog.js";
import { element } from "./dom.js";
import { kindIcon } from "./icons.js";
import { crumbs, isWithin, shownName } from "./paths.js";

// isRight(href) → whether that folder can be chosen; `avoid` are entries that nobody may walk into. Resolves with an address or null.
export async function chooseFolder({ title, ok, start, avoid, isRight }) {
  const path = element("ol");
  const rows = element("ul", { "aria-label": "Folders" });
  const state = element("p", { class: "state", role: "status" });
  let open = start;
  let main = null;

  const step = ({ name, href }) => element("li", {}, element("button", { type: "button", onclick: () => walk(href) }, element("bdi", {}, shownName(name))));
  const row = ({ name, href }) => element("li", {}, element("button", { type: "button", onclick: () => walk(href) }, kindIcon("folder"), element("bdi", {}, shownName(name))));
  async function walk(href) {
    open = href;
    path.replaceChildren(...crumbs(href).map(step));
    rows.replaceChildren();
    state.textContent = "";
    if (main) main.disabled = !isRight(href);
    try {
      const { entries } = await list(href);
      if (open !== href) return; // somebody has gone on meanwhile
      const folders = entries.filter((one) => one.isFolder && !avoid.some((other) => isWithin(one.href, other.href)));
      rows.replaceChildren(...folders.map(row));
      state.textContent = folders.length === 0 ? "There are no folders in here." : "";
    } catch (failure) {
      if (failure.status === undefined) throw failure;
      if (open !== href) return;
      state.textContent = failure.message;
    }
    (rows.querySelector("button") ?? path.querySelector("li:last-child button")).focus();
  }
  const chosen = dialog({
    title,
    className: "chooser",
    content: [element("nav", { "aria-label": "Path" }, path), element("div", { class: "list" }, rows, state)],
    buttons: [{ label: "Cancel", value: null }, { label: ok, isMain: true }],
    value: () => (isRight(open) ? open : undefined),
  });
  main = rows.closest("form").querySelector(".buttons .main");
  walk(start);
  return chosen;
}
