// Making folders, renaming, deleting and downloading. What came of it is looked up on the server's disk.
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { readFile } from "node:fs/promises";
import { accessible } from "./axe.js";
import { answer, dialogOf, drag, has, input, inside, key, latin1, make, notice, on, open, pick, read, see, selected } from "./changing.js";
import { fillIn, fits, looks, origin, row, scenario, screenshot } from "./harness.js";

scenario("a new folder, by the button and by the key; a name that is taken", async (page) => {
  make({ "new/a.txt": "a", "new/b/": null });
  await open(page, "/new/");
  await page.getByRole("button", { name: "New folder" }).click();
  await page.getByLabel("Name", { exact: true }).fill("b");
  await page.keyboard.press("Enter");
  await dialogOf(page).getByText("That name is taken.").waitFor();
  await page.getByLabel("Name", { exact: true }).fill("x/y");
  await dialogOf(page).getByText("slash").waitFor();
  await page.getByLabel("Name", { exact: true }).fill("  Grüße & <i> ");
  await page.keyboard.press("Enter");
  await see(page, ["a.txt", "b", "Grüße & <i>"]);
  assert.deepEqual(await selected(page), ["Grüße & <i>"]);
  assert.ok(fs.statSync(on(latin1("new/Grüße & <i>"))).isDirectory());
  await page.keyboard.press("F7");
  await page.getByLabel("Name", { exact: true }).fill("second");
  fs.mkdirSync(on("new/second")); // meanwhile
  await page.keyboard.press("Enter");
  await dialogOf(page).getByText("That name is taken.").waitFor();
  await page.keyboard.press("Escape");
  await dialogOf(page).waitFor({ state: "detached" });
}, { expected: /status of 405/ });

scenario("renamed where it stands", async (page) => {
  make({ "rename/letter.tar.gz": "1", "rename/other.txt": "2", "rename/folder.d/x": "3" });
  await open(page, "/rename/");
  await pick(page, "letter.tar.gz");
  await page.keyboard.press("F2");
  assert.equal(await page.evaluate(() => getSelection().toString() || document.activeElement.value.slice(document.activeElement.selectionStart, document.activeElement.selectionEnd)), "letter.tar");
  await row(page, "letter.tar.gz").and(page.locator('[draggable="false"]')).waitFor(); // or Firefox puts no cursor where one clicks
  const carried = await input(page).evaluate((node) => {
    const dataTransfer = new DataTransfer();
    node.dispatchEvent(new DragEvent("dragstart", { bubbles: true, dataTransfer }));
    return [...dataTransfer.types];
  });
  assert.deepEqual(carried, []); // words of the name are dragged, not the file
  await page.keyboard.type("report");
  await page.keyboard.press("Escape");
  assert.deepEqual(inside("rename"), ["folder.d", "letter.tar.gz", "other.txt"]);
  await page.keyboard.press("F2"); // the focus is back
  await input(page).fill("other.txt");
  await page.keyboard.press("Enter");
  await page.getByText("That name is taken.").waitFor();
  await input(page).fill(".fastfile-x");
  await page.getByText("The server keeps this name").waitFor();
  await input(page).fill("ü".repeat(128));
  await page.getByText("too long").waitFor();
  await input(page).fill("Letter.tar.gz"); // only another case
  await page.keyboard.press("Enter");
  await see(page, ["folder.d", "Letter.tar.gz", "other.txt"]);
  assert.deepEqual(await selected(page), ["Letter.tar.gz"]);
  assert.equal(read("rename/Letter.tar.gz"), "1");
  // A click elsewhere takes it too; of a folder all of the name is selected.
  await pick(page, "folder.d");
  await page.keyboard.press("F2");
  await page.keyboard.type("new");
  await page.locator("header").click({ position: { x: 5, y: 5 } });
  await see(page, ["new", "Letter.tar.gz", "other.txt"]);
  assert.equal(read("rename/new/x"), "3");
  // What has come meanwhile is not replaced.
  await pick(page, "other.txt");
  await page.keyboard.press("F2");
  fs.writeFileSync(on("rename/late.txt"), "late");
  await input(page).fill("late.txt");
  await page.keyboard.press("Enter");
  await page.getByText("That name is taken.").waitFor();
  await page.keyboard.press("Escape");
  assert.equal(read("rename/late.txt"), "late");
  // What is gone is said to be.
  await page.keyboard.press("F2");
  fs.unlinkSync(on("rename/other.txt"));
  await input(page).fill("another.txt");
  await page.keyboard.press("Enter");
  await notice(page, "not here any more").waitFor();
  await see(page, ["new", "late.txt", "Letter.tar.gz"]);
}, { expected: /status of (412|404)/ });

