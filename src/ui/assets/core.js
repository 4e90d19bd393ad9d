// What can be done without changing anything: opening, going up, selecting, looking again. And the help sheet.
import { dialog } from "./dialog.js";
import { element } from "./dom.js";
import { keyLabel } from "./key.js";
import { parentHref } from "./paths.js";

// What is not an action, but a way to it.
const MOVES = [
  [["ArrowUp", "ArrowDown", "Home", "End"], "Go to another one"],
  [["A … Z"], "Go to the next name that begins so"],
  [["Enter"], "Open"],
  [["Shift+ArrowDown"], "Select from here to there"],
  [["Control+ArrowDown"], "Go on without selecting"],
  [["Control+ "], "Select it, or not"],
];

function showHelp(app) {
  const line = ([keys, text]) => element("div", {}, element("dt", {}, ...keys.map((key) => element("kbd", {}, keyLabel(key)))), element("dd", {}, text));
  const ofActions = app.actions.all.filter(({ keys }) => keys.length > 0).map(({ keys, help, label }) => [keys, help ?? label]);
  return dialog({
    title: "Keys",
    className: "help",
    content: [element("dl", {}, ...[...MOVES, ...ofActions].map(line))],
    buttons: [{ label: "Close", isMain: true, value: true }],
  });
}

export function install(app) {
  const { folder, frame } = app;
  const up = () => app.open(parentHref(folder.href), { cursor: folder.href });
  app.addAction({ id: "open", label: "Open", icon: "open", place: "menu", when: (_, entries) => entries.length === 1, run: ([entry]) => app.activate(entry) });
  app.addAction({ id: "up", label: "Go to the folder above", key: ["Backspace", "Alt+ArrowUp"], when: () => folder.href !== "/", run: up });
  app.addAction({ id: "filter", label: "Filter by name", key: "/", run: () => frame.filter.focus() });
  app.addAction({ id: "select-all", label: "Select all", icon: "select-all", key: "Control+a", place: "background", when: () => folder.shown.length > 0, run: () => folder.selectAll() });
  app.addAction({ id: "select-none", label: "Select nothing", key: "Escape", when: () => folder.selection.length > 0, run: () => folder.selectNone() });
  app.addAction({ id: "unfilter", label: "Clear the filter", key: "Escape", when: () => folder.filterText !== "", run: () => frame.filter.clear() });
  app.addAction({ id: "reload", label: "Look again", icon: "refresh", place: "background", run: () => folder.reload() });
  app.addAction({ id: "help", label: "Keys", icon: "help", key: "?", place: "account", help: "This sheet", run: () => showHelp(app) });
}
