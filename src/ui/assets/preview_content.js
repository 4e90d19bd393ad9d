// What a file looks like. `contentOf()` makes the element that shows it; whatever the file holds, nothing of it runs as this page:
// images (SVG too) are in <img>, where no script runs, HTML and all else that is text is shown as text, and only a PDF gets a frame,
// which the browser gives to its viewer.
import { Failure, request } from "./api.js";
import { element } from "./dom.js";
import { formatSize } from "./format.js";
import { kindIcon } from "./icons.js";
import { splitName } from "./paths.js";
import { readText } from "./preview_text.js";

const TEXT_BYTES = 256 * 1024; // of a text are shown
const PREFETCH_BYTES = 20e6; // larger images are not loaded before they are asked for

const EXTENSIONS = {
  image: "jpg jpeg jfif png apng gif webp avif svg bmp ico heic heif jxl tif tiff",
  video: "mp4 m4v webm ogv mov mkv 3gp avi mpg mpeg wmv",
  audio: "mp3 m4a m4b aac flac ogg oga opus wav aif aiff",
  pdf: "pdf",
};
const MAKERS = { image: imageOf, video: mediaOf, audio: mediaOf, pdf: pdfOf, other: textOf };

const looks = new Map(Object.entries(EXTENSIONS).flatMap(([look, all]) => all.split(" ").map((extension) => ["." + extension, look])));

// How it can be looked at: "image", "video", "audio", "pdf" or "other", which may turn out to be text.
export function lookOf(entry) {
  return looks.get(splitName(entry.name).extension.toLowerCase()) ?? "other";
}

// The file is there and there is nothing to see of it: `message` says why.
export class Unshowable extends Error {}

// An element, as soon as it has something to show. Throws Unshowable, or a Failure of the connection or the server. With `signal` all
// loading ends, perhaps without an answer; what breaks later is told to `onFailure`.
export function contentOf(entry, { signal, onFailure }) {
  return MAKERS[lookOf(entry)](entry, { signal, onFailure });
}

// --- elements that load by themselves ---

const CANNOT = "This browser cannot show it.";

// Elements do not say why they failed. So the file is asked for, which tells it, and lets whoever has been logged out log in; then
// it is tried once more.
async function orReason(attempt, entry, signal) {
  try {
    return await attempt();
  } catch {
    signal.throwIfAborted();
    await request("HEAD", entry.href, { signal });
    return await attempt();
  }
}

// --- images ---

const prefetched = new Map(); // images that have begun to load, by their addresses

function begin(href) {
  const image = element("img", { src: href, class: "preview-image", draggable: "false" });
  const isLoaded = new Promise((resolve) => {
    image.addEventListener("load", () => resolve(true));
    image.addEventListener("error", () => resolve(false));
  });
  return { image, isLoaded };
}

// What nobody waits for any more gives way to what is.
function stop({ image }) {
  if (!image.complete) image.removeAttribute("src");
}

// Loads those of these files that are images; forgets others.
export function prefetch(entries) {
  const images = entries.filter((entry) => lookOf(entry) === "image" && entry.size <= PREFETCH_BYTES);
  const wanted = new Set(images.map((entry) => entry.href));
  for (const [href, begun] of prefetched)
    if (!wanted.has(href)) {
      prefetched.delete(href);
      stop(begun);
    }
  if (navigator.connection?.saveData) return;
  for (const href of wanted) if (!prefetched.has(href)) prefetched.set(href, begin(href));
}

async function imageOf(entry, { signal }) {
  const attempt = async () => {
    const begun = prefetched.get(entry.href) ?? begin(entry.href);
    prefetched.delete(entry.href);
    signal.addEventListener("abort", () => stop(begun), { once: true });
    if (!(await begun.isLoaded)) throw new Unshowable(CANNOT);
    begun.image.alt = entry.name;
    return begun.image;
  };
  return orReason(attempt, entry, signal);
}

// --- video and audio ---

function unload(media) {
  media.pause();
  media.removeAttribute("src");
  media.load(); // lets go of the connection
}

// A session that ends while something plays ends its requests: it goes on where it was. What cannot be decoded there does not.
function resumeAfterErrors(media, entry, { signal, onFailure }) {
  let last = -1;
  media.addEventListener("error", async () => {
    const at = media.currentTime;
    try {
      await request("HEAD", entry.href, { signal });
      if (Math.abs(at - last) < 1) throw new Unshowable("This browser cannot play on from here.");
      last = at;
      media.load();
      media.currentTime = at;
      await media.play();
    } catch (failure) {
      if (!signal.aborted) onFailure(failure);
    }
  }, { signal });
}

function metadataOf(media, signal) {
  return new Promise((resolve, reject) => {
    const options = { once: true, signal };
    media.addEventListener("loadedmetadata", resolve, options);
    media.addEventListener("error", () => reject(new Unshowable(CANNOT)), options);
  });
}

async function mediaOf(entry, { signal, onFailure }) {
  const look = lookOf(entry);
  const media = element(look, { controls: true, preload: "metadata", playsinline: true, class: `preview-${look}`, "aria-label": entry.name });
  signal.addEventListener("abort", () => unload(media), { once: true });
  await orReason(() => {
    media.src = entry.href;
    return metadataOf(media, signal);
  }, entry, signal);
  resumeAfterErrors(media, entry, { signal, onFailure });
  return look === "video" ? media : element("div", { class: "preview-card" }, kindIcon("audio"), media);
}

// --- PDF ---

async function pdfOf(entry, { signal }) {
  // Phones show the first page of a PDF in a frame, or nothing.
  if (!navigator.pdfViewerEnabled || !matchMedia("(hover: hover)").matches) throw new Unshowable("Open it to see it in a tab of its own.");
  await request("HEAD", entry.href, { signal }); // what goes wrong in a frame is not told
  return element("iframe", { src: entry.href, title: entry.name, class: "preview-frame" });
}

// --- text ---

// The first bytes of a file, or null as soon as they are no text.
async function firstText(response) {
  const reader = response.body.getReader();
  const bytes = new Uint8Array(TEXT_BYTES);
  let length = 0;
  while (length < TEXT_BYTES) {
    const { done, value } = await reader.read();
    if (done) break;
    const isFirst = length === 0;
    bytes.set(value.subarray(0, TEXT_BYTES - length), length);
    length += value.length;
    if (isFirst && readText(value) === null) break;
  }
  reader.cancel();
  return readText(bytes.subarray(0, length));
}

async function textOf(entry, { signal }) {
  const headers = { Range: `bytes=0-${TEXT_BYTES - 1}` };
  const response = await request("GET", entry.href, { headers, signal, accept: [416] });
  const size = Number(response.headers.get("Content-Range")?.split("/")[1] ?? response.headers.get("Content-Length"));
  if (size === 0) throw new Unshowable("It is empty.");
  let text;
  try {
    text = await firstText(response);
  } catch (error) {
    throw error.name === "AbortError" ? error : new Failure(0, "The connection broke off.");
  }
  if (text === null) throw new Unshowable("There is no preview of such files.");
  const notice = size > TEXT_BYTES && element("p", { class: "preview-notice" }, `These are the first ${formatSize(TEXT_BYTES)} of ${formatSize(size)}.`);
  return element("div", { class: "preview-paper", tabindex: 0, role: "region", "aria-label": entry.name }, notice, element("pre", { dir: "auto" }, text));
}
