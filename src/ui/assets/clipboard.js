// Cut, copy and paste of entries, from one folder to another. What was cut stays where it is, paler, until it is pasted.
//
// Pasting listens to the browser's own event: what somebody has copied in another program is a file to upload, whatever was copied
// here before.
import { notify } from "./dialog.js";
import { isWriting } from "./dom.js";
import { keyLabel } from "./key.js";
import { quotedAll } from "./names.js";
import { parentHref } from "./paths.js";
import { transfer } from "./transfer.js";

export function install(app) {
  const { folder, view } = app;
  let held = []; // entries
  let isCut = false;
  let notice = null;
  let cut = new Set(); // their addresses

  const hold = (entries, cutting) => {
    held = [...entries];
    isCut = cutting;
    cut = new Set(cutting ? entries.map(({ href }) => href) : []);
    view.refresh();
    app.frame.refresh();
  };
  const take = (entries, cutting) => {
    hold(entries, cutting);
    const key = matchMedia("(pointer: fine)").matches ? ` (${keyLabel("Control+v")})` : "";
    notice?.close();
    notice = notify(`${quotedAll(entries)} can be pasted into another folder now${key}`);
  };
  const canPaste = () => app.facts.writable && held.length > 0; // also while the folder is being loaded
  const paste = async () => {
    const entries = held;
    const isCopy = !isCut;
    if (isCut && entries.every(({ href }) => parentHref(href) === folder.href)) return; // it is here already
    notice?.close();
    if (isCut) hold([], false);
    await transfer(app, entries, folder.href, { isCopy });
  };

  view.addDecorator((node, entry) => node.classList.toggle("cut", cut.has(entry.href)));
  app.addAction({ id: "cut", label: "Cut", icon: "cut", key: "Control+x", place: "menu", when: () => folder.writable, run: (entries) => take(entries, true) });
  app.addAction({ id: "copy", label: "Copy", icon: "copy", key: "Control+c", place: "menu", when: () => app.facts.writable, run: (entries) => take(entries, false) });
  app.addAction({ id: "paste", label: "Paste", icon: "paste", key: "Control+v", isOwn: true, place: ["bar", "background"], when: canPaste, run: paste });
  document.addEventListener("beforepaste", (event) => !isWriting(event.target) && event.preventDefault()); // without it Safari does not ask
  document.addEventListener("paste", (event) => {
    const isElsewhere = event.defaultPrevented || isWriting(event.target) || document.querySelector("dialog[open]");
    if (isElsewhere || event.clipboardData.types.includes("Files") || !canPaste()) return;
    event.preventDefault();
    paste();
  });
}
