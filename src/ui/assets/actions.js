// The registry of all that can be done. The bar, the bar of the selection, menus, keys and the help sheet are made of it, so an action
// that is added here is everywhere at once.
//
// An action is {id, label, icon, key, place, when, run, isOwn, isMain, isDanger, help}:
//   key    "F2", "Control+c" (Control is Command on a Mac), or several of them
//   place  where it is offered: "bar" (on top), "selection" (bar of what is selected), "menu" (of an entry), "background" (menu beside
//          the entries), "account"; with none of them there is only the key
//   when(folder, entries) → whether it can be done now
//   run(entries, event): entries are what it is about, none where it was taken from "bar", "background" or "account"
//   isOwn  the action itself listens to what the browser makes of its key, which is told only
//   isMain stands out, isDanger is red; help is what the help sheet says instead of the label
import { keyLabel } from "./key.js";

const ABOUT_ENTRIES = ["selection", "menu"];

export class Actions {
  all = [];
  #folder;

  constructor(folder) {
    this.#folder = folder;
  }

  add({ key = [], place = [], ...action }) {
    this.all.push({ ...action, keys: [key].flat(), places: [place].flat() });
  }

  // What can be done with `entries` at a place, in the order in which it was added.
  at(place, entries) {
    return this.all.filter((action) => action.places.includes(place) && this.#isPossible(action, entries));
  }

  // What a key does, and what it is about: {action, entries}; undefined if it does nothing.
  ofKey(key, entries) {
    for (const action of this.all.filter(({ keys, isOwn }) => !isOwn && keys.includes(key))) {
      const isAbout = action.places.some((place) => ABOUT_ENTRIES.includes(place));
      const needsEntries = isAbout && action.places.every((place) => ABOUT_ENTRIES.includes(place));
      const subject = isAbout ? entries : [];
      if ((!needsEntries || subject.length > 0) && this.#isPossible(action, subject)) return { action, entries: subject };
    }
    return undefined;
  }

  // For menu().
  menuItems(place, entries) {
    return this.at(place, entries).map(({ label, icon, isDanger, keys, run }) => ({
      label, icon, isDanger, key: keys[0] && keyLabel(keys[0]), run: (event) => run(entries, event),
    }));
  }

  #isPossible(action, entries) {
    return !action.when || action.when(this.#folder, entries);
  }
}
