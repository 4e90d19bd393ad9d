// Is it text, and what does it say? Pure: bytes in, a string or null out, so that it can be tried without a page.

const CONTROL = /[\u0000-\u0008\u000e-\u001a\u001c-\u001f]/g; // what no text has; \u001b colours logs

// The encoding that a byte order mark names, or null.
function marked(bytes) {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return "utf-16le";
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return "utf-16be";
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return "utf-8";
  return null;
}

// `bytes` may end in the middle of a character: that one is left out.
const decode = (bytes, encoding, fatal) => new TextDecoder(encoding, { fatal }).decode(bytes, { stream: true });

// The text that a file begins with, or null where it is none. What is not UTF-8 is taken for the old Windows encoding of the West,
// in which every byte is something: the worst that can be seen is a wrong umlaut.
export function readText(bytes) {
  const mark = marked(bytes);
  if (mark) return decode(bytes, mark, false);
  let text;
  try {
    text = decode(bytes, "utf-8", true);
  } catch {
    text = decode(bytes, "windows-1252", false);
  }
  const odd = text.match(CONTROL)?.length ?? 0;
  return text.includes("\0") || odd > text.length / 100 ? null : text;
}
