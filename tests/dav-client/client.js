// Does with a server what programs do that use the package "webdav", and prints as JSON what came of it.
// tests/e2e/test_dav_clients.py compares.
//
//   node client.js URL USER PASSWORD FILE
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { AuthType, createClient } from "webdav";

const [url, username, password, file] = process.argv.slice(2);
const client = createClient(url, { authType: AuthType.Password, username, password });
const folder = "/by node/ä ö & 100%";
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const found = {};

/** The status with which a call is refused, or "done". */
async function refusal(call) {
  try {
    await call;
    return "done";
  } catch (error) {
    return error.status;
  }
}

async function tree() {
  const entries = await client.getDirectoryContents("/tree", { deep: true });
  found.tree = entries.map((one) => [one.filename, one.type, one.size]).sort();
}

async function write() {
  await client.createDirectory(folder, { recursive: true });
  found.written = await client.putFileContents(`${folder}/big #1.bin`, await readFile(file));
  found.writtenAgain = await client.putFileContents(`${folder}/big #1.bin`, "other", { overwrite: false });
  const stat = await client.stat(`${folder}/big #1.bin`);
  found.stat = [stat.basename, stat.type, stat.size, Math.abs(Date.parse(stat.lastmod) - Date.now()) < 3600_000, Boolean(stat.etag)];
  // Without a length that is known: in chunks.
  await new Promise((resolve, reject) => {
    pipeline(createReadStream(file), client.createWriteStream(`${folder}/streamed.bin`, {}, resolve)).catch(reject);
  });
}

async function read() {
  found.content = sha256(await client.getFileContents(`${folder}/big #1.bin`));
  const parts = [];
  for await (const part of client.createReadStream(`${folder}/big #1.bin`, { range: { start: 1_000_000, end: 1_000_099 } }))
    parts.push(part);
  found.range = Buffer.concat(parts).toString("hex");
  // Its own request names no properties, and these come only when they are named (RFC 4331 section 2).
  const body = '<propfind xmlns="DAV:"><prop><quota-available-bytes/><quota-used-bytes/></prop></propfind>';
  found.free = (await client.getQuota({ data: body, headers: { "Content-Type": "application/xml" } })).available;
}

async function move() {
  await client.copyFile(`${folder}/big #1.bin`, `${folder}/copy 50% ü.bin`);
  await client.moveFile(`${folder}/big #1.bin`, `${folder}/moved & ß.bin`);
  found.moved = await client.exists(`${folder}/moved & ß.bin`);
  found.left = await client.exists(`${folder}/big #1.bin`);
  await client.copyFile(folder, "/by node/copied folder");
}

async function lock() {
  const path = `${folder}/moved & ß.bin`;
  const { token } = await client.lock(path);
  found.locked = await refusal(client.putFileContents(path, "no"));
  found.withToken = await client.putFileContents(path, "locked", { headers: { If: `(<${token}>)` } });
  await client.unlock(path, token);
  found.unlocked = await refusal(client.putFileContents(path, "unlocked"));
}

async function remove() {
  await client.deleteFile("/by node/copied folder/copy 50% ü.bin");
  found.missing = await refusal(client.getFileContents("/by node/copied folder/copy 50% ü.bin"));
}

for (const step of [tree, write, read, move, lock, remove]) await step();
console.log(JSON.stringify(found));
