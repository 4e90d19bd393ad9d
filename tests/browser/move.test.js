// Moving and copying by all ways, taking deletions back, and names of all kinds. What came of it is looked up on the server's disk.
import assert from "node:assert/strict";
import * as fs from "node:fs";
import path from "node:path";
import { answer, dialogOf, drag, has, input, inside, key, latin1, make, notice, on, open, pick, read, see, selected, text, TRASH_FOLDER, until } from "./changing.js";
import { origin, phone, ready, row, scenario, TRASH_URL } from "./harness.js";

scenario("cut, and pasted in another folder; copied, and pasted beside", async (page) => {
  make({ "paste/a.txt": "a", "paste/b.txt": "b", "paste/c.txt": "c", "paste/to/": null });
  await open(page, "/paste/");
  await pick(page, "a.txt", "b.txt");
  await key(page, "Control+x");
  assert.equal(await page.locator(".row.cut").count(), 2);
  await row(page, "to").getByRole("link").click();
  await page.waitForURL(`${origin}/paste/to/`, { waitUntil: "domcontentloaded" });
  await see(page, []);
  await key(page, "Control+v");
  await see(page, ["a.txt", "b.txt"]);
  assert.deepEqual(await selected(page), ["a.txt", "b.txt"]);
  assert.deepEqual([inside("paste"), inside("paste/to")], [["c.txt", "to"], ["a.txt", "b.txt"]]);
  // Back again, by the notice.
  await notice(page, "Moved 2 items to").getByRole("button", { name: "Undo" }).click();
  await see(page, []);
  assert.deepEqual([inside("paste"), inside("paste/to")], [["a.txt", "b.txt", "c.txt", "to"], []]);
  await page.evaluate(() => history.back());
  await see(page, ["a.txt", "b.txt", "c.txt", "to"]);
  // A copy beside gets another name, and the next one another again.
  await pick(page, "c.txt");
  await key(page, "Control+c");
  await key(page, "Control+v");
  await see(page, ["a.txt", "b.txt", "c.txt", "c (2).txt", "to"]);
  assert.deepEqual(await selected(page), ["c (2).txt"]);
  await page.getByRole("button", { name: "Paste" }).click();
  await see(page, ["a.txt", "b.txt", "c.txt", "c (2).txt", "c (3).txt", "to"]);
  assert.equal(read("paste/c (3).txt"), "c");
  // A folder does not go into itself.
  await pick(page, "to");
  await key(page, "Control+x");
  await row(page, "to").getByRole("link").click();
  await see(page, []);
  await key(page, "Control+v");
  await notice(page, "A folder cannot go into itself").waitFor();
});

scenario("names that are taken: skipped, both kept, replaced, for all", async (page) => {
  make({ "taken/a.txt": "new a", "taken/b.txt": "new b", "taken/c.txt": "new c", "taken/f/new": "1", "taken/to/a.txt": "old a", "taken/to/b.txt": "old b", "taken/to/c.txt": "old c", "taken/to/f/old": "2" });
  await open(page, "/taken/");
  const move = async (...names) => {
    await pick(page, ...names);
    await key(page, "Control+x");
    await row(page, "to").getByRole("link").click();
    await row(page, "to").waitFor({ state: "hidden" });
    await ready(page);
    await key(page, "Control+v");
    await dialogOf(page).getByText("already in").waitFor();
  };
  const home = async () => {
    await page.locator("nav").getByRole("link", { name: "taken" }).click();
    await row(page, "to").waitFor();
  };
  await move("a.txt");
  assert.equal(await dialogOf(page).getByRole("checkbox").count(), 0);
  await answer(page, "Replace");
  await until(() => !has("taken/a.txt"), "a.txt has moved");
  assert.equal(read("taken/to/a.txt"), "new a");
  await home();
  await move("b.txt", "c.txt");
  await dialogOf(page).getByLabel("Do this for all").check();
  await answer(page, "Keep both");
  await see(page, ["f", "a.txt", "b.txt", "b (2).txt", "c.txt", "c (2).txt"]);
  assert.deepEqual([read("taken/to/b.txt"), read("taken/to/b (2).txt")], ["old b", "new b"]);
  await home();
  await move("f");
  await dialogOf(page).getByText("remove all that is in it").waitFor();
  await answer(page, "Skip");
  await dialogOf(page).waitFor({ state: "detached" });
  assert.deepEqual([inside("taken/f"), inside("taken/to/f")], [["new"], ["old"]]);
  await home();
  await move("f");
  await answer(page, "Cancel");
  await notice(page, "Stopped").waitFor();
  await home();
  await move("f");
  await answer(page, "Replace");
  await until(() => !has("taken/f"), "the folder has moved");
  assert.deepEqual(inside("taken/to/f"), ["new"]);
}, { expected: /status of 412/ });

