// Moves and copies things to a folder. Nothing is replaced unless somebody says so, once for each or once for all; two things of one
// name are never made one. A move can be taken back.
//
// What is moved has {href, name, isFolder}, and {size, mtime} where they are known.
import { Failure, list, request } from "./api.js";
import { forEach, hasReached, report } from "./batch.js";
import { choose, notify } from "./dialog.js";
import { conflict, freeSegment, quotedAll, segmentOf, shownFolder } from "./names.js";
import { isWithin, parentHref } from "./paths.js";
import { refresh } from "./refresh.js";
import { isInTrash, putBack, strongTag, trash } from "./remove.js";
import { offerUndo } from "./undo.js";

// Whether something may go into a folder: not into itself, and not where it is, unless as a copy.
export function mayGo({ href, isFolder }, target, isCopy) {
  return !(isFolder && isWithin(target, href)) && (isCopy || parentHref(href) !== target);
}

async function send(source, to, isCopy, { signal, headers = {} } = {}) {
  const response = await request(isCopy ? "COPY" : "MOVE", source.href, {
    headers: { Destination: to, Overwrite: "F", ...headers }, accept: [412],
    signal: isCopy ? signal : undefined, // nobody would know where it is if a move were broken off
  });
  if (response.status === 207) throw new Failure(207, isCopy ? "Not all of it could be copied." : "A part of it could not be moved and stayed where it was.");
  return response.status !== 412;
}

class Transfer {
  #app;
  #target;
  #isCopy;
  #all; // the question whether an answer is for all
  #there = null; // what is in the target, by segment, once that matters
  #answers = new Map(); // given for all: kind of conflict → "skip", "keep" or "replace"
  #asking = Promise.resolve(); // one question at a time

  constructor(app, target, isCopy, isAlone) {
    this.#app = app;
    this.#target = target;
    this.#isCopy = isCopy;
    this.#all = isAlone ? undefined : "Do this for all";
  }

  // Resolves with {source, to}, or null when it was left where it is.
  async run(source, control) {
    const slash = source.isFolder ? "/" : "";
    const segment = segmentOf(source.href);
    let to = this.#target + segment + slash;
    if (this.#isCopy && to === source.href) return this.#keepBoth(source, segment, control);
    if (await send(source, to, this.#isCopy, control)) return { source, to };
    this.#there ??= this.#look();
    const old = (await this.#there).get(segment);
    const answer = await this.#decide(source, old, control);
    if (answer === "keep") return this.#keepBoth(source, segment, control);
    return answer === "replace" ? this.#replace(source, to, old, control) : null;
  }

  async #look() {
    const { entries } = await list(this.#target);
    return new Map(entries.map((entry) => [segmentOf(entry.href), entry]));
  }

  async #keepBoth(source, segment, control) {
    this.#there ??= this.#look();
    const there = await this.#there;
    for (;;) {
      const free = freeSegment(segment, source.isFolder, (one) => there.has(one));
      there.set(free, source); // nobody else of this transfer takes it
      const to = this.#target + free + (source.isFolder ? "/" : "");
      if (await send(source, to, this.#isCopy, control)) return { source, to };
    }
  }

  #decide(source, old, control) {
    const decision = this.#asking.then(() => (control.signal.aborted ? "stop" : this.#answerFor(source, old)));
    this.#asking = decision.catch(() => {});
    return decision.then((answer) => {
      if (answer !== "stop") return answer;
      control.stop();
      throw new DOMException("Stopped.", "AbortError");
    });
  }

  // What cannot be seen, and what the source itself is in, cannot be replaced.
  async #answerFor(source, old) {
    const mayReplace = old !== undefined && !(old.isFolder && isWithin(source.href, old.href));
    const kind = `${mayReplace} ${old?.isFolder}`;
    if (this.#answers.has(kind)) return this.#answers.get(kind);
    const chosen = await choose({ ...conflict(source, this.#target, old, { mayReplace }), all: this.#all });
    if (!chosen) return "stop";
    if (chosen.all) this.#answers.set(kind, chosen.value);
    return chosen.value;
  }

  // With a trash the old one goes there, unless it lies in one; without, what is replaced is the one that was seen, not a newer one.
  async #replace(source, to, old, control) {
    if (this.#app.facts.trash && !isInTrash(old)) {
      const { token } = await trash(old);
      try {
        if (await send(source, to, this.#isCopy, control)) return { source, to, replaced: true };
      } catch (failure) {
        if (token) await putBack(token);
        throw failure;
      }
      throw new Failure(412, "Somebody else has taken the name in the meantime.");
    }
    const tag = strongTag(old.etag);
    const headers = { Overwrite: "T", ...(tag && { If: `<${to}> ([${tag}])` }) };
    if (await send(source, to, this.#isCopy, { ...control, headers })) return { source, to, replaced: true };
    throw new Failure(412, "The one there has changed in the meantime.");
  }
}

// Takes a move back: each goes to where it was, if nothing has its name there.
async function moveBack(app, moved) {
  const result = await forEach(moved, async ({ href, to }) => {
    if (!(await send({ href }, to, false))) throw new Failure(412, "Something else has its name there now.");
    return to;
  }, { doing: "Moving back" });
  if (hasReached(result)) await refresh(app, result.done, moved);
  report(result, { done: "moved back", again: (items) => moveBack(app, items) });
}

function tell(app, moved, target, isCopy) {
  const text = `${isCopy ? "Copied" : "Moved"} ${quotedAll(moved.map(({ source }) => source))} to ${shownFolder(target)}`;
  const undoable = moved.filter((one) => !one.replaced).map(({ source, to }) => ({ href: to, to: source.href, name: source.name }));
  if (!isCopy && undoable.length === moved.length) offerUndo(text, () => moveBack(app, undoable));
  else if (app.folder.href !== target) notify(text, { label: "Show", action: () => app.open(target) });
  else notify(text);
}

// Moves or copies all of `sources` that may go there. Resolves when the view shows it.
export async function transfer(app, sources, target, { isCopy = false } = {}) {
  const going = sources.filter((source) => mayGo(source, target, isCopy));
  if (going.length < sources.length && sources.some(({ href, isFolder }) => isFolder && isWithin(target, href)))
    notify("A folder cannot go into itself.", { isError: true });
  if (going.length === 0) return;
  const run = new Transfer(app, target, isCopy, going.length === 1);
  const result = await forEach(going, (source, control) => run.run(source, control), { doing: isCopy ? "Copying" : "Moving" });
  const moved = result.done.filter(Boolean);
  if (hasReached(result)) await refresh(app, moved.map(({ to }) => to), going);
  if (moved.length > 0) tell(app, moved, target, isCopy);
  report(result, { done: isCopy ? "copied" : "moved", again: (items) => transfer(app, items, target, { isCopy }) });
}
