// Pictures: what is done is drawn with lines, what is in a folder with a filled shape in the colour of its kind.

const NAMESPACE = "http://www.w3.org/2000/svg";

// 24 × 24, lines.
const LINES = {
  back: "M19 12H5M11 6l-6 6 6 6",
  check: "M5 12.5l4.5 4.500 9.500-10",
  close: "M6 6l12 12M18 6L6 18",
  copy: "M9 9h10a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1h-9a1 1 0 0 1-1-1zM5 15a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1h9a1 1 0 0 1 1 1",
  cut: "M8.500 8.500L20 19M8.500 15.500L20 5M6 9a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM6 20a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5z",
  delete: "M4 7h16M9.500 7V4.500h5V7M6 7l1 13h10l1-13M10 11v5.500M14 11v5.500",
  download: "M12 4v11M7 10.500l5 5 5-5M4.500 19.500h15",
  edit: "M4 20l1-4.500L16 4.500l3.500 3.500L8.500 19zM13.500 7l3.500 3.500",
  fold: "M6 9.500l6 6 6-6",
  folder: "M3.500 18V7a1.500 1.500 0 0 1 1.500-1.500h4l2 2.500h8a1.500 1.500 0 0 1 1.500 1.500v8.500a1.500 1.500 0 0 1-1.500 1.500h-14a1.500 1.500 0 0 1-1.500-1.500z",
  "folder-open": "M3.500 18V7a1.500 1.500 0 0 1 1.500-1.500h4l2 2.500h7a1.500 1.500 0 0 1 1.500 1.500v1.500M3.500 18l2.600-6.500h15.400l-2.500 7.300a1 1 0 0 1-1 .700H5a1.500 1.500 0 0 1-1.500-1.500z",
  grid: "M4.500 4.500h6v6h-6zM13.500 4.500h6v6h-6zM4.500 13.500h6v6h-6zM13.500 13.500h6v6h-6z",
  help: "M9.300 9.300a2.800 2.800 0 1 1 3.900 2.600c-.800.400-1.200.900-1.200 1.800v.300M12 17v.200M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z",
  list: "M4.500 6.500h15M4.500 12h15M4.500 17.500h15",
  "log-out": "M10 4.500H6A1.500 1.500 0 0 0 4.500 6v12A1.500 1.500 0 0 0 6 19.500h4M15.500 8l4 4-4 4M19 12H9.500",
  more: "M5.500 12h.010M12 12h.010M18.500 12h.010",
  move: "M3.500 18V7a1.500 1.500 0 0 1 1.500-1.500h4l2 2.500h8a1.500 1.500 0 0 1 1.500 1.500v8.500a1.500 1.500 0 0 1-1.500 1.500h-14a1.500 1.500 0 0 1-1.500-1.500zM9 13.500h6M12.500 11l2.500 2.500-2.500 2.500",
  "new-folder": "M3.500 18V7a1.500 1.500 0 0 1 1.500-1.500h4l2 2.500h8a1.500 1.500 0 0 1 1.500 1.500v8.500a1.500 1.500 0 0 1-1.500 1.500h-14a1.500 1.500 0 0 1-1.500-1.500zM12 11v5M9.500 13.500h5",
  next: "M9.500 5.500l6.500 6.500-6.500 6.500",
  offline: "M4 4l16 16M8.500 15.500a5 5 0 0 1 5-1.200M5.500 12a10 10 0 0 1 4-2.400M2.500 8.800A14 14 0 0 1 6.500 6.300M10.800 5a14.500 14.500 0 0 1 10.700 3.800M14.800 9.800a10 10 0 0 1 3.700 2.200M12 19h.010",
  open: "M14 4.500h5.500V10M19.500 4.500L11 13M18 14v4.500a1.500 1.500 0 0 1-1.500 1.500h-11A1.500 1.500 0 0 1 4 18.500v-11A1.500 1.500 0 0 1 5.500 6H10",
  paste: "M9 4.500h6v3H9zM9 6H6.500A1.500 1.500 0 0 0 5 7.500v11A1.500 1.500 0 0 0 6.500 20h11a1.500 1.500 0 0 0 1.500-1.500v-11A1.500 1.500 0 0 0 17.500 6H15",
  pause: "M9 6v12M15 6v12",
  play: "M8 5.500v13l10.500-6.500z",
  plus: "M12 5v14M5 12h14",
  preview: "M2.500 12c2-4 5.500-6.500 9.500-6.500s7.500 2.500 9.500 6.500c-2 4-5.500 6.500-9.500 6.500S4.500 16 2.500 12zM12 14.800a2.800 2.800 0 1 0 0-5.600 2.800 2.800 0 0 0 0 5.600z",
  previous: "M14.500 5.500L8 12l6.500 6.500",
  refresh: "M19.500 12a7.500 7.500 0 1 1-2.200-5.300M19.500 3.500v4h-4",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l4.500 4.500",
  "select-all": "M4.500 6a1.500 1.500 0 0 1 1.500-1.500h12A1.500 1.500 0 0 1 19.500 6v12a1.500 1.500 0 0 1-1.500 1.500H6A1.500 1.500 0 0 1 4.500 18zM8.500 12l2.500 2.500 5-5",
  "sort-arrow": "M12 18V6M7 11l5-5 5 5",
  unfold: "M6 15l6-6 6 6",
  upload: "M12 16V5M7 9.500l5-5 5 5M4.500 19.500h15",
  "upload-folder": "M3.500 18V7a1.500 1.500 0 0 1 1.500-1.500h4l2 2.500h8a1.500 1.500 0 0 1 1.500 1.500v8.500a1.500 1.500 0 0 1-1.500 1.500h-14a1.500 1.500 0 0 1-1.500-1.500zM12 16.500v-5M9.500 13.700l2.500-2.500 2.500 2.500",
  user: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.500 20c.800-3.700 3.800-5.500 7.500-5.500s6.700 1.800 7.500 5.500",
  warning: "M12 4L2.800 19.500h18.400zM12 10v4.500M12 17v.010",
};