scenario("a file is replaced whose name the folder's begins with", async (page) => {
  make({ "within/a": "old", "within/ab/a": "new" });
  await open(page, "/within/ab/");
  await pick(page, "a");
  await key(page, "Control+x");
  await page.locator("nav").getByRole("link", { name: "within" }).click();
  await row(page, "ab").waitFor();
  await key(page, "Control+v");
  await answer(page, "Replace");
  await until(() => inside("within/ab").length === 0, "it has moved");
  assert.equal(read("within/a"), "new");
}, { expected: /status of 412/ });

scenario("what one has selected meanwhile stays selected", async (page) => {
  make({ "meanwhile/a.txt": "a", "meanwhile/b.txt": "b" });
  await open(page, "/meanwhile/");
  let goOn;
  const waiting = new Promise((resolve) => (goOn = resolve));
  await page.route("**/meanwhile/a.txt", async (route) => {
    if (route.request().method() === "COPY") await waiting;
    await route.continue();
  });
  await pick(page, "a.txt");
  await key(page, "Control+c");
  await key(page, "Control+v");
  await pick(page, "b.txt");
  goOn();
  await see(page, ["a.txt", "a (2).txt", "b.txt"]);
  await notice(page, "Copied").waitFor();
  assert.deepEqual(await selected(page), ["b.txt"]);
});

scenario("what has changed since it was seen is neither deleted nor replaced", async (page) => {
  make({ "seen/a.txt": "one", "seen/to/b.txt": "two", "seen/b.txt": "mine" });
  await open(page, "/seen/");
  await see(page, ["to", "a.txt", "b.txt"]);
  fs.writeFileSync(on("seen/a.txt"), "another program's");
  await pick(page, "a.txt");
  await key(page, "Delete");
  await answer(page, "Delete");
  await notice(page, "Somebody else has changed").waitFor();
  assert.equal(read("seen/a.txt"), "another program's");
  await pick(page, "b.txt");
  await key(page, "Control+c");
  await row(page, "to").getByRole("link").click();
  await page.waitForURL(`${origin}/seen/to/`, { waitUntil: "domcontentloaded" });
  await key(page, "Control+v");
  await dialogOf(page).getByText("already in").waitFor();
  fs.writeFileSync(on("seen/to/b.txt"), "another program's");
  await answer(page, "Replace");
  await notice(page, "has changed in the meantime").waitFor();
  assert.equal(read("seen/to/b.txt"), "another program's");
}, { expected: /status of 412/ });

scenario("dragged onto a folder, onto the path, with Control a copy", async (page) => {
  make({ "drag/a.txt": "a", "drag/b.txt": "b", "drag/c.txt": "c", "drag/to/": null, "drag/from/": null });
  await open(page, "/drag/");
  const name = (one) => row(page, one).getByRole("link");
  await pick(page, "a.txt", "b.txt");
  assert.ok(await drag(page, name("a.txt"), name("to")));
  await see(page, ["from", "to", "c.txt"]);
  assert.deepEqual(inside("drag/to"), ["a.txt", "b.txt"]);
  assert.ok(await drag(page, name("c.txt"), name("to"), { modifier: "Control" }));
  await notice(page, "Copied").waitFor();
  assert.deepEqual([inside("drag"), inside("drag/to")], [["c.txt", "from", "to"], ["a.txt", "b.txt", "c.txt"]]);
  assert.ok(await drag(page, name("to"), name("from")));
  await see(page, ["from", "c.txt"]);
  assert.deepEqual(inside("drag/from/to"), ["a.txt", "b.txt", "c.txt"]);
  // Not onto a file, not onto itself.
  assert.ok(!(await drag(page, name("from"), name("c.txt"))));
  await pick(page, "from", "c.txt");
  assert.ok(!(await drag(page, name("c.txt"), name("from")))); // with it
  await name("from").click();
  await page.waitForURL(`${origin}/drag/from/`, { waitUntil: "domcontentloaded" });
  assert.ok(!(await drag(page, name("to"), page.locator("nav").getByRole("link", { name: "from" })))); // where it is
  assert.ok(await drag(page, name("to"), page.locator("nav").getByRole("link", { name: "drag" })));
  await see(page, []);
  assert.deepEqual(inside("drag"), ["c.txt", "from", "to"]);
  // What another page says of itself is nothing to rely on.
  for (const told of ["no JSON", "null", `{"origin": "${origin}", "entries": 5}`, `{"origin": "${origin}", "entries": [null]}`])
    await page.evaluate((data) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.setData("application/x-fastfile", data);
      document.querySelector("main").dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
    }, told);
});

