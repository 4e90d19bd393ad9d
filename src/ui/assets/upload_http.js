// How the content of one file gets to the server. A small one is a plain PUT. A large one speaks the IETF's resumable uploads
// (docs/uploads.md): it is begun by a PUT without content, which is where name, time and preconditions are checked and refused
// before anything is sent for nothing; then come parts (PATCH), none larger than what proxies let through. tus could do the same,
// but says the name in a field of its own; here it is the address that is asked for, just as with the plain PUT.
//
// fetch() does not tell how much was sent, so this is XMLHttpRequest. What goes wrong is thrown as a Failure with these fields:
// `retryAfter` (seconds or 0), `isLocked` (by a WebDAV lock), and `isFinal` (this upload is gone on the server).
import { failureOf } from "./api.js";

const MB = 1000 * 1000;
export const PART_MOST = 100 * MB;
export const PART_LEAST = MB / 4; // below nginx's 1 MB: no proxy is known that lets less through
const STALLED_MS = 30_000; // nothing is taken off our hands any more: the connection is dead, though nobody has said so
const SUSPECT_MS = 3_000; // the same, when the device has just lost its network or got another one
const ANSWER_MS = 300_000; // for the answer when all was sent: a slow disk has much to write, and sums to check
const VERSION = { "Upload-Draft-Interop-Version": "8" };

function failureFrom(xhr) {
  const failure = failureOf(xhr.status);
  failure.retryAfter = Number(xhr.getResponseHeader("Retry-After")) || 0;
  failure.isLocked = xhr.status === 423 && xhr.responseText.includes("lock-token");
  failure.isFinal = xhr.getResponseHeader("Upload-Complete") === "?1";
  return failure;
}

// Gives up a request on which nothing moves. Returns {moved(), sent(), end()}.
function watch(xhr) {
  let limit = STALLED_MS;
  let suspectUntil = 0;
  let timer;
  const moved = () => {
    clearTimeout(timer);
    timer = setTimeout(() => xhr.abort(), performance.now() < suspectUntil ? SUSPECT_MS : limit);
  };
  const suspect = () => {
    suspectUntil = performance.now() + SUSPECT_MS;
    moved();
  };
  const sent = () => {
    limit = ANSWER_MS;
    moved();
  };
  const end = () => {
    clearTimeout(timer);
    for (const type of ["online", "offline"]) removeEventListener(type, suspect);
  };
  for (const type of ["online", "offline"]) addEventListener(type, suspect);
  moved();
  return { moved, sent, end };
}

// One request; the XMLHttpRequest, if it was answered with 2xx.
function send(method, href, { headers = {}, body = null, signal, onProgress }) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const xhr = new XMLHttpRequest();
    const abort = () => xhr.abort();
    xhr.open(method, href);
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    const watched = watch(xhr);
    if (onProgress) xhr.upload.onprogress = (event) => {
      watched.moved();
      onProgress(event.loaded);
    };
    xhr.upload.onload = watched.sent;
    xhr.onload = () => (xhr.status >= 200 && xhr.status < 300 ? resolve(xhr) : reject(failureFrom(xhr)));
    xhr.onerror = () => reject(failureOf(0));
    xhr.onabort = () => reject(signal.aborted ? signal.reason : failureOf(0));
    xhr.onloadend = () => {
      watched.end();
      signal.removeEventListener("abort", abort);
    };
    signal.addEventListener("abort", abort);
    xhr.send(body);
  });
}

// What both ways say about the file. A condition is a field: never is a file overwritten that the user was not asked about.
function headersOf(item) {
  const seconds = Math.max(0, Math.floor(item.mtime / 1000));
  return { ...item.condition, "X-OC-Mtime": String(seconds) };
}

async function storeWhole(item, signal) {
  const onProgress = (loaded) => item.progress(Math.min(loaded, item.size));
  await send("PUT", item.href, { headers: headersOf(item), body: item.file, signal, onProgress });
}

async function begin(item, signal) {
  const headers = { ...headersOf(item), ...VERSION, "Upload-Complete": "?0", "Upload-Length": String(item.size) };
  const xhr = await send("PUT", item.href, { headers, signal });
  item.keepUrl(new URL(xhr.getResponseHeader("Location"), location.origin).pathname);
}

// How far an earlier attempt came; null: the server does not know it any more; Infinity: it is complete.
async function findOffset(item, signal) {
  try {
    const xhr = await send("HEAD", item.url, { headers: VERSION, signal });
    return xhr.getResponseHeader("Upload-Complete") === "?1" ? Infinity : Number(xhr.getResponseHeader("Upload-Offset"));
  } catch (error) {
    if (error.status === 404 || error.status === 410) return null;
    throw error;
  }
}

// Resolves with whether all is stored now.
async function sendPart(item, offset, end, signal) {
  const headers = {
    ...VERSION,
    "Content-Type": "application/partial-upload",
    "Upload-Offset": String(offset),
    "Upload-Complete": end === item.size ? "?1" : "?0",
  };
  const onProgress = (loaded) => item.progress(Math.min(offset + loaded, end));
  try {
    await send("PATCH", item.url, { headers, body: item.file.slice(offset, end), signal, onProgress });
  } catch (error) {
    if (!error.isFinal) throw error;
    // A browser may have sent the last part twice by itself: then it is the second one that is refused.
    if ((await findOffset(item, signal)) === Infinity) return true;
    item.keepUrl(null);
    throw error;
  }
  return end === item.size;
}

async function storeInParts(item, signal) {
  let offset = item.url ? await findOffset(item, signal) : null;
  if (offset === null) {
    await begin(item, signal);
    offset = 0;
  }
  item.progress(Math.min(offset, item.size));
  for (let isComplete = offset === Infinity; !isComplete;) {
    const end = Math.min(offset + item.partMost, item.size);
    isComplete = await sendPart(item, offset, end, signal); // also an empty one, where all has come but was not completed
    offset = end;
  }
}

// Puts an item of the queue (upload.js) where it belongs, or as much of it as is not there yet.
export function store(item, signal) {
  return item.isLarge ? storeInParts(item, signal) : storeWhole(item, signal);
}