// --- deleting ---

scenario("deleted for good, after a question that names what goes", async (page) => {
  make({ "delete/a.txt": "a", "delete/b.txt": "b", "delete/c.txt": "c", "delete/d.txt": "d", "delete/folder/x/y": "y" });
  await open(page, "/delete/");
  await pick(page, "folder");
  await key(page, "Delete");
  await dialogOf(page).getByText("Delete “\u2068folder\u2069”?").waitFor();
  await dialogOf(page).getByText("with all that is in it").waitFor();
  await key(page, "Escape");
  await dialogOf(page).waitFor({ state: "detached" });
  assert.ok(has("delete/folder/x/y"));
  await key(page, "Delete");
  await answer(page, "Delete");
  await see(page, ["a.txt", "b.txt", "c.txt", "d.txt"]);
  await key(page, "Control+a");
  await page.getByRole("button", { name: "Delete" }).click();
  await dialogOf(page).getByText("Delete 4 items?").waitFor();
  await dialogOf(page).getByText("and 1 other").waitFor();
  await answer(page, "Delete");
  await page.getByText("This folder is empty").waitFor();
  assert.deepEqual(inside("delete"), []);
});

scenario("what cannot be done is told once, with the reason", async (page, context) => {
  const names = ["1.txt", "2.txt", "3.txt"];
  make({ "fail/fixed/a.txt": "a", "fail/fixed/b.txt": "b", "fail/open.txt": "x", ...Object.fromEntries(names.map((name) => [`fail/${name}`, name])) });
  await open(page, "/fail/");
  // A folder whose files nobody may remove: a part of it stays.
  fs.chmodSync(on("fail/fixed"), 0o555);
  await pick(page, "fixed");
  await key(page, "Delete");
  await answer(page, "Delete");
  const left = await notice(page, "What could not be deleted is still there").innerText();
  assert.match(left, /a\.txt/);
  assert.match(left, /b\.txt/);
  fs.chmodSync(on("fail/fixed"), 0o755);
  // Another program has locked one.
  const lock = '<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockinfo>';
  const locked = await context.request.fetch(`${origin}/fail/open.txt`, { method: "LOCK", data: lock, headers: { Timeout: "Second-60" } });
  assert.equal(locked.status(), 200);
  await pick(page, "open.txt", "1.txt");
  await key(page, "Delete");
  await answer(page, "Delete");
  await notice(page, "1 of 2 were not deleted. Another program").waitFor();
  await see(page, ["2.txt", "3.txt", "fixed", "open.txt"]);
  await context.request.fetch(`${origin}/fail/open.txt`, { method: "UNLOCK", headers: { "Lock-Token": locked.headers()["lock-token"] } });
  await notice(page, "1 of 2 were not deleted").getByRole("button", { name: "Try again" }).click();
  await answer(page, "Delete");
  await see(page, ["2.txt", "3.txt", "fixed"]);
  // No right to change the folder: of several, one notice, and a list.
  fs.chmodSync(on("fail"), 0o555);
  await pick(page, "2.txt", "3.txt");
  await key(page, "Delete");
  await answer(page, "Delete");
  await notice(page, "2 of 2 were not deleted. You are not allowed").getByRole("button", { name: "Details" }).click();
  assert.deepEqual(await dialogOf(page).getByRole("listitem").locator("bdi").allInnerTexts().then((all) => all.sort()), ["2.txt", "3.txt"]);
  await dialogOf(page).getByRole("button", { name: "Close" }).click();
  fs.chmodSync(on("fail"), 0o755);
  // No connection.
  await context.setOffline(true);
  await pick(page, "2.txt");
  await key(page, "F2");
  await input(page).fill("4.txt");
  await key(page, "Enter");
  await notice(page, "keeps its name. There is no connection").waitFor();
  await row(page, "3.txt").waitFor(); // what is seen stays
  await context.setOffline(false);
  assert.deepEqual(inside("fail"), ["2.txt", "3.txt", "fixed"]);
}, { expected: /status of (403|423)|ERR_INTERNET_DISCONNECTED/ });