scenario("moved into a folder that is chosen, by finger", async (page) => {
  make({ "choose/a.txt": "a", "choose/sub/deep/": null, "choose/other/": null });
  await open(page, "/choose/");
  await row(page, "a.txt").getByRole("button", { name: /What to do/ }).tap();
  await page.getByRole("menuitem", { name: "Move to…" }).tap();
  const dialog = dialogOf(page);
  assert.ok(await dialog.getByRole("button", { name: "Move here" }).isDisabled()); // it is there
  await dialog.getByRole("button", { name: "sub" }).tap();
  await dialog.getByRole("button", { name: "deep" }).tap();
  await dialog.getByText("no folders").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.innerText), "deep"); // in the path
  await dialog.getByRole("navigation").getByRole("button", { name: "sub" }).tap();
  await dialog.getByRole("button", { name: "Move here" }).tap();
  await see(page, ["other", "sub"]);
  assert.deepEqual(inside("choose/sub"), ["a.txt", "deep"]);
  await row(page, "sub").getByRole("button", { name: /What to do/ }).tap();
  await page.getByRole("menuitem", { name: "Copy to…" }).tap();
  await dialog.getByRole("button", { name: "other" }).tap();
  await dialog.getByRole("button", { name: "Copy here" }).tap();
  await notice(page, "Copied").getByRole("button", { name: "Show" }).tap();
  await see(page, ["sub"]);
  assert.deepEqual(inside("choose/other/sub"), ["a.txt", "deep"]);
  await row(page, "sub").getByRole("button", { name: /What to do/ }).tap();
  await page.getByRole("menuitem", { name: "Rename" }).tap();
  await dialog.getByLabel("New name").fill("renamed");
  await dialog.getByRole("button", { name: "Rename" }).tap();
  await see(page, ["renamed"]);
}, phone);

scenario("many are moved a few at a time, and can be stopped", async (page, context) => {
  const names = Array.from({ length: 40 }, (_, at) => `${100 + at}.txt`);
  make({ "many/to/": null, ...Object.fromEntries(names.map((name) => [`many/${name}`, name])) });
  await open(page, "/many/");
  let waiting = [];
  let most = 0;
  await context.route("**/many/*.txt", async (route) => {
    await new Promise((go) => (most = Math.max(most, waiting.push(go))));
    await route.continue();
  });
  const goOn = () => waiting.splice(0).forEach((go) => go());
  await key(page, "Control+a");
  await row(page, "to").locator(".time").click({ modifiers: ["Control"] });
  await drag(page, row(page, "100.txt").getByRole("link"), row(page, "to").getByRole("link"));
  await notice(page, "Moving 0 of 40").waitFor();
  while (!(await notice(page, /Moving (\d\d) of 40/).isVisible())) {
    goOn();
    await page.waitForTimeout(10);
  }
  await notice(page, "Moving").getByRole("button", { name: "Stop" }).click();
  const going = setInterval(goOn, 10);
  await notice(page, "Stopped").waitFor();
  clearInterval(going);
  await context.unroute("**/many/*.txt");
  const moved = inside("many/to").length;
  assert.ok(moved >= 10 && moved < 40 && most === 3, `${moved} moved, ${most} at once`);
  assert.equal(inside("many").length, 41 - moved);
  await page.locator(`[role="grid"][aria-rowcount="${inside("many").length + 1}"]`).waitFor();
});

// --- the trash, and names of all kinds ---

const inTrash = (page, target) => open(page, target, TRASH_URL);
const makeThere = (files) => make(files, TRASH_FOLDER);
const there = (name) => inside(name, TRASH_FOLDER);

