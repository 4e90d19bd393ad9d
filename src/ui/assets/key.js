// Names of keys: as actions have them, and as people read them.

const isMac = /Mac|iPhone|iPad/.test(navigator.platform);
const SHORT = { Shift: "Shift", Control: "Ctrl", Alt: "Alt", Delete: "Del", Escape: "Esc", " ": "Space", Backspace: "Backspace" };
const SHORT_ON_MAC = { Shift: "⇧", Control: "⌘", Alt: "⌥", Delete: "⌦", Escape: "Esc", " ": "Space", Backspace: "⌫" };

// "Control+Shift+n" of a keydown. Command is Control. Shift counts where it does not only make another character.
export function keyOf(event) {
  const { key } = event;
  const isCharacter = key.length === 1;
  const control = event.ctrlKey || event.metaKey;
  const shift = event.shiftKey && (!isCharacter || control);
  return [control && "Control", event.altKey && "Alt", shift && "Shift", isCharacter ? key.toLowerCase() : key].filter(Boolean).join("+");
}

export function keyLabel(key) {
  const names = isMac ? SHORT_ON_MAC : SHORT;
  const arrows = { ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→" };
  const parts = key.split(/(?<=.)\+/).map((part) => names[part] ?? arrows[part] ?? (part.length === 1 ? part.toUpperCase() : part));
  return parts.join(isMac ? "" : "+");
}
