// All that changes what is on the server, but uploads: each in a module of its own, here are their actions.
import { Failure, request } from "./api.js";
import { chooseFolder } from "./chooser.js";
import * as clipboard from "./clipboard.js";
import { ask, notify } from "./dialog.js";
import * as download from "./download.js";
import * as drag from "./drag.js";
import { nameProblem, quotedAll } from "./names.js";
import { childHref } from "./paths.js";
import { refresh } from "./refresh.js";
import { remove } from "./remove.js";
import * as rename from "./rename.js";
import { mayGo, transfer } from "./transfer.js";
import { canUndo, undoLast } from "./undo.js";

async function makeFolder(app) {
  const { folder } = app;
  const parent = folder.href;
  const taken = (name) => (folder.entries.some((one) => one.name === name) ? "That name is taken." : "");
  for (let value = "", problem = ""; ;) {
    const name = (await ask({ title: "New folder", text: problem, label: "Name", value, ok: "Create", check: (text) => nameProblem(text.trim()) || taken(text.trim()) }))?.trim();
    if (name === undefined) return;
    try {
      const href = childHref(parent, name, true);
      const { status } = await request("MKCOL", href, { accept: [405] });
      if (status !== 405) return refresh(app, [href]);
      [value, problem] = [name, "That name is taken."];
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      return notify(`The folder was not made. ${failure.message}`, { isError: true });
    }
  }
}

async function sendTo(app, entries, isCopy) {
  const verb = isCopy ? "Copy" : "Move";
  const target = await chooseFolder({
    title: `${verb} ${quotedAll(entries)} to`,
    ok: `${verb} here`,
    start: app.folder.href,
    avoid: entries.filter((entry) => entry.isFolder),
    isRight: (href) => entries.every((entry) => mayGo(entry, href, isCopy)),
  });
  if (target !== null) await transfer(app, entries, target, { isCopy });
}

export function install(app) {
  const isWritable = () => app.folder.writable && app.folder.state === "ready";

  app.addAction({ id: "new-folder", label: "New folder", icon: "new-folder", key: ["F7", "Control+Alt+n"], place: ["bar", "background"], when: isWritable, run: () => makeFolder(app) });
  download.install(app);
  rename.install(app);
  app.addAction({ id: "move-to", label: "Move to…", icon: "move", place: ["selection", "menu"], when: isWritable, run: (entries) => sendTo(app, entries, false) });
  app.addAction({ id: "copy-to", label: "Copy to…", icon: "copy", place: "menu", when: isWritable, run: (entries) => sendTo(app, entries, true) });
  clipboard.install(app);
  app.addAction({ id: "delete", label: "Delete", icon: "delete", key: ["Delete", "Control+Backspace"], place: ["selection", "menu"], isDanger: true, when: isWritable, run: (entries) => remove(app, entries) });
  app.addAction({ id: "undo", label: "Undo", key: "Control+z", when: canUndo, run: undoLast });
  drag.install(app);
}
