// What can go wrong with an upload: whether it passes, how long to wait, and what is said about it.
import { askRoom, failureOf, request } from "./api.js";
import { formatSize } from "./format.js";

const WAIT_FIRST_MS = 1000;
const WAIT_MOST_MS = 30_000;

// Doubling, and never at the same moment as everybody else whose connection broke.
export const backOff = (tries) => Math.min(WAIT_MOST_MS, WAIT_FIRST_MS * 2 ** tries) * (0.5 + Math.random() / 2);

// Resolves after a while, at once when there is a network again; throws the signal's reason.
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const end = (settle, value) => {
      clearTimeout(timer);
      removeEventListener("online", awake);
      signal?.removeEventListener("abort", abort);
      settle(value);
    };
    const awake = () => end(resolve);
    const abort = () => end(reject, signal.reason);
    const timer = setTimeout(awake, milliseconds);
    addEventListener("online", awake);
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
  });
}

export function unlessAborted(promise, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
    if (signal.aborted) abort();
  });
}

// Whether the same may well succeed in a while.
export function isPassing(item, { status, isLocked }) {
  if (item.url && [404, 409, 410, 423].includes(status)) return !isLocked; // the offset is found out again, or it begins anew
  return [0, 408, 429].includes(status) || (status >= 500 && status !== 507);
}

// A browser reports a file that it cannot read any more like a broken connection.
export async function checkReadable(item) {
  try {
    await item.file?.slice(0, 1).arrayBuffer();
  } catch {
    throw new Error("This file was changed, moved or removed on your device.");
  }
}

// A request that nobody is asked to log in for: the queue does that, once for all.
export async function quietly(method, href, { signal, accept }) {
  const response = await request(method, href, { signal, accept: [401, ...accept] });
  if (response.status === 401) throw failureOf(401);
  return response;
}

// What has the item's name: {size, mtime, etag}, or null.
export async function look(item, signal) {
  const { status, headers } = await quietly("HEAD", item.href, { signal, accept: [404] });
  if (status === 404) return null;
  return { size: Number(headers.get("Content-Length")), mtime: Date.parse(headers.get("Last-Modified")), etag: headers.get("ETag") ?? "" };
}

const EXPLANATIONS = {
  0: "The connection breaks off every time.",
  403: "You are not allowed to put files here.",
  404: "The folder is not there any more.",
  409: "The folder is not there any more, or a file has its name.",
  413: "This is too large for the server, or for something on the way to it.",
  414: "The name is too long for the server.",
  423: "Another program has locked this name.",
  429: "You have too many unfinished uploads.",
};

export async function explained(item, error) {
  if (EXPLANATIONS[error.status]) error.message = EXPLANATIONS[error.status];
  if (error.status === 507) {
    const room = await askRoom(item.folder).catch(() => null);
    error.message = `The disk is full: this needs ${formatSize(item.size)}` + (room ? `, ${formatSize(room.free)} is free.` : ".");
  }
  return error;
}
