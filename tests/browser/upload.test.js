// Uploads in the file manager: every way in, and everything that can go wrong on the way.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { chmod, mkdir, mkdtemp, open, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after } from "node:test";
import { fillIn, fits, LIST, looks, makeFiles, names, origin, ready, row, scenario, screenshot, SLOW, SMALL, until } from "./harness.js";
import { Lane } from "./lane.js";

const { FOLDER } = process.env;

const MB = 1000 * 1000;
const TIME = new Date("2020-02-03T04:05:06.789Z"); // of what is sent
const lane = new Lane();
const here = LIST ? "" : await mkdtemp(path.join(tmpdir(), "fastfile-upload-"));
if (!LIST) {
  await lane.start();
  after(async () => {
    lane.stop();
    await rm(here, { recursive: true, force: true });
  });
}

// --- files on this side ---

// A file that is sparse but for a piece at every so many bytes, each of which is another one.
async function makeLarge(name, size, every = 8 * MB) {
  const file = path.join(here, name);
  const handle = await open(file, "w");
  await handle.truncate(size);
  for (let at = 0; at < size; at += every) {
    const piece = `${name} at ${at};`.repeat(200).slice(0, size - at);
    await handle.write(piece, at);
  }
  await handle.close();
  await utimes(file, TIME, TIME);
  return file;
}

async function makeSmall(name, content) {
  const file = path.join(here, name);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, content);
  await utimes(file, TIME, TIME);
  return file;
}

async function hashOf(file) {
  const hash = createHash("sha1");
  for await (const piece of createReadStream(file, { highWaterMark: 4 << 20 })) hash.update(piece);
  return hash.digest("hex");
}

const stored = (name) => path.join(FOLDER, name);

async function assertStored(name, source) {
  assert.equal(await hashOf(stored(name)), await hashOf(source), name);
  assert.equal(Math.floor((await stat(stored(name))).mtimeMs / 1000), Math.floor(TIME / 1000), `the time of ${name}`);
}

// All files below a folder: {"a/b": hash, "empty/": ""}.
async function treeOf(folder, prefix = "") {
  const found = {};
  for (const entry of await readdir(path.join(folder, prefix), { withFileTypes: true })) {
    const name = prefix + entry.name;
    if (entry.isDirectory()) Object.assign(found, { [`${name}/`]: "" }, await treeOf(folder, `${name}/`));
    else found[name] = await hashOf(path.join(folder, name));
  }
  return found;
}

// --- what a person does ---

// Opens a folder that is made for the test.
async function begin(page, folder, { user = "alice", password = "wonderland", files = {} } = {}) {
  await makeFiles(page.context(), { [`${folder}/`]: null, ...Object.fromEntries(Object.entries(files).map(([name, content]) => [`${folder}/${name}`, content])) });
  await page.goto(`${origin}/${folder}/`);
  await fillIn(page, password, user);
  await page.waitForURL(origin + encodeURI(`/${folder}/`), { waitUntil: "domcontentloaded" });
  await ready(page);
}

async function choose(page, files, button = "Upload") {
  const plus = page.getByRole("button", { name: "Add something" }); // on a phone
  const isPhone = await plus.isVisible();
  if (isPhone) await plus.click();
  const chooser = page.waitForEvent("filechooser");
  await page.getByRole(isPhone ? "menuitem" : "button", { name: button, exact: true }).first().click();
  await (await chooser).setFiles(files);
}

// A real one: paths of this machine, which the browser opens.
async function dragAndDrop(page, files, target = page.getByRole("main"), steps = ["dragEnter", "dragOver", "drop"]) {
  const box = await target.boundingBox();
  const cdp = await page.context().newCDPSession(page);
  const data = { items: [], files, dragOperationsMask: 1 };
  for (const type of steps)
    await cdp.send("Input.dispatchDragEvent", { type, x: box.x + box.width / 3, y: box.y + Math.min(20, box.height / 2), data });
}