scenario("deleted at once, and brought back: by the notice, and by Ctrl+Z", async (page) => {
  makeThere({ "undo/a.txt": "a", "undo/b.txt": "b", "undo/folder/x/y": "y" });
  await inTrash(page, "/undo/");
  await pick(page, "a.txt");
  await key(page, "Delete");
  await see(page, ["folder", "b.txt"]);
  await notice(page, "Moved “\u2068a.txt\u2069” to the trash").getByRole("button", { name: "Undo" }).click();
  await see(page, ["folder", "a.txt", "b.txt"]);
  assert.deepEqual(await selected(page), ["a.txt"]);
  await key(page, "Control+a");
  await key(page, "Delete");
  await page.getByText("This folder is empty").waitFor();
  assert.deepEqual(there("undo"), []);
  await notice(page, "Moved 3 items to the trash").waitFor();
  await key(page, "Control+z");
  await see(page, ["folder", "a.txt", "b.txt"]);
  assert.deepEqual(there("undo/folder/x"), ["y"]);
  await notice(page, "to the trash").waitFor({ state: "detached" });
  // What has its name now is not replaced.
  await pick(page, "a.txt", "b.txt");
  await key(page, "Delete");
  await see(page, ["folder"]);
  makeThere({ "undo/a.txt": "another" });
  await notice(page, "to the trash").getByRole("button", { name: "Undo" }).click();
  await notice(page, "1 of 2 were not put back. Something else has its name now").waitFor();
  await see(page, ["folder", "a.txt", "b.txt"]);
  assert.equal(read("undo/a.txt", TRASH_FOLDER), "another");
}, { expected: /status of 409/ });

scenario("what takes long to be put back is named; what lies in a trash is gone for good", async (page) => {
  makeThere({ "slow/a.txt": "a", "Trash/files/b.txt": "b" });
  await inTrash(page, "/slow/");
  let goOn;
  const waiting = new Promise((resolve) => (goOn = resolve));
  await page.route("**/.fastfile/restore", async (route) => {
    await waiting;
    await route.continue();
  });
  await pick(page, "a.txt");
  await key(page, "Delete");
  await notice(page, "to the trash").waitFor();
  await key(page, "Control+z");
  await notice(page, "Putting back “\u2068a.txt\u2069”").waitFor();
  goOn();
  await see(page, ["a.txt"]);
  await inTrash(page, "/Trash/files/");
  await pick(page, "b.txt");
  await key(page, "Delete");
  await dialogOf(page).getByText("gone for good").waitFor();
  await key(page, "Escape");
  await dialogOf(page).waitFor({ state: "detached" });
  assert.deepEqual(there("Trash/files"), ["b.txt"]);
});

scenario("what is replaced goes to the trash", async (page) => {
  makeThere({ "replace/f/new": "1", "replace/to/f/old": "2" });
  await inTrash(page, "/replace/");
  await pick(page, "f");
  await key(page, "Control+x");
  await row(page, "to").getByRole("link").click();
  await row(page, "to").waitFor({ state: "hidden" });
  await ready(page);
  await key(page, "Control+v");
  await answer(page, "Replace");
  await until(() => there("replace").length === 1, "it has moved");
  assert.deepEqual(there("replace/to/f"), ["new"]);
  const trashed = path.join(TRASH_FOLDER, "../home/.local/share/Trash/files");
  assert.ok(fs.readdirSync(trashed).some((name) => fs.existsSync(path.join(trashed, name, "old"))));
}, { expected: /status of 412/ });

scenario("what is no name, and names that are free", async (page) => {
  await open(page, "/");
  const href = await page.locator('link[rel="modulepreload"][href$="/names.js"]').getAttribute("href");
  const problem = (name) => page.evaluate(async ([url, one]) => (await import(url)).nameProblem(one), [href, name]);
  for (const name of ["", "a/b", "/", ".", "..", "a\nb", "\x7f", "\ud800", ".fastfile", ".FastFile-x", ".fastfile. ", "ü".repeat(128)]) assert.notEqual(await problem(name), "", name);
  for (const name of ["a", "...", ".fastfiles", " ", "ü".repeat(127), "👩🏽‍🚀", "a\\b"]) assert.equal(await problem(name), "", name);

  const free = (segment, isFolder, ...taken) => page.evaluate(async ([url, one, folder, others]) => (await import(url)).freeSegment(one, folder, (other) => others.includes(other)), [href, segment, isFolder, taken]);
  assert.equal(await free("a.txt", false), "a%20(2).txt");
  assert.equal(await free("a.txt", false, "a%20(2).txt", "a%20(3).txt"), "a%20(4).txt");
  assert.equal(await free("a%20(2).txt", false), "a%20(3).txt");
  assert.equal(await free("a.b", true), "a.b%20(2)");
  assert.equal(await free(".profile", false), ".profile%20(2)");
  assert.equal(await free("%FF.txt", false), "%FF%20(2).txt");
  assert.equal(await free("%C3%BC".repeat(125) + "a.txt", false), "%C3%BC".repeat(123) + "%20(2).txt"); // no half of a letter
  assert.equal(await free("a." + "x".repeat(253), false), "a." + "x".repeat(249) + "%20(2)");
});

