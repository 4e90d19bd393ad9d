// Buttons: of actions, and with nothing but a picture.
import { element } from "./dom.js";
import { icon } from "./icons.js";
import { keyLabel } from "./key.js";

// about() → the entries that it is about when it is pressed.
export function actionButton(action, about) {
  const { id, label, isMain, isDanger, keys } = action;
  return element("button", {
    type: "button", "data-action": id, title: keys.length > 0 ? `${label} (${keyLabel(keys[0])})` : label, "aria-label": label,
    class: [isMain && "main", isDanger && "danger"].filter(Boolean).join(" "), onclick: (event) => action.run(about(), event),
  }, icon(action.icon), element("span", {}, label));
}

export function iconButton(name, label, onclick) {
  return element("button", { type: "button", class: "quiet round", title: label, "aria-label": label, onclick }, icon(name));
}