const panel = (page) => page.getByRole("region", { name: /./ }).and(page.locator(".uploads"));
const title = (page, text) => panel(page).getByRole("heading", { name: text });
const line = (page, name) => panel(page).getByRole("listitem").filter({ hasText: name });
// What has to wait for much to be sent, or for a connection to be given up.
const shows = (locator, timeout = 45_000) => locator.waitFor({ timeout: timeout * SLOW });
const done = (page, text = /uploaded$/, timeout = undefined) => shows(title(page, text), timeout);
const failure = (page, text) => shows(panel(page).locator('[data-state="failed"]').getByText(text).first());
const press = (page, name) => panel(page).getByRole("button", { name, exact: true }).first().click();

// Offsets at which parts of uploads began.
function offsets(page) {
  const found = [];
  page.on("request", (request) => request.method() === "PATCH" && found.push(Number(request.headers()["upload-offset"])));
  return found;
}

// --- ways in ---

scenario("upload: files by the button, with their times", async (page) => {
  await begin(page, "Up button");
  const [small, empty, large] = [await makeSmall("Grüße & <b>.txt", "hello"), await makeSmall("empty.txt", ""), await makeLarge("large.bin", 20 * MB)];
  await choose(page, [small, empty, large]);
  await done(page, "3 items uploaded");
  await row(page, "large.bin").waitFor(); // the folder is shown anew by itself
  assert.deepEqual(await names(page), ["empty.txt", "Grüße & <b>.txt", "large.bin"]);
  for (const file of [small, empty, large]) await assertStored(`Up button/${path.basename(file)}`, file);
});

async function makeTree() {
  const files = { "Tree/a.txt": "a", "Tree/sub folder/b.txt": "b", "Tree/sub folder/deeper/ü.txt": "c" };
  for (const [name, content] of Object.entries(files)) await makeSmall(name, content);
  return path.join(here, "Tree");
}

scenario("upload: a folder by the button", async (page) => {
  await begin(page, "Up folder");
  const tree = await makeTree();
  await choose(page, tree, "Upload folder");
  await done(page, "3 items uploaded");
  await row(page, "Tree").waitFor();
  const { "empty/": empty, ...files } = await treeOf(tree); // which browsers do not tell
  assert.deepEqual(await treeOf(stored("Up folder/Tree")), files);
});

scenario("upload: files and folders dropped on the page", async (page) => {
  await begin(page, "Up drop", { files: { "Tree/sub folder/": null, "Tree/sub folder/here.txt": "stays" } });
  const tree = await makeTree();
  await mkdir(path.join(tree, "empty"), { recursive: true });
  await dragAndDrop(page, [tree, await makeSmall("beside.txt", "beside")]);
  await done(page, "5 items uploaded"); // into a folder that is there already, which is no conflict
  await row(page, "beside.txt").waitFor();
  const expected = { ...(await treeOf(tree)), "sub folder/here.txt": createHash("sha1").update("stays").digest("hex") };
  assert.deepEqual(await treeOf(stored("Up drop/Tree")), expected);
  await dragAndDrop(page, [tree]); // what is the same is not asked about
  await done(page, "4 items uploaded");
  await panel(page).getByText("Here already").first().waitFor();
}, { expected: /status of (405|412)/ });

scenario("upload: dropped on a folder's row", async (page) => {
  await begin(page, "Up row", { files: { "Inner/": null } });
  await dragAndDrop(page, [await makeSmall("inner.txt", "inner")], row(page, "Inner"));
  await done(page, "1 item uploaded");
  assert.deepEqual(await readdir(stored("Up row/Inner")), ["inner.txt"]);
  assert.deepEqual(await readdir(stored("Up row")), ["Inner"]);
});

scenario("upload: a picture pasted", async (page, context) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await begin(page, "Up paste");
  await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(20, 20);
    canvas.getContext("2d").fillRect(0, 0, 9, 9);
    await navigator.clipboard.write([new ClipboardItem({ "image/png": canvas.convertToBlob({ type: "image/png" }) })]);
  });
  await page.keyboard.press("Control+v");
  await done(page, "1 item uploaded");
  const [name] = await readdir(stored("Up paste"));
  assert.match(name, /^Pasted picture \d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d\.png$/);
  assert.equal((await readFile(path.join(stored("Up paste"), name))).subarray(1, 4).toString(), "PNG");
});

// --- conflicts ---

