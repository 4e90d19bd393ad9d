// Addresses and names. An address ("href") is an absolute path, percent-encoded in one way only, the server's, so that two of them
// are the same resource if and only if they are the same string. A folder's ends in "/". Names are text; a name that is not UTF-8
// shows U+FFFD, and only its address leads to it.

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const PLAIN = /[A-Za-z0-9\-_.~!$()*,;=@]/; // what stands for itself

// The bytes of a segment in which anything may be encoded.
function bytesOf(segment) {
  const bytes = [];
  for (let at = 0; at < segment.length; at++) {
    const hex = segment[at] === "%" && /^[0-9a-f]{2}/i.exec(segment.slice(at + 1));
    if (hex) {
      bytes.push(parseInt(hex[0], 16));
      at += 2;
    } else {
      const character = String.fromCodePoint(segment.codePointAt(at));
      bytes.push(...encoder.encode(character));
      at += character.length - 1;
    }
  }
  return Uint8Array.from(bytes);
}

// One byte of what is not UTF-8.
function encodeByte(byte) {
  const character = String.fromCharCode(byte);
  return byte < 0x80 && PLAIN.test(character) ? character : "%" + byte.toString(16).toUpperCase().padStart(2, "0");
}

function canonicalSegment(segment) {
  try {
    return encodeName(decodeURIComponent(segment));
  } catch {
    return Array.from(bytesOf(segment), encodeByte).join("");
  }
}

export function encodeName(name) {
  return encodeURIComponent(name).replace(/%(24|2C|3B|3D|40)|'/g, (found) => (found === "'" ? "%27" : decodeURIComponent(found)));
}

export function decodeName(segment) {
  return decoder.decode(bytesOf(segment));
}

// The one way to write an address: of a URL, of a path as somebody typed it, or of what the server has encoded. Several slashes are one,
// as they are for the server.
export function canonical(href) {
  const path = new URL(href.replace(/^\/+/, "/"), location.origin).pathname;
  return path.replace(/\/+/g, "/").split("/").map(canonicalSegment).join("/");
}

export function childHref(folderHref, name, isFolder = false) {
  return folderHref + encodeName(name) + (isFolder ? "/" : "");
}

// The folder that something is in; of "/" it is "/".
export function parentHref(href) {
  return href.slice(0, href.lastIndexOf("/", href.length - 2) + 1) || "/";
}

// The last part of an address, as text; of "/" it is "".
export function nameOf(href) {
  return decodeName(href.replace(/\/$/, "").split("/").pop());
}

// Whether `href` is `folderHref` or anything below it.
export function isWithin(href, folderHref) {
  return href.startsWith(folderHref);
}

// The folders on the way, from the first: [{name, href}].
export function crumbs(href) {
  const found = [{ name: "Files", href: "/" }];
  for (let end = href.indexOf("/", 1); end > 0; end = href.indexOf("/", end + 1))
    found.push({ name: nameOf(href.slice(0, end + 1)), href: href.slice(0, end + 1) });
  return found;
}

// "letter.tar.gz" is "letter.tar" and ".gz"; a dot in front begins no extension.
export function splitName(name) {
  const dot = name.lastIndexOf(".");
  return dot > 0 ? { stem: name.slice(0, dot), extension: name.slice(dot) } : { stem: name, extension: "" };
}

// Direction marks inside a name would turn what stands beside it, control characters are not seen at all.
export function shownName(name) {
  return name.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
}
