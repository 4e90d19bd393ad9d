// The open folder after a change.
import { isWriting } from "./dom.js";

// Shows what is there now. What has one of the addresses `hrefs` is selected and scrolled to, unless somebody has selected something
// else meanwhile: more than `sources`, which are what was worked on, where it took a while.
export async function refresh(app, hrefs = [], sources = null) {
  const { folder, view } = app;
  const own = sources && new Set(sources.map(({ href }) => href));
  const isFree = !own || [...folder.selected].every((href) => own.has(href));
  await folder.reload();
  const wanted = new Set(isFree ? hrefs : []);
  const found = wanted.size === 0 ? [] : folder.shown.filter((entry) => wanted.has(entry.href));
  if (found.length > 0) {
    folder.setCursorTo(found[0].href);
    folder.select(found);
  }
  if ((found.length > 0 || document.activeElement === document.body) && !isWriting(document.activeElement)) view.focus();
}
