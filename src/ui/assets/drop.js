// Files and folders out of what was dropped, chosen or pasted, as the queue (upload.js) wants them:
//
//   {path: "photos/2024/a.jpg", file, handle, root}   handle, root: to read it again after a reload, where the browser has them
//   {path: "photos/empty", isFolder: true}            a folder without anything in it
//   {path, problem}                                   something that cannot be read
//
// There may be thousands. They are found little by little, so that the page stays alive and sending begins with the first.
import { element } from "./dom.js";

const CHUNK = 100;
const UNREADABLE = "This cannot be read on your device.";

// --- two interfaces of browsers to what was dropped, as one: {name, isFolder, file(), children(), handle} ---

const ofHandle = (handle) => ({
  name: handle.name,
  isFolder: handle.kind === "directory",
  handle,
  file: () => handle.getFile(),
  async *children() {
    for await (const child of handle.values()) yield ofHandle(child);
  },
});

const ofEntry = (entry) => ({
  name: entry.name,
  isFolder: entry.isDirectory,
  file: () => new Promise((resolve, reject) => entry.file(resolve, reject)),
  async *children() {
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (some.length === 0) return;
      yield* some.map(ofEntry);
    }
  },
});

async function read(source, path, root) {
  try {
    return { path, file: await source.file(), handle: source.handle, root };
  } catch {
    return { path, problem: UNREADABLE };
  }
}

async function* walk(source, path, root) {
  if (!source.isFolder) {
    yield await read(source, path, root);
    return;
  }
  let isEmpty = true;
  let files = [];
  try {
    for await (const child of source.children()) {
      const below = `${path}/${child.name}`;
      isEmpty = false;
      if (child.isFolder) yield* walk(child, below, root);
      else files.push(read(child, below, root));
      if (files.length < CHUNK) continue;
      yield* await Promise.all(files);
      files = [];
    }
    yield* await Promise.all(files);
    if (isEmpty) yield { path, isFolder: true };
  } catch {
    yield* await Promise.all(files);
    yield { path, problem: UNREADABLE };
  }
}

// --- what was dropped ---

// All that is only there during the event. Handles are promises; a browser refuses those of some folders.
function takeItem(item) {
  const handle = item.getAsFileSystemHandle?.().catch(() => null) ?? null;
  return { handle, entry: item.webkitGetAsEntry?.(), file: item.getAsFile() };
}

async function* walkAll(taken) {
  for (const one of taken) {
    const handle = await one.handle;
    // (A file that is on no disk, an image out of another page for instance, cannot be read by its entry in WebKit.)
    const source = handle ? ofHandle(handle) : one.entry?.isDirectory && ofEntry(one.entry);
    if (source) yield* walk(source, source.name, handle ?? undefined);
    else if (one.file) yield { path: one.file.name, file: one.file };
  }
}

async function* inChunks(all) {
  let chunk = [];
  for await (const one of all) {
    if (chunk.push(one) < CHUNK) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

// Arrays of what was found. Call it while the event is handled; it can be read afterwards.
export function dropped(dataTransfer) {
  return inChunks(walkAll([...dataTransfer.items].filter((item) => item.kind === "file").map(takeItem)));
}

export const hasFiles = (dataTransfer) => dataTransfer?.types.includes("Files") ?? false;

// --- what was chosen or pasted ---

export function chosen(files) {
  return [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

// Opens the browser's dialog; resolves with what was chosen, if anything. A folder's empty folders are not told by browsers.
export function pick({ isFolder = false } = {}) {
  return new Promise((resolve) => {
    const end = (found) => (input.remove(), resolve(found));
    const input = element("input", {
      type: "file", multiple: true, webkitdirectory: isFolder, hidden: true, onchange: () => end(chosen(input.files)), oncancel: () => end([]),
    });
    document.body.append(input); // or else WebKit forgets it, with what is chosen, while its dialog is open
    input.click();
  });
}

// A picture out of the clipboard has no name worth keeping.
export function pasted(clipboardData, now = new Date()) {
  const time = new Date(now - now.getTimezoneOffset() * 60_000).toISOString().slice(0, 19).replace("T", " ").replaceAll(":", ".");
  return chosen(clipboardData.files).map(({ path, file }) => ({ file, path: /^image\.\w+$/.test(path) ? path.replace("image", `Pasted picture ${time}`) : path }));
}