scenario("names of all kinds: copied, deleted, put back, moved, renamed", async (page) => {
  const names = [
    `"it's" <b>&amp; <script>`, "100%25 #1? a+b;c=d", "👩🏽‍🚀 🏳️‍🌈", "ملف\u202egpj.txt", " two  blanks ", "ü".repeat(125) + "a.txt", "a\\b", "a\nb.txt",
  ].map(latin1).concat("\xff\xfe \x80.txt");
  const sorted = [...names].sort();
  const contents = (folder) => there(folder).filter((name) => name !== "to").map((name) => read(`${folder}/${name}`, TRASH_FOLDER)).sort();
  makeThere({ "odd/to/": null, ...Object.fromEntries(names.map((name) => [`odd/${name}`, name])) }); // what is in it says what it was called
  await inTrash(page, "/odd/");
  const allFiles = async () => {
    await key(page, "Control+a");
    await row(page, "to").locator(".time").click({ modifiers: ["Control"] });
  };
  // Copied beside, which makes names from them, and the copies deleted.
  await allFiles();
  await key(page, "Control+c");
  await key(page, "Control+v");
  await notice(page, `Copied ${names.length} items`).waitFor();
  assert.equal(there("odd").length, 2 * names.length + 1);
  assert.deepEqual(contents("odd"), [...names, ...names].sort());
  await key(page, "Delete");
  await notice(page, "to the trash").waitFor();
  assert.deepEqual(there("odd"), [...names, "to"].sort());
  // Deleted, and put back.
  await allFiles();
  await key(page, "Delete");
  await notice(page, "to the trash").nth(1).waitFor();
  assert.deepEqual(there("odd"), ["to"]);
  await key(page, "Control+z");
  await until(() => there("odd").length === names.length + 1, "all are put back");
  assert.deepEqual([there("odd"), contents("odd")], [[...names, "to"].sort(), sorted]);
  // Moved.
  await page.locator('[role="grid"][aria-rowcount="11"]').waitFor();
  await drag(page, page.locator('.row[aria-selected="true"]').first().getByRole("link"), row(page, "to").getByRole("link"));
  await notice(page, `Moved ${names.length} items to “\u2068to\u2069”`).waitFor();
  assert.deepEqual([there("odd/to"), contents("odd/to")], [sorted, sorted]);
  // Renamed, and back again where it can be typed.
  await row(page, "to").getByRole("link").click();
  await row(page, "to").waitFor({ state: "hidden" });
  await ready(page);
  // Nobody has changed anything.
  for (const shown of ["a\ufffdb.txt", /two\s+blanks/]) {
    await page.locator(".rows .row").filter({ hasText: shown }).locator(".time").click();
    await key(page, "F2");
    await key(page, "Enter");
    await input(page).waitFor({ state: "detached" });
    await key(page, "F2");
    await page.locator("header").click({ position: { x: 5, y: 5 } });
    await input(page).waitFor({ state: "detached" });
  }
  assert.deepEqual(there("odd/to"), sorted);
  const rename = async (one, name) => {
    await one.locator(".time").click();
    await key(page, "F2");
    await input(page).fill(name);
    await key(page, "Enter");
    await input(page).waitFor({ state: "detached" });
  };
  const plain = names.map((_, at) => `plain ${at}`);
  const others = page.locator(".rows .row").filter({ hasNot: page.getByRole("link", { name: /^plain/ }) });
  for (const name of plain) await rename(others.first(), name);
  assert.deepEqual([there("odd/to"), contents("odd/to")], [plain, sorted]);
  for (const name of plain) {
    const before = text(read(`odd/to/${name}`, TRASH_FOLDER));
    if (!/[\ufffd\n]|^ /.test(before)) await rename(row(page, name), before);
  }
  assert.deepEqual(there("odd/to").filter((name) => !plain.includes(name)), sorted.filter((name) => !/[\ufffd\n]|^ /.test(text(name))));
});
