// Something done for each of many things: a few at a time, with a notice that says how far it is and stops it, and one notice about
// all that went wrong.
import { Failure } from "./api.js";
import { dialog, notify } from "./dialog.js";
import { element } from "./dom.js";
import { formatNumber } from "./format.js";
import { quoted } from "./names.js";

const AT_ONCE = 3;
const QUICK_MS = 700; // what is through by then needs no notice
const MEETS_ALL = new Set([0, 507]); // no connection, no room: the others would find the same
const MAY_PASS = new Set([0, 423, 429, 500, 502, 503, 504]);
const LISTED = 100; // failures in the dialog

class Progress {
  #text;
  #notice = null;
  #timer;

  constructor(doing, items, stop) {
    this.#text = (at) => (items.length === 1 ? `${doing} ${quoted(items[0].name)}` : `${doing} ${formatNumber(at)} of ${formatNumber(items.length)}`);
    this.at = 0;
    this.#timer = setTimeout(() => (this.#notice = notify(this.#text(this.at), { label: "Stop", action: stop, seconds: Infinity })), QUICK_MS);
  }

  step() {
    this.at++;
    this.#notice?.update(this.#text(this.at));
  }

  close() {
    clearTimeout(this.#timer);
    this.#notice?.close();
  }
}

// act(item, {signal, stop}) → a promise. `doing` is "Moving". Resolves with {done, failed: [{item, failure}], left}: what act()
// made, what it threw, and the items that were not tried.
export async function forEach(items, act, { doing }) {
  const stopping = new AbortController();
  const control = { signal: stopping.signal, stop: () => stopping.abort() };
  const progress = new Progress(doing, items, control.stop);
  const result = { done: [], failed: [], left: [] };
  const queue = items.values(); // of which all workers take
  const stay = (event) => event.preventDefault(); // the browser asks whether to leave
  const work = async () => {
    while (!control.signal.aborted) {
      const { value: item, done } = queue.next();
      if (done) return;
      try {
        result.done.push(await act(item, control));
      } catch (failure) {
        if (failure.name === "AbortError") result.left.push(item);
        else if (failure instanceof Failure) result.failed.push({ item, failure });
        else throw failure;
        if (MEETS_ALL.has(failure.status)) control.stop();
      }
      progress.step();
    }
  };
  addEventListener("beforeunload", stay);
  try {
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, work));
  } finally {
    removeEventListener("beforeunload", stay);
    progress.close();
  }
  for (const item of queue) result.left.push(item);
  return result;
}

// Whether the server has answered anything, so that there may be something new to see.
export function hasReached({ done, failed }) {
  return done.length > 0 || failed.some(({ failure }) => failure.status !== 0);
}

function showAll(failed, title) {
  const rows = failed.slice(0, LISTED).map(({ item, failure }) => element("li", {}, element("bdi", {}, item.name), element("span", {}, failure.message)));
  if (failed.length > LISTED) rows.push(element("li", {}, `And ${formatNumber(failed.length - LISTED)} more.`));
  dialog({ title, className: "failures", content: [element("ul", { tabindex: 0 }, ...rows)], buttons: [{ label: "Close", value: null, isMain: true }] });
}

function mostOften(failed) {
  const counts = new Map();
  for (const { failure } of failed) counts.set(failure.message, (counts.get(failure.message) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0][0];
}

// Says what forEach() could not do, if there is something. `done` is "moved"; again(items) does it once more.
export function report({ done: { length: count }, failed, left }, { done, again }) {
  const missing = failed.length + left.length;
  const total = count + missing;
  if (missing === 0) return;
  if (failed.length === 0) {
    notify(total === 1 ? "Stopped." : `Stopped: ${formatNumber(count)} of ${formatNumber(total)} ${done}.`);
    return;
  }
  const title = total === 1 ? `${quoted(failed[0].item.name)} was not ${done}.` : `${formatNumber(missing)} of ${formatNumber(total)} were not ${done}.`;
  const options = { isError: true };
  if (failed.some(({ failure }) => MAY_PASS.has(failure.status)))
    Object.assign(options, { label: "Try again", action: () => again([...failed.map(({ item }) => item), ...left]) });
  else if (failed.length > 1) Object.assign(options, { label: "Details", action: () => showAll(failed, title) });
  notify(`${title} ${mostOften(failed)}`, options);
}
