// One upload of the queue (upload.js): where it goes, how far it is, and what it has been through.
import { freeSegment, segmentOf } from "./names.js";
import { childHref, decodeName } from "./paths.js";
import { PART_MOST } from "./upload_http.js";
import { Rate } from "./upload_rate.js";

const LARGE_BYTES = 8 * 1024 * 1024; // from here on it is worth resuming
const NEW_ONLY = { "If-None-Match": "*" };

// What a file is recognised by when it comes again.
export const keyOf = (name, size, mtime) => `${name}|${size}|${mtime}`;

let lastId = 0;

// One file, or a folder that has to be there although nothing goes into it.
//
// state: "waiting", "running", "asking" (what to do about a conflict), "paused", "interrupted" (by a reload of the page: the file is
// needed again), "failed" (`message` says why), "done", "skipped", "cancelled".
export class Item {
  id = `${Date.now()}-${++lastId}-${Math.random()}`;
  sent = 0;
  sentMost = 0; // in all attempts
  rate = new Rate();
  url = null; // of the upload, where it is large and has begun
  partMost = PART_MOST;
  condition = NEW_ONLY;
  attempts = 0; // in a row without progress
  isThere = false; // it was, already
  isPaused = false; // or is about to be
  message = "";

  // base: the folder that it was dropped on; path: from there, as "photos/2024/a.jpg".
  constructor(queue, base, { path, file = null, isFolder = false, size = file?.size ?? 0, mtime = file?.lastModified ?? 0, handle, root }) {
    Object.assign(this, { queue, base, path, file, isFolder, size, mtime, handle, root });
    const names = path.toWellFormed().split("/");
    this.name = names.pop();
    this.folder = names.reduce((href, name) => childHref(href, name, true), base);
    this.href = childHref(this.folder, this.name, isFolder);
    this.key = keyOf(this.href, size, mtime);
  }

  get isLarge() {
    return this.size >= LARGE_BYTES || this.partMost < this.size;
  }

  // Infinity where nothing is known yet.
  get secondsLeft() {
    return (this.size - this.sent) / this.rate.perSecond();
  }

  progress(sent) {
    if (sent > this.sentMost) {
      this.sentMost = sent;
      this.attempts = 0;
    }
    this.queue.noteProgress(this, sent);
  }

  keepUrl(url) {
    this.url = url;
    this.queue.remember(this);
  }

  // The next of "name (2).txt", "name (3).txt"; whether that is taken is not known.
  becomeCopy() {
    const segment = freeSegment(segmentOf(this.href), false, () => false);
    this.name = decodeName(segment);
    this.href = this.folder + segment;
  }

  // What is to be done with all of its batch whose name such a thing has.
  get answerForAll() {
    return this.batch.answers[this.meetsFolder ? "folder" : "file"];
  }

  set answerForAll(answer) {
    this.batch.answers[this.meetsFolder ? "folder" : "file"] = answer;
  }
}
