// Every request to the server but uploads. What goes wrong is thrown as a Failure, whose message can be shown to people.
// Somebody whose session has ended is asked to log in again by the hook, and the request is made once more.
import { canonical, childHref } from "./paths.js";

export class Failure extends Error {
  // status: 0 where the server could not be reached.
  constructor(status, message) {
    super(message);
    this.name = "Failure";
    this.status = status;
  }
}

const MESSAGES = {
  0: "There is no connection to the server.",
  401: "You are not logged in any more.",
  403: "You are not allowed to do that.",
  404: "This is not here any more.",
  405: "That cannot be done here.",
  409: "The folder it belongs into is not there any more.",
  412: "Somebody else has changed this in the meantime.",
  413: "That is too large.",
  414: "This name is too long for the server.",
  423: "Another program is working on this and has locked it.",
  429: "The server asks you to wait a moment.",
  507: "There is no room left on the server.",
};

export function failureOf(status) {
  return new Failure(status, MESSAGES[status] ?? (status >= 500 ? "The server has a problem. Try again in a moment." : `The server refused (${status}).`));
}

let logInAgain = null;

// hook: async () => void; resolves when the user has logged in again.
export function whenLoggedOut(hook) {
  logInAgain = hook;
}

async function send(method, href, { headers, body, signal }) {
  try {
    return await fetch(href, { method, headers, body, signal, redirect: "manual", cache: "no-store" });
  } catch (error) {
    throw error.name === "AbortError" ? error : failureOf(0);
  }
}

// The response if its status is 2xx or one of `accept`; throws a Failure otherwise, or an AbortError when `signal` says so.
export async function request(method, href, { headers = {}, body, signal, accept = [] } = {}) {
  // Says that it is a program which asks: an answer that people read would be a login page.
  const options = { headers: { Accept: "application/json", ...headers }, body, signal };
  let response = await send(method, href, options);
  if (response.status === 401 && logInAgain && !accept.includes(401)) {
    await logInAgain();
    response = await send(method, href, options);
  }
  if (response.ok || accept.includes(response.status)) return response;
  throw failureOf(response.status);
}

const QUOTA = '<propfind xmlns="DAV:"><prop><quota-available-bytes/><quota-used-bytes/></prop></propfind>';

// Of the file system that a folder is on: {free, total} in bytes, or null where it does not say.
export async function askRoom(href) {
  const response = await request("PROPFIND", href, { headers: { Depth: "0", "Content-Type": "application/xml" }, body: QUOTA });
  const answer = await response.text();
  const [free, used] = ["available", "used"].map((word) => new RegExp(`quota-${word}-bytes>(\\d+)<`).exec(answer)?.[1]);
  return free && used ? { free: Number(free), total: Number(free) + Number(used) } : null;
}

// One thing in a folder. There may be a hundred thousand, so what few of them are asked for is worked out when it is.
export class Entry {
  #folder;
  #given; // what the server says about its address, which it does where the name is not UTF-8
  #href;

  constructor(folder, { name, type, size, mtime, etag, href }) {
    this.#folder = folder;
    this.#given = href;
    this.name = name;
    this.isFolder = type === "folder";
    this.size = size ?? 0;
    this.time = mtime; // ISO 8601, always equally long, so that text order is the order of time
    this.etag = etag ?? "";
  }

  get href() {
    this.#href ??= this.#given === undefined
      ? childHref(this.#folder, this.name, this.isFolder)
      : canonical(this.#folder + this.#given + (this.isFolder ? "/" : ""));
    return this.#href;
  }

  // Milliseconds since 1970.
  get mtime() {
    return Date.parse(this.time);
  }
}

const ENOUGH = 200; // entries that are more than a screen
const LINE_LENGTH = 160; // of most of them

// The server writes one entry a line, so the first of them can be read while the others are on their way: first(texts) gets their
// lines once there are enough. Returns the whole text.
async function readLines(response, first) {
  let text = "";
  let isFirst = true;
  for await (const part of chunksOf(response.body.pipeThrough(new TextDecoderStream()))) {
    text += part;
    if (!isFirst || text.length < ENOUGH * LINE_LENGTH) continue;
    isFirst = false;
    first(text.split("\n").slice(1, -1).filter((line) => line.startsWith("{"))); // neither the frame nor what is not complete
  }
  return text;
}

// (Safari's streams are not iterable.)
async function* chunksOf(stream) {
  const reader = stream.getReader();
  try {
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) yield value;
  } catch (error) {
    throw error.name === "AbortError" ? error : failureOf(0); // broken off
  }
}

// What is in a folder, ordered by name with folders first: {entries: [Entry], writable}. Of a large one `first(entries)`
// gets those that come first, while the rest is on its way.
export async function list(href, { signal, first = () => {} } = {}) {
  const response = await request("GET", `${href}?format=json`, { signal });
  const entriesOf = (given) => given.map((one) => new Entry(href, one));
  const text = await readLines(response, (lines) => first(entriesOf(JSON.parse(`[${lines.join("").replace(/,$/, "")}]`))));
  const { entries, writable } = JSON.parse(text);
  return { entries: entriesOf(entries), writable };
}
