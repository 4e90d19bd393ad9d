// Elements out of script. Text becomes text nodes, never markup.

// element("button", {class: "main", disabled: true, onclick: save}, "Save"): attributes whose value is false or undefined are
// left out; functions are listeners.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

// Sets or removes an attribute, and leaves alone what is right already.
export function setAttribute(node, name, value) {
  if (value === null || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Whether the keys are meant for a field in which somebody writes.
export function isWriting(target) {
  return target instanceof HTMLElement && target.closest("input, textarea, select, [contenteditable]") !== null;
}

// Whether a key is the input method's. (Of the one that ends a composition Safari tells it by the code only.)
export function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}