const isConflict = { expected: /status of 412/ };

async function answer(page, button, { all = false } = {}) {
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  const text = await dialog.innerText();
  const title = await dialog.getAttribute("aria-labelledby");
  if (all) await dialog.getByRole("checkbox").check();
  await dialog.getByRole("button", { name: button, exact: true }).click();
  await page.locator(`dialog[aria-labelledby="${title}"]`).waitFor({ state: "detached" }); // there may be the next one
  return text;
}

const content = (name) => readFile(stored(name), "utf8");

scenario("upload: what is there already is kept, kept too, or replaced, as one says", async (page) => {
  const long = "x".repeat(251);
  await begin(page, "Up conflict", { files: { "a.txt": "old a", "b.txt": "old b", "b (2).txt": "old b2", "c.tar.gz": "old c", [`${long}.txt`]: "old x" } });
  for (const [name, button] of [["a.txt", "Skip"], ["b.txt", "Keep both"], ["c.tar.gz", "Replace"], [`${long}.txt`, "Keep both"]]) {
    await choose(page, [await makeSmall(name, `new ${name}`)]);
    const dialog = page.getByRole("dialog");
    assert.match(await dialog.getByRole("button", { name: "Replace" }).getAttribute("class"), /danger/);
    assert.match(await dialog.getByRole("button", { name: "Keep both" }).getAttribute("class"), /main/); // what Enter does
    assert.equal(await page.evaluate(() => document.activeElement.innerText), "Keep both"); // wherever the focus is
    assert.equal(await dialog.getByRole("checkbox").count(), 0);
    assert.match(await answer(page, button), /There: 5 B · .*\s+This one: \d+ B · .*2020 /);
    await panel(page).locator('[data-state="asking"]').waitFor({ state: "detached" });
  }
  await done(page);
  assert.equal(await content("Up conflict/a.txt"), "old a");
  assert.equal(await content("Up conflict/b.txt"), "old b");
  assert.equal(await content("Up conflict/b (2).txt"), "old b2");
  assert.equal(await content("Up conflict/b (3).txt"), "new b.txt");
  assert.equal(await content("Up conflict/c.tar.gz"), "new c.tar.gz");
  assert.equal(await content(`Up conflict/${"x".repeat(247)} (2).txt`), `new ${long}.txt`);
}, isConflict);

scenario("upload: one answer for all", async (page) => {
  const files = Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`n${at}.txt`, "old"]));
  await begin(page, "Up all", { files: { ...files, "large.bin": "old" } });
  const sources = await Promise.all(Object.keys(files).map((name) => makeSmall(name, `new ${name}`)));
  const large = await makeLarge("large.bin", 10 * MB);
  await choose(page, [...sources, large]);
  await answer(page, "Replace", { all: true });
  await done(page, "13 items uploaded");
  for (const name of Object.keys(files)) assert.equal(await content(`Up all/${name}`), `new ${name}`);
  await assertStored("Up all/large.bin", large);
}, isConflict);

scenario("upload: a folder has the file's name", async (page) => {
  await begin(page, "Up name", { files: { "x.txt/": null } });
  await choose(page, [await makeSmall("x.txt", "x")]);
  assert.match(await answer(page, "Keep both"), /There: a folder/);
  await done(page);
  assert.equal(await content("Up name/x (2).txt"), "x");
}, { expected: /status of 405/ });

scenario("upload: an answer for all is for files, or for folders", async (page) => {
  await begin(page, "Up kinds", { files: { "a.txt": "old", "b.txt/": null, "c.txt": "old", "d.txt/": null } });
  await choose(page, await Promise.all(["a.txt", "b.txt", "c.txt", "d.txt"].map((name) => makeSmall(name, "new"))));
  for (let kinds = 2; kinds > 0; kinds--) {
    const isFolder = (await page.getByRole("dialog").innerText()).includes("There: a folder");
    await answer(page, isFolder ? "Keep both" : "Skip", { all: true });
  }
  await done(page, "2 items uploaded");
  assert.deepEqual((await readdir(stored("Up kinds"))).sort(), ["a.txt", "b (2).txt", "b.txt", "c.txt", "d (2).txt", "d.txt"]);
  assert.equal(await content("Up kinds/a.txt"), "old");
}, { expected: /status of (405|412)/ });

