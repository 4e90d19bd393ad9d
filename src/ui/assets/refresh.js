// The open folder after a change.
import { isWriting } from "./dom.js";

// Shows what is there now. What has one of the addresses `hrefs` is selected and scrolled to.
export async function refresh(app, hrefs = []) {
  const { folder, view } = app;
  await folder.reload();
  const wanted = new Set(hrefs);
  const found = wanted.size === 0 ? [] : folder.shown.filter((entry) => wanted.has(entry.href));
  if (found.length > 0) {
    folder.setCursorTo(found[0].href);
    folder.select(found);
  }
  if ((found.length > 0 || document.activeElement === document.body) && !isWriting(document.activeElement)) view.focus();
}
