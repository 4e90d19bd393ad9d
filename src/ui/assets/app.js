// The file manager: makes its parts and puts them together. What can be done is added by parts, in their `install(app)`.
import * as account from "./account.js";
import { Actions } from "./actions.js";
import { Address } from "./address.js";
import * as change from "./change.js";
import * as core from "./core.js";
import { Folder } from "./folder.js";
import { Frame } from "./frame.js";
import { Keys } from "./keys.js";
import * as login from "./login.js";
import { Pointer } from "./pointer.js";
import * as preview from "./preview.js";
import * as uploads from "./uploads.js";
import { View } from "./view.js";

// In the order in which their actions are offered: an import and a line for each.
const parts = [
  login,
  uploads,
  core,
  preview,
  change,
  account,
];

const { dataset } = document.body;
document.body.replaceChildren(); // the plain listing, where a browser did not say what it asks for
document.body.className = "app";
const folder = new Folder();
const openers = [];

// What every part gets.
const app = {
  folder,
  view: new View(folder),
  actions: new Actions(folder),
  facts: { user: dataset.user ?? "", writable: "writable" in dataset, session: "session" in dataset, trash: "trash" in dataset },

  // actions.js says what an action is.
  addAction(action) {
    app.actions.add(action);
  },

  // open(entry) → whether it has opened the file; the first that does.
  onOpen(open) {
    openers.push(open);
  },

  // Opens a folder; {cursor}: the address of the entry to which the cursor goes.
  open(href, options) {
    return app.address.open(href, options);
  },

  // What a click on a link to a folder does; with Control and the like it is the browser's.
  follow(event, href, options) {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    app.open(href, options);
  },

  // What Enter, a click and a tap do.
  activate(entry) {
    if (entry.isFolder) app.open(entry.href);
    else if (!openers.some((open) => open(entry))) location.href = entry.href;
  },

  // What keys are about: what is selected, or else the entry that has the focus.
  subject() {
    const { selection } = folder;
    if (selection.length > 0) return selection;
    return app.view.hasFocus() && folder.current ? [folder.current] : [];
  },
};
app.frame = new Frame(app);
app.address = new Address(app);
new Keys(app);
new Pointer(app);
for (const part of parts) part.install(app);
app.address.start();