scenario("upload: a file has the name of an empty folder", async (page) => {
  await begin(page, "Up hollow", { files: { hollow: "a file" } });
  await mkdir(path.join(here, "hollow"));
  await dragAndDrop(page, [path.join(here, "hollow")]);
  await failure(page, "The folder is not there any more, or a file has its name.");
}, { expected: /status of (404|405)/ });

scenario("upload: into the folder in which one has asked for it", async (page) => {
  await begin(page, "Up target", { files: { "other/": null } });
  const chooser = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Upload", exact: true }).first().click();
  await chooser;
  assert.equal(await page.locator("input[type=file]").count(), 1); // in the document, or WebKit forgets it
  await row(page, "other").getByRole("link").click();
  await page.waitForURL(`${origin}/Up%20target/other/`, { waitUntil: "domcontentloaded" });
  await (await chooser).setFiles([await makeSmall("here.txt", "x")]);
  await done(page, "1 item uploaded");
  assert.equal(await page.locator("input[type=file]").count(), 0);
  assert.deepEqual((await readdir(stored("Up target"))).sort(), ["here.txt", "other"]);
});

scenario("upload: nothing is dropped behind a dialog, and what hangs over the page no more is not awaited", async (page) => {
  await begin(page, "Up behind");
  const hint = page.locator(".drop-hint");
  await dragAndDrop(page, [await makeSmall("behind.txt", "x")], page.getByRole("main"), ["dragEnter", "dragOver"]);
  await hint.waitFor({ state: "hidden" });
  await page.keyboard.press("F7");
  await page.getByRole("dialog").waitFor();
  await dragAndDrop(page, [path.join(here, "behind.txt")]);
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await dragAndDrop(page, [await makeSmall("before.txt", "x")]);
  await done(page, "1 item uploaded");
  assert.deepEqual(await readdir(stored("Up behind")), ["before.txt"]);
});

// --- connections ---

// (409: a browser has sent a part again by itself.)
const lossy = { proxy: lane.proxy, expected: /net::ERR|status of (409|412)/ };

scenario("upload: goes on where the connection broke", async (page) => {
  await begin(page, "Up cut");
  const large = await makeLarge("cut.bin", 60 * MB);
  const began = offsets(page);
  const cut = lane.cutAfter(25 * MB);
  await choose(page, [large]);
  await cut;
  await done(page);
  await assertStored("Up cut/cut.bin", large);
  assert.equal(began[0], 0);
  assert.ok(began.length >= 2 && began.slice(1).every((offset) => offset > 10 * MB), `began at ${began}`);
}, lossy);

scenario("upload: waits for the network, and goes on at once when it is back", async (page, context) => {
  await begin(page, "Up offline");
  const large = await makeLarge("offline.bin", 60 * MB);
  const began = offsets(page);
  const held = lane.holdAfter(25 * MB);
  await choose(page, [large, await makeSmall("small.txt", "small")]);
  await held;
  await context.setOffline(true);
  await shows(title(page, "No connection"));
  await context.setOffline(false);
  await done(page, "2 items uploaded");
  await assertStored("Up offline/offline.bin", large);
  assert.ok(began.at(-1) > 10 * MB, `began at ${began}`);
}, lossy);

scenario("upload: after a reload the file is asked for, and nothing is sent twice", async (page) => {
  await begin(page, "Up reload");
  const large = await makeLarge("reload.bin", 300 * MB);
  const began = offsets(page);
  const held = lane.holdAfter(140 * MB);
  await choose(page, [large]);
  await held;
  await page.evaluate(() => new Promise((resolve) => {
    indexedDB.open("fastfile-uploads").onsuccess = ({ target: { result: database } }) => {
      const items = database.transaction("items", "readwrite").objectStore("items");
      items.getAll().onsuccess = ({ target: { result: records } }) => items.put({ ...records[0], id: "another tab's", url: null });
      items.transaction.oncomplete = () => resolve(database.close());
    };
  }));
  const warned = page.waitForEvent("dialog");
  const reloaded = page.reload();
  assert.equal((await warned).type(), "beforeunload");
  await (await warned).accept();
  await reloaded;
  await title(page, "1 upload was interrupted").waitFor();
  const before = began.length;
  const again = async (file) => {
    const [chooser] = await Promise.all([page.waitForEvent("filechooser"), press(page, "Go on")]);
    await chooser.setFiles(file);
  };
  await again([await makeSmall("another.txt", "another")]);
  await page.getByText("not the file that is needed").waitFor();
  await again([large]);
  await done(page);
  await assertStored("Up reload/reload.bin", large);
  assert.ok(began[before] > 100 * MB, `began at ${began}`);
}, lossy);

