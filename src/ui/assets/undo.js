// What can be taken back: by the notice about it, or by Ctrl+Z, the last one first, while that is seen.
import { notify } from "./dialog.js";

let offers = [];

export function offerUndo(text, undo) {
  const offer = { undo };
  offer.notice = notify(text, { label: "Undo", action: undo });
  offers = offers.filter(({ notice }) => notice.isOpen);
  offers.push(offer);
}

export function canUndo() {
  return offers.some(({ notice }) => notice.isOpen);
}

export function undoLast() {
  const last = offers.findLast(({ notice }) => notice.isOpen);
  last.notice.close();
  last.undo();
}
