// What a name may be, which names are still free, how one stands in a sentence, and what is asked where it is taken.
//
// Free names are looked for as segments of an address, percent-encoded: that is the only form in which a name that is not UTF-8
// can be written.
import { formatSize, formatTime } from "./format.js";
import { encodeName, nameOf, shownName } from "./paths.js";

const NAME_BYTES = 255; // of Linux's file systems
const EXTENSION_BYTES = 32; // what is longer is none
const SHOWN_CHARACTERS = 60; // of a name in a sentence
const RESERVED = /^\.fastfile([-:].*|[. ]*)$/i; // by the server

// Its length in bytes, as long as it has no half of a surrogate pair.
const bytesIn = (segment) => segment.replace(/%../g, "x").length;

// Why nothing can have this name, as a sentence, or "".
export function nameProblem(name) {
  if (name === "") return "A name is needed.";
  if (name.includes("/")) return "A name cannot have a slash in it.";
  if (name === "." || name === "..") return "This name means a folder already.";
  if (/[\u0000-\u001f\u007f]|\p{Surrogate}/u.test(name)) return "A name cannot have control characters in it.";
  if (RESERVED.test(name)) return "The server keeps this name for itself.";
  const beyond = bytesIn(encodeName(name)) - NAME_BYTES;
  return beyond > 0 ? `This name is too long, by about ${beyond} letters.` : "";
}

// The last part of an address as it stands there.
export function segmentOf(href) {
  return href.replace(/\/$/, "").split("/").pop();
}

// Without its end, so that it has no more than `most` bytes, and no part of a character at its end.
function shorten(segment, most) {
  const bytes = segment.match(/%..|[^]/g) ?? [];
  const isInside = (byte) => byte !== undefined && /^%[89AB]/i.test(byte);
  let length = Math.min(bytes.length, most);
  while (length > 0 && isInside(bytes[length])) length--;
  return bytes.slice(0, length).join("");
}

// "letter.txt", "letter (2).txt", "letter (3).txt", whichever isTaken(segment) says no to, from the second on.
export function freeSegment(segment, isFolder, isTaken) {
  const dot = segment.lastIndexOf(".");
  const hasExtension = !isFolder && dot > 0 && bytesIn(segment.slice(dot)) <= EXTENSION_BYTES;
  const [whole, extension] = hasExtension ? [segment.slice(0, dot), segment.slice(dot)] : [segment, ""];
  const [, stem, number = "1"] = /^(.+?)(?:%20\((\d{1,6})\))?$/.exec(whole);
  for (let next = Number(number) + 1; ; next++) {
    const end = `%20(${next})${extension}`;
    const found = shorten(stem, NAME_BYTES - bytesIn(end)) + end;
    if (!isTaken(found)) return found;
  }
}

// In quotation marks, not too long, and set apart from what stands beside it, whichever direction it is written in.
export function quoted(name) {
  const letters = Array.from(shownName(name));
  const half = SHOWN_CHARACTERS / 2;
  const short = letters.length > SHOWN_CHARACTERS ? [...letters.slice(0, half), "…", ...letters.slice(-half)] : letters;
  return `“\u2068${short.join("")}\u2069”`;
}

// "“a”", or "3 items".
export function quotedAll(entries) {
  return entries.length === 1 ? quoted(entries[0].name) : `${entries.length} items`;
}

export const shownFolder = (href) => (href === "/" ? "Files" : quoted(nameOf(href)));

function described({ isFolder, size, mtime }) {
  if (isFolder) return "a folder";
  return mtime === undefined ? "a file" : `${formatSize(size)} · ${formatTime(mtime)}`;
}

// The question, for choose() of dialog.js, what is to become of `source`, whose name something in the folder has. That is `old`, if it
// can be seen. The answer is "skip", "replace" or "keep".
export function conflict(source, folderHref, old, { mayReplace }) {
  return {
    title: `${quoted(source.name)} is already in ${shownFolder(folderHref)}`,
    text: old && (old.isFolder && mayReplace ? "To replace the folder is to remove all that is in it there." : `There: ${described(old)}\nThis one: ${described(source)}`),
    choices: [
      { value: "skip", label: "Skip" },
      mayReplace && { value: "replace", label: "Replace", isDanger: true },
      { value: "keep", label: "Keep both" },
    ].filter(Boolean),
  };
}