scenario("upload: after a reload it goes on by itself where the browser may read the file again", async (page) => {
  await begin(page, "Up handle");
  const large = await makeLarge("handle.bin", 60 * MB);
  const began = offsets(page);
  const held = lane.holdAfter(25 * MB);
  await dragAndDrop(page, [large]);
  await held;
  page.once("dialog", (dialog) => dialog.accept());
  await page.reload();
  await title(page, /interrupted|Uploading|uploaded/).waitFor();
  await done(page);
  await assertStored("Up handle/handle.bin", large);
  assert.ok(began.at(-1) > 10 * MB, `began at ${began}`);
}, lossy);

// --- pause and cancel ---

scenario("upload: paused, resumed and cancelled, one and all", async (page) => {
  await begin(page, "Up pause");
  const [a, b, c] = [await makeLarge("a.bin", 40 * MB), await makeLarge("b.bin", 30 * MB), await makeLarge("c.bin", 20 * MB)];
  const deleted = [];
  page.on("request", (request) => request.method() === "DELETE" && deleted.push(request.url()));
  const held = lane.holdAfter(10 * MB);
  await choose(page, [a, b, c, await makeSmall("d.txt", "d")]);
  await held;
  await press(page, "Pause all");
  await title(page, "Paused").waitFor();
  await line(page, "c.bin").getByRole("button", { name: "Cancel" }).click();
  await press(page, "Resume all");
  await done(page, "3 items uploaded");
  for (const file of [a, b]) await assertStored(`Up pause/${path.basename(file)}`, file);
  assert.deepEqual((await readdir(stored("Up pause"))).sort(), ["a.bin", "b.bin", "d.txt"]);

  const heldAgain = lane.holdAfter(10 * MB);
  await choose(page, [await makeLarge("e.bin", 40 * MB)]);
  await heldAgain;
  await line(page, "e.bin").getByRole("button", { name: "Pause" }).click();
  await line(page, "e.bin").getByText("Paused").waitFor();
  deleted.length = 0;
  await press(page, "Cancel all");
  await page.getByRole("dialog").getByRole("button", { name: "Stop uploading" }).click();
  await panel(page).waitFor({ state: "hidden" });
  assert.deepEqual((await readdir(stored("Up pause"))).sort(), ["a.bin", "b.bin", "d.txt"]);
  assert.equal(deleted.length, 1); // what had arrived of it
}, lossy);

// --- refusals ---

scenario("upload: says how much room is needed and how much there is", async (page) => {
  await page.goto(origin);
  await fillIn(page);
  await page.waitForURL(`${origin}/`, { waitUntil: "domcontentloaded" });
  await page.goto(`${origin}/${SMALL}/`);
  await ready(page);
  await choose(page, [await makeLarge("large.bin", 30 * MB), await makeSmall("small.txt", "small")]);
  await failure(page, /^The disk is full: this needs 30 MB, \d+ MB is free\.$/);
  await done(page, "1 item failed"); // and the other one could
  assert.equal(await content(`${SMALL}/small.txt`), "small");
}, { skip: SMALL ? "" : "no file system of its own here", expected: /status of 507/ });

scenario("upload: who may only read is told so", async (page) => {
  await begin(page, "Up read", { user: "bob", password: "builder" });
  assert.equal(await page.getByRole("button", { name: "Upload", exact: true }).count(), 0);
  const file = await makeSmall("no.txt", "no");
  await Promise.all([
    page.getByText("You may look at this folder, but not put anything into it.").waitFor(),
    dragAndDrop(page, [file], page.getByRole("main"), ["dragEnter", "dragOver"]),
  ]);
  assert.deepEqual(await readdir(stored("Up read")), []);
});