// 24 × 24, filled by the rule "evenodd".
const SHAPES = {
  folder: "M2 6a2 2 0 0 1 2-2h4.600a2 2 0 0 1 1.400.600l1.900 1.900h8.100a2 2 0 0 1 2 2v9.500a2 2 0 0 1-2 2h-16a2 2 0 0 1-2-2z",
  file: "M5 4a2 2 0 0 1 2-2h7.500l4.500 4.500v13.500a2 2 0 0 1-2 2h-10a2 2 0 0 1-2-2zM13.500 3.500v4h4z",
  image: "M2 6.500a2.500 2.500 0 0 1 2.500-2.500h15a2.500 2.500 0 0 1 2.500 2.500v11a2.500 2.500 0 0 1-2.500 2.500h-15a2.500 2.500 0 0 1-2.500-2.500zM8 7a2 2 0 1 0 0 4 2 2 0 0 0 0-4zM4.500 17.500h15l-5-6.500-3.700 4.700-2-2.400z",
  video: "M2 6.500a2.500 2.500 0 0 1 2.500-2.500h15a2.500 2.500 0 0 1 2.500 2.500v11a2.500 2.500 0 0 1-2.500 2.500h-15a2.500 2.500 0 0 1-2.500-2.500zM9.800 8v8l6.400-4z",
  audio: "M8.500 5.200l11-2.200v13.200a3 2.700 0 1 1-2-2.500v-6l-7 1.400v9.100a3 2.700 0 1 1-2-2.500z",
  archive: "M5 4a2 2 0 0 1 2-2h10a2 2 0 0 1 2 2v16a2 2 0 0 1-2 2h-10a2 2 0 0 1-2-2zM11 2v2h2v2h-2v2h2v2h-2v2h2v-2h-2v-2h2v-2h-2v-2h2v-2zM10.500 13.500h3v4h-3z",
  code: "M2 6.500a2.500 2.500 0 0 1 2.500-2.500h15a2.500 2.500 0 0 1 2.500 2.500v11a2.500 2.500 0 0 1-2.500 2.500h-15a2.500 2.500 0 0 1-2.500-2.500zM9 8l-4 4 4 4 1.200-1.200-2.800-2.800 2.800-2.800zM15 8l-1.200 1.200 2.800 2.800-2.800 2.800 1.200 1.200 4-4z",
  text: "M5 4a2 2 0 0 1 2-2h7.500l4.500 4.500v13.500a2 2 0 0 1-2 2h-10a2 2 0 0 1-2-2zM13.500 3.500v4h4zM8 11h8v1.500h-8zM8 14h8v1.500h-8zM8 17h5v1.500h-5z",
};
SHAPES.pdf = SHAPES.text;

const EXTENSIONS = {
  image: "jpg jpeg png heic heif gif webp avif svg tif tiff bmp raw dng cr2 nef arw psd xcf ico",
  video: "mp4 mov mkv webm avi m4v mpg mpeg wmv ts 3gp",
  audio: "mp3 m4a flac ogg opus wav aac aiff wma mid midi",
  pdf: "pdf",
  text: "txt md doc docx odt rtf epub tex log xls xlsx ods csv ppt pptx odp pages numbers key",
  archive: "zip gz tgz bz2 xz zst tar 7z rar iso img deb rpm apk dmg jar",
  code: "c h cc cpp hpp rs go py js ts jsx tsx java kt rb php pl sh lua sql html htm css json xml yml yaml toml ini conf patch diff",
};
const KINDS = new Map(Object.entries(EXTENSIONS).flatMap(([kind, words]) => words.split(" ").map((word) => [word, kind])));

// What an entry is, by its name: a key of SHAPES.
export function kindOf(entry) {
  if (entry.isFolder) return "folder";
  const dot = entry.name.lastIndexOf(".");
  return (dot > 0 && KINDS.get(entry.name.slice(dot + 1).toLowerCase())) || "file";
}

function picture(className, path) {
  const svg = document.createElementNS(NAMESPACE, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", className);
  svg.setAttribute("aria-hidden", "true");
  const line = svg.appendChild(document.createElementNS(NAMESPACE, "path"));
  line.setAttribute("d", path);
  return svg;
}

// A picture of something that is done: a key of LINES.
export function icon(name) {
  return picture("icon", LINES[name] ?? "");
}

// A picture of a kind of entry; setKind() makes another of it.
export function kindIcon(kind) {
  const svg = picture("kind", SHAPES[kind]);
  svg.dataset.kind = kind;
  return svg;
}

export function setKind(svg, kind) {
  if (svg.dataset.kind === kind) return;
  svg.dataset.kind = kind;
  svg.firstChild.setAttribute("d", SHAPES[kind]);
}