// --- downloads ---

// {name: content} of a zip archive without compression, as the server makes them.
function unzip(archive) {
  const found = {};
  const end = archive.lastIndexOf(Buffer.from("PK\x05\x06"));
  for (let at = archive.readUInt32LE(end + 16), left = archive.readUInt16LE(end + 10); left > 0; left--) {
    const [nameLength, extraLength] = [archive.readUInt16LE(at + 28), archive.readUInt16LE(at + 30)];
    const [size, local] = [archive.readUInt32LE(at + 20), archive.readUInt32LE(at + 42)];
    const name = archive.toString("latin1", at + 46, at + 46 + nameLength);
    const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
    found[name] = archive.toString("utf8", start, start + size);
    at += 46 + nameLength + extraLength + archive.readUInt16LE(at + 32);
  }
  return found;
}

async function downloaded(page, act) {
  const [download] = await Promise.all([page.waitForEvent("download"), act()]);
  return { name: download.suggestedFilename(), content: await readFile(await download.path()) };
}

scenario("downloads: a file, a folder, a selection", async (page) => {
  const long = "n".repeat(200);
  const many = Array.from({ length: 150 }, (_, at) => `${long}${at}.txt`);
  make({ "load/a & b.txt": "a", "load/x.html": "<p>", "load/\xff.txt": "no text", "load/folder/y.txt": "y", ...Object.fromEntries(many.map((name) => [`load/long/${name}`, name])) });
  await open(page, "/load/");
  const button = () => page.getByRole("button", { name: "Download", exact: true }).click();
  await pick(page, "x.html");
  assert.deepEqual(await downloaded(page, button), { name: "x.html", content: Buffer.from("<p>") });
  await pick(page, "folder");
  const folder = await downloaded(page, button);
  assert.equal(folder.name, "folder.zip");
  assert.deepEqual(unzip(folder.content), { "folder/": "", "folder/y.txt": "y" });
  await pick(page, "a & b.txt", "\ufffd.txt", "folder");
  const selection = await downloaded(page, button);
  assert.equal(selection.name, "load.zip");
  assert.deepEqual(unzip(selection.content), { "a & b.txt": "a", "\xff.txt": "no text", "folder/": "", "folder/y.txt": "y" });
  await row(page, "long").getByRole("link").click();
  await row(page, many[0]).waitFor();
  await key(page, "Control+a");
  await row(page, many[0]).locator(".time").click({ modifiers: ["Control"] });
  const rest = unzip((await downloaded(page, button)).content);
  assert.deepEqual(Object.keys(rest).sort(), many.slice(1).sort());
  // One that is gone is said to be.
  fs.unlinkSync(on(`load/long/${many[1]}`));
  await pick(page, many[1]);
  await button();
  await notice(page, "not here any more").waitFor();
}, { expected: /status of 404/ });