scenario("upload: a folder that may not be written, and one that is gone", async (page) => {
  await begin(page, "Up gone", { files: { "locked/": null, "gone/": null } });
  const file = await makeSmall("no.txt", "no");
  await chmod(stored("Up gone/locked"), 0o555);
  await dragAndDrop(page, [file], row(page, "locked"));
  await failure(page, "You are not allowed to put files here.");
  await rm(stored("Up gone/gone"), { recursive: true });
  await dragAndDrop(page, [file], row(page, "gone"));
  await failure(page, "The folder is not there any more, or a file has its name.");
  await done(page, "2 items failed"); // the first one can still be tried again
  await mkdir(stored("Up gone/gone"), { mode: 0o777 });
  for (const name of ["gone", "locked"]) await chmod(stored(`Up gone/${name}`), 0o777);
  await press(page, "Try again");
  await done(page, "2 items uploaded");
  for (const name of ["gone", "locked"]) assert.equal(await content(`Up gone/${name}/no.txt`), "no");
}, { expected: /status of (403|409)/ });

scenario("upload: folders that somebody has removed are made again", async (page) => {
  await begin(page, "Up again", { files: { "Tree/sub folder/": null } });
  await chmod(stored("Up again/Tree/sub folder"), 0o555);
  const tree = await makeTree();
  await choose(page, tree, "Upload folder");
  await done(page, "2 items failed");
  await rm(stored("Up again/Tree"), { recursive: true });
  await press(page, "Try again");
  await done(page, "3 items uploaded");
  assert.deepEqual(Object.keys(await treeOf(stored("Up again/Tree"))).filter((name) => !name.endsWith("/")).sort(), ["sub folder/b.txt", "sub folder/deeper/ü.txt"]);
}, { expected: /status of (403|405)/ });

scenario("upload: what fails every time is given up", async (page) => {
  await begin(page, "Up fail");
  let tries = 0;
  await page.route(/failing/, (route) => (tries++, route.fulfill({ status: 503 })));
  await choose(page, [await makeLarge("failing.bin", 4 * MB)]);
  const failed = panel(page).locator('[data-state="failed"]').getByText("The server has a problem");
  while (!(await failed.isVisible())) await page.evaluate(() => dispatchEvent(new Event("online"))); // which is when nobody waits longer
  assert.ok(tries > 3, `${tries} tries`);
  // What an attempt sends once more is no progress. (An answer of this test's own comes before anything is sent.)
  const attempts = await page.evaluate(async () => {
    const { Item } = await import(document.querySelector("script[type=module]").src.replace("app.js", "upload_item.js"));
    const item = new Item({ noteProgress: (one, sent) => (one.sent = sent) }, "/", { path: "a.txt" });
    item.progress(5);
    Object.assign(item, { sent: 0, attempts: 1 }); // it has failed
    item.progress(5);
    return item.attempts;
  });
  assert.equal(attempts, 1);
}, { expected: /status of 503/ });

scenario("upload: the keyboard finds the rows in their order, and a row that goes leaves it in the list", async (page) => {
  await begin(page, "Up order");
  await page.route(/refused/, (route) => route.fulfill({ status: 403 }));
  await choose(page, [await makeSmall("a.txt", "a"), await makeSmall("b.txt", "b"), await makeSmall("refused.txt", "c"), await makeSmall("refused 2.txt", "d")]);
  await done(page, "2 items failed");
  const rows = () => panel(page).getByRole("listitem").evaluateAll((all) => all.map((one) => [one.querySelector("bdi").innerText, one.getBoundingClientRect().top]));
  await until(["refused.txt", "refused 2.txt", "b.txt", "a.txt"].sort().join(), async () => (await rows()).map(([name]) => name).sort().join());
  const tops = (await rows()).map(([, top]) => top);
  assert.deepEqual(tops, tops.toSorted((a, b) => a - b));
  const dismiss = panel(page).getByRole("button", { name: "Dismiss" });
  await dismiss.first().focus();
  await page.keyboard.press("Enter");
  await until(1, () => dismiss.count());
  assert.equal(await page.evaluate(() => document.activeElement.id), "uploads-list");
  await page.keyboard.press("Tab");
  assert.ok(await page.evaluate(() => document.activeElement.closest("#uploads-list li") !== null));
}, { expected: /status of 403/ });

