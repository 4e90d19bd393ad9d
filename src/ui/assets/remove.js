// Deleting. With a trash it is done at once and can be undone; without one, or where it lies in one already, what goes is named first,
// for it is gone for good.
import { Failure, request } from "./api.js";
import { forEach, hasReached, report } from "./batch.js";
import { confirm, notify } from "./dialog.js";
import { formatCount } from "./format.js";
import { quoted, quotedAll } from "./names.js";
import { nameOf } from "./paths.js";
import { refresh } from "./refresh.js";
import { offerUndo } from "./undo.js";

const NAMED = 3; // names in the question

// What lies in a trash that is within reach: it is not put there once more.
export const isInTrash = ({ href }) => /\/(\.Trash(-\d+)?|Trash)\/./.test(href);

// A strong entity tag, or "": a weak one, and that of a folder, says nothing reliable.
export const strongTag = (etag = "") => (etag.startsWith('"') ? etag : "");

// What is left of a folder of which not all could be deleted.
async function leftOver(response) {
  const text = await response.text();
  const names = [...text.matchAll(/<D:href><!\[CDATA\[(.*?)\]\]><\/D:href>/g)].map(([, href]) => quoted(nameOf(href)));
  if (names.length === 0) return "Not all that is in it could be deleted.";
  const more = names.length > NAMED ? ` and ${formatCount(names.length - NAMED, "other")}` : "";
  return `What could not be deleted is still there: ${names.slice(0, NAMED).join(", ")}${more}.`;
}

// Deletes what was seen, not what somebody else has made of it since; what is gone already is fine. Resolves with {name, entry, token}:
// with a token it can be put back.
export async function trash(entry) {
  const tag = strongTag(entry.etag);
  const response = await request("DELETE", entry.href, { headers: tag ? { "If-Match": tag } : {}, accept: [404] });
  if (response.status === 207) throw new Failure(207, await leftOver(response));
  return { name: entry.name, entry, token: response.headers.get("Trash-Token") };
}

export async function putBack(token) {
  const response = await request("POST", "/.fastfile/restore", { body: new URLSearchParams({ token }), accept: [404, 409] });
  if (response.status === 404) throw new Failure(404, "It is not in the trash any more.");
  if (response.status === 409) throw new Failure(409, "Something else has its name now, or its folder is gone. It stays in the trash.");
}

async function restore(app, trashed) {
  const result = await forEach(trashed, async ({ entry, token }) => {
    await putBack(token);
    return entry.href;
  }, { doing: "Putting back" });
  if (hasReached(result)) await refresh(app, result.done, []);
  report(result, { done: "put back", again: (items) => restore(app, items) });
}

function isWanted(entries) {
  const names = entries.slice(0, NAMED).map(({ name }) => quoted(name)).join(", ");
  const more = entries.length > NAMED ? ` and ${formatCount(entries.length - NAMED, "other")}` : "";
  const inside = entries.some(({ isFolder }) => isFolder) ? `, with all that is in ${entries.length === 1 ? "it" : "the folders"}` : "";
  return confirm({
    title: entries.length === 1 ? `Delete ${names}?` : `Delete ${formatCount(entries.length, "item")}?`,
    text: `${entries.length === 1 ? "It" : names + more} will be gone for good${inside}.`,
    ok: "Delete",
    isDanger: true,
  });
}

function tell(app, deleted) {
  const trashed = deleted.filter(({ token }) => token);
  const what = quotedAll(deleted.map(({ entry }) => entry));
  if (trashed.length === 0) notify(`Deleted ${what}`);
  else if (trashed.length === deleted.length) offerUndo(`Moved ${what} to the trash`, () => restore(app, trashed));
  else offerUndo(`Deleted ${what}, of which ${trashed.length} can be put back`, () => restore(app, trashed));
}

export async function remove(app, entries) {
  const lost = app.facts.trash ? entries.filter(isInTrash) : entries;
  if (lost.length > 0 && !(await isWanted(lost))) return;
  const result = await forEach(entries, trash, { doing: "Deleting" });
  if (hasReached(result)) await refresh(app);
  if (result.done.length > 0) tell(app, result.done);
  report(result, { done: "deleted", again: (items) => remove(app, items) });
}