scenario("who may only read is offered downloads and nothing else", async (page) => {
  make({ "reader/a.txt": "a", "reader/to/": null });
  await page.goto(`${origin}/reader/`);
  await fillIn(page, "builder", "bob");
  await page.waitForURL(`${origin}/reader/`, { waitUntil: "domcontentloaded" });
  await row(page, "a.txt").getByRole("button", { name: /What to do/ }).click();
  assert.deepEqual((await page.getByRole("menuitem").allInnerTexts()).map((label) => label.split("\n")[0]), ["Open", "Download"]);
  await key(page, "Escape");
  assert.equal(await page.getByRole("button", { name: "New folder" }).count(), 0);
  for (const one of ["F2", "F7", "Delete", "Control+x", "Control+c", "Control+v"]) await key(page, one);
  assert.ok(!(await drag(page, row(page, "a.txt").getByRole("link"), row(page, "to").getByRole("link"))));
  assert.equal(await page.locator("dialog, .rename, .cut").count(), 0);
  assert.deepEqual([inside("reader"), inside("reader/to")], [["a.txt", "to"], []]);
});

// --- how it looks ---

for (const [look, options] of looks)
  scenario(`${look}: changing looks right`, async (page) => {
    const base = `look ${look}`;
    make({ [`${base}/Holiday pictures/Beach/`]: null, [`${base}/Documents/report.pdf`]: "x".repeat(30_000), [`${base}/Archive/`]: null, [`${base}/letter to grandmother.odt`]: "x".repeat(2345), [`${base}/report.pdf`]: "x".repeat(45_678), [`${base}/song.mp3`]: "x".repeat(99_999) });
    await open(page, `/${encodeURIComponent(base)}/`);
    const act = async (name, label) => {
      await row(page, name).getByRole("button", { name: /What to do/ }).click();
      await page.getByRole("menuitem", { name: label }).click();
    };
    const picture = async (name) => {
      await screenshot(page, `change-${look}-${name}`, {});
      if (["taken", "choose"].includes(name)) await accessible(page); // a second each
    };
    await row(page, "report.pdf").getByRole("button", { name: /What to do/ }).click();
    await picture("menu");
    await page.getByRole("menuitem", { name: "Rename" }).click();
    await picture("rename");
    await input(page).fill("song.mp3");
    if (look.startsWith("desktop")) await key(page, "Enter");
    await page.getByText("That name is taken.").waitFor();
    await picture("taken");
    await key(page, "Escape");
    await act("report.pdf", "Move to…");
    await dialogOf(page).getByRole("button", { name: "Documents" }).waitFor();
    await picture("choose");
    await dialogOf(page).getByRole("button", { name: "Documents" }).click();
    await dialogOf(page).getByText("no folders").waitFor();
    await dialogOf(page).getByRole("button", { name: "Move here" }).click();
    await dialogOf(page).getByText("already in").waitFor();
    await picture("conflict");
    await answer(page, "Keep both");
    await notice(page, "Moved").waitFor();
    await act("song.mp3", "Cut");
    await act("Archive", "Delete");
    await picture("delete");
    await key(page, "Escape");
    fs.chmodSync(on(base), 0o555);
    await act("letter to grandmother.odt", "Delete");
    await answer(page, "Delete");
    await notice(page, "not allowed").waitFor();
    await picture("failed");
    fs.chmodSync(on(base), 0o755);
    if (look.startsWith("desktop")) {
      const { x, y } = await row(page, "song.mp3").getByRole("link").boundingBox();
      await page.mouse.move(x + 20, y + 10);
      await page.mouse.down();
      const to = await row(page, "Documents").boundingBox();
      await page.mouse.move(to.x + 60, to.y + 20, { steps: 4 });
      await page.mouse.move(to.x + 60, to.y + 22);
      await picture("drag");
      await page.mouse.up();
      await page.getByRole("button", { name: "Show as tiles" }).click();
      await act("letter to grandmother.odt", "Rename");
      await input(page).fill("Archive");
      await picture("rename-tile");
      await key(page, "Escape");
    }
    assert.ok(await fits(page));
  }, { ...options, expected: /status of (403|412)/ });