scenario("upload: the last part sent twice by the browser", async (page, context) => {
  await begin(page, "Up twice");
  const large = await makeLarge("twice.bin", 9 * MB);
  const bytes = await readFile(large);
  const answers = [];
  page.on("response", (response) => response.request().method() === "PATCH" && answers.push(response.status()));
  await page.route("**/.fastfile/upload/*", async (route) => {
    const request = route.request();
    if (request.method() !== "PATCH") return route.continue();
    const send = () => context.request.fetch(request.url(), { method: "PATCH", headers: request.headers(), data: bytes });
    assert.equal((await send()).status(), 201);
    return route.fulfill({ response: await send() });
  });
  await choose(page, [large]);
  await done(page, "1 item uploaded");
  assert.deepEqual(answers, [400]);
  await assertStored("Up twice/twice.bin", large);
}, { expected: /status of 400/ });

scenario("upload: another program has locked the name", async (page, context) => {
  await begin(page, "Up locked");
  const body = '<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>';
  const lock = await context.request.fetch(`${origin}/Up locked/x.txt`, { method: "LOCK", data: body, headers: { "Content-Type": "application/xml" } });
  assert.equal(lock.status(), 201);
  await choose(page, [await makeSmall("x.txt", "x"), await makeSmall("y.txt", "y")]);
  await answer(page, "Replace"); // the lock has made an empty file
  await failure(page, "Another program has locked this name.");
  assert.equal(await content("Up locked/y.txt"), "y");
}, { expected: /status of (412|423)/ });

scenario("upload: what a proxy finds too large for one request goes in parts", async (page) => {
  await begin(page, "Up proxy");
  const file = await makeLarge("proxied.bin", 3 * MB, MB / 4);
  const began = offsets(page);
  await page.route(/proxied/, (route) => {
    const isWhole = route.request().method() === "PUT" && !route.request().headers()["upload-complete"];
    return isWhole ? route.fulfill({ status: 413 }) : route.continue();
  });
  await choose(page, [file]);
  await done(page);
  assert.deepEqual(began, [0, 1.5 * MB]);
  await assertStored("Up proxy/proxied.bin", file);
}, { expected: /status of 413/ });

scenario("upload: waits until one has logged in again", async (page, context) => {
  await begin(page, "Up session");
  const large = await makeLarge("session.bin", 30 * MB);
  await page.evaluate(async () => {
    const { whenLoggedOut } = await import(document.querySelector("script[type=module]").src.replace("app.js", "api.js"));
    whenLoggedOut(() => new Promise((resolve) => (globalThis.loggedInAgain = resolve)));
  });
  const held = lane.holdAfter(10 * MB);
  await choose(page, [large, await makeSmall("small.txt", "small")]);
  await held;
  const cookies = await context.cookies();
  await context.clearCookies();
  lane.cut();
  await shows(title(page, "Log in to go on"));
  await context.addCookies(cookies);
  await page.evaluate(() => globalThis.loggedInAgain());
  await done(page, "2 items uploaded");
  await assertStored("Up session/session.bin", large);
}, { ...lossy, expected: /net::ERR|status of (401|409)/ });

scenario("upload: who does not want to log in now is asked once, and loses nothing", async (page, context) => {
  await begin(page, "Up not now");
  const names = Array.from({ length: 12 }, (_, at) => `n${at}.txt`);
  const files = await Promise.all(names.map((name) => makeSmall(name, name)));
  const cookies = await context.cookies();
  await context.clearCookies();
  await choose(page, files);
  await page.getByRole("dialog").getByRole("button", { name: "Not now" }).click();
  await shows(title(page, "Paused"));
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await context.addCookies(cookies);
  await press(page, "Resume all");
  await done(page, "12 items uploaded");
  assert.deepEqual((await readdir(stored("Up not now"))).sort(), names.sort());
}, { expected: /status of 401/ });

