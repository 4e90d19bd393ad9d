// Downloads, done by the browser itself, which shows how far they are: one file as it is, everything else as one archive. Before it a
// HEAD asks whether all is there, and whether one is logged in: what a download fails with is nothing to look at.
import { Failure, request } from "./api.js";
import { notify } from "./dialog.js";
import { element } from "./dom.js";
import { segmentOf } from "./names.js";

const ADDRESS_BYTES = 8000; // of a request's head, which has room for cookies and the like besides

function follow(href) {
  const link = element("a", { href, download: "" });
  document.body.append(link);
  link.click();
  link.remove();
}

// Names in the body, where there is room for more than in an address; as plain text, since they are encoded already, and only so can
// be ones that are not UTF-8. In a frame, so that nobody is asked whether to leave the page while something is under way on it.
function submit(href, names) {
  const frame = document.querySelector("iframe.downloads") ?? document.body.appendChild(element("iframe", { class: "downloads", name: "downloads", hidden: true }));
  const form = element("form", { method: "post", action: href, enctype: "text/plain", target: frame.name, hidden: true }, element("input", { name: "name", value: names.slice("name=".length) }));
  document.body.append(form);
  form.submit();
  form.remove();
}

async function downloadFrom(folderHref, entries) {
  const [first] = entries;
  const archive = (href) => `${href}?archive=zip`;
  if (entries.length === 1) {
    const href = first.isFolder ? archive(first.href) : `${first.href}?download`;
    await request("HEAD", href);
    return follow(href);
  }
  const names = entries.map((entry) => `name=${segmentOf(entry.href)}`).join("&");
  const href = archive(folderHref);
  const isLong = names.length > ADDRESS_BYTES;
  await request("HEAD", isLong ? href : `${href}&${names}`);
  return isLong ? submit(href, names) : follow(`${href}&${names}`);
}

async function download(app, entries) {
  const { folder } = app;
  try {
    if (entries.length === 0) entries = [{ href: folder.href, isFolder: true }];
    await downloadFrom(folder.href, entries);
  } catch (failure) {
    if (!(failure instanceof Failure)) throw failure;
    notify(failure.status === 404 ? "Something of that is not here any more." : failure.message, { isError: true });
    if (failure.status === 404) folder.reload();
  }
}

export function install(app) {
  app.addAction({ id: "download", label: "Download", icon: "download", place: ["selection", "menu"], run: (entries) => download(app, entries) });
  app.addAction({ id: "download-folder", label: "Download this folder", icon: "download", place: "background", when: (folder) => folder.entries.length > 0, run: () => download(app, []) });
}
