// Real files of several kinds, made by hand.
import { deflateSync } from "node:zlib";

function bytes(...parts) {
  return Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)));
}

function number(value, size, isBig = false) {
  const buffer = Buffer.alloc(size);
  buffer[isBig ? "writeUIntBE" : "writeUIntLE"](value, 0, size);
  return buffer;
}

// --- images ---

function crc32(data) {
  let sum = ~0;
  for (const byte of data) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}

function chunk(type, data) {
  const body = bytes(type, data);
  return bytes(number(data.length, 4, true), body, number(crc32(body), 4, true));
}

// An image whose colours run from one corner to the other, with lines to see its scale by.
export function png(width, height) {
  const rows = Buffer.alloc(height * (1 + 3 * width));
  for (let y = 0, at = 0; y < height; y++) {
    rows[at++] = 0; // not filtered
    for (let x = 0; x < width; x++) {
      const isLine = x % 100 === 0 || y % 100 === 0;
      rows[at++] = isLine ? 255 : (255 * x) / width;
      rows[at++] = isLine ? 255 : (200 * y) / height;
      rows[at++] = isLine ? 255 : 160;
    }
  }
  const head = bytes(number(width, 4, true), number(height, 4, true), Buffer.from([8, 2, 0, 0, 0]));
  return bytes("\x89PNG\r\n\x1a\n", chunk("IHDR", head), chunk("IDAT", deflateSync(rows)), chunk("IEND", Buffer.alloc(0)));
}

// --- sound ---

// A quiet tone: 8 bits, one channel, 8000 samples a second.
export function wav(seconds, rate = 8000) {
  const samples = Buffer.alloc(seconds * rate, 128);
  for (let at = 0; at < samples.length; at++) samples[at] += (at >> 4) % 2 ? 2 : -2;
  const format = bytes("fmt ", number(16, 4), number(1, 2), number(1, 2), number(rate, 4), number(rate, 4), number(1, 2), number(8, 2));
  const data = bytes("data", number(samples.length, 4), samples);
  return bytes("RIFF", number(4 + format.length + data.length, 4), "WAVE", format, data);
}

// --- documents ---

// One page with a line of text.
export function pdf(text) {
  const page = `BT /F1 24 Tf 72 720 Td (${text}) Tj ET`;
  const objects = [
    "<< /Type /Catalog /Pages 2 0 R >>",
    "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
    `<< /Length ${page.length} >>\nstream\n${page}\nendstream`,
    "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
  ];
  let file = "%PDF-1.4\n";
  const offsets = objects.map((object, at) => {
    const offset = file.length;
    file += `${at + 1} 0 obj\n${object}\nendobj\n`;
    return `${String(offset).padStart(10, "0")} 00000 n \n`;
  });
  const start = file.length;
  file += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${offsets.join("")}trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${start}\n%%EOF\n`;
  return Buffer.from(file, "latin1");
}