scenario("upload: a file that changes on the device meanwhile is not sent half old, half new", async (page) => {
  await begin(page, "Up changed");
  const large = await makeLarge("changed.bin", 40 * MB);
  const held = lane.holdAfter(10 * MB);
  await choose(page, [large]);
  await held;
  await press(page, "Pause all");
  await title(page, "Paused").waitFor();
  await writeFile(large, "another one");
  await press(page, "Resume all");
  await failure(page, "This file was changed, moved or removed on your device.");
  assert.deepEqual(await readdir(stored("Up changed")), []);
}, lossy);

// --- what it looks like ---

for (const [look, options] of looks)
  scenario(`upload: ${look}: every state in view`, async (page) => {
    const shoot = async (name) => {
      await screenshot(page, `${look}-upload-${name}`, {});
      assert.ok(await fits(page), name);
    };
    const unfold = async () => {
      const button = panel(page).getByRole("button", { name: "Show all uploads" });
      if (await button.isVisible()) await button.click();
    };
    await begin(page, "Up look", { files: { "Pictures/": null, "report.pdf": "old", "no/": null } });
    await chmod(stored("Up look/no"), 0o555);
    if (!options.isMobile) {
      await dragAndDrop(page, [], row(page, "Pictures"), ["dragEnter", "dragOver"]);
      await dragAndDrop(page, [await makeSmall("x.txt", "x")], row(page, "Pictures"), ["dragEnter", "dragOver"]);
      await shoot("drop");
    }
    const held = lane.holdAfter(10 * MB);
    const small = await Promise.all(Array.from({ length: 9 }, (_, at) => makeSmall(`IMG_20260${at}.jpg`, "x".repeat(50_000))));
    await choose(page, [await makeLarge("A film with a rather long name, from the holidays (director's cut).mkv", 40 * MB), await makeSmall("report.pdf", "new"), ...small]);
    await held;
    await page.getByRole("dialog").waitFor();
    await shoot("conflict");
    await answer(page, "Skip");
    await shoot("busy-first");
    await unfold();
    await shoot("busy");
    await press(page, "Pause all");
    await title(page, "Paused").waitFor();
    await shoot("paused");
    const heldAgain = lane.holdAfter(5 * MB);
    await press(page, "Resume all");
    await heldAgain;
    page.once("dialog", (dialog) => dialog.accept());
    await page.reload();
    await title(page, /interrupted/).waitFor();
    await unfold();
    await shoot("interrupted");
    await press(page, "Close");
    await panel(page).waitFor({ state: "hidden" });
    await page.goto(`${origin}/Up look/no/`);
    await ready(page);
    await choose(page, [small[0], small[1]]);
    await done(page, "2 items failed");
    await unfold();
    await shoot("failed");
    await rm(stored("Up look"), { recursive: true });
  }, { ...options, ...lossy, expected: /net::ERR|status of (403|409|412)/ });

// --- much at once ---

scenario("upload: 2,000 files and one of 2 GiB, with two cuts of the connection", async (page) => {
  await begin(page, "Up much");
  const many = path.join(here, "many");
  for (let folder = 0; folder < 20; folder++) {
    await mkdir(path.join(many, `folder ${folder}`), { recursive: true });
    await Promise.all(Array.from({ length: 100 }, (_, at) => writeFile(path.join(many, `folder ${folder}`, `file ${at}.txt`), `${folder}.${at} `.repeat(1 + at * 7))));
  }
  const large = await makeLarge("two.gib", 2 ** 31, 64 * MB);
  const began = offsets(page);
  const first = lane.cutAfter(500 * MB);
  await dragAndDrop(page, [many, large]);
  await first;
  await lane.cutAfter(700 * MB);
  assert.ok((await panel(page).getByRole("listitem").count()) < 50, "all rows are in the document");
  await done(page, "2,001 items uploaded", 180_000);
  assert.ok(began.length >= 22 && began.filter((offset) => offset === 0).length <= 2, `began at ${began}`);
  await assertStored("Up much/two.gib", large);
  assert.deepEqual(await treeOf(stored("Up much/many")), await treeOf(many));
}, { ...lossy, timeout: 240_000 });
