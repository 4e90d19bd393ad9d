// Walking around in the file manager: opening, sorting, filtering, selecting, by mouse, keyboard and finger.
import assert from "node:assert/strict";
import { accessible } from "./axe.js";
import { make, open as openAs, TRASH_FOLDER } from "./changing.js";
import { back, fillIn, fits, heading, logIn, looks, makeFiles, names, origin, phone, ready, row, scenario, screenshot, TRASH_URL, until } from "./harness.js";

const link = (page, name) => row(page, name).getByRole("link");
const selected = (page) => page.locator('.rows .row[aria-selected="true"] a').allInnerTexts();
const focused = (page) => page.evaluate(() => document.activeElement.querySelector("a")?.innerText);
const shown = (page, name) => page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
const filter = (page) => page.getByRole("searchbox");

// A key, again and again.
async function press(page, ...keys) {
  for (const key of keys) await page.keyboard.press(key);
}

// Has the folder asked for again, as when the tab is looked at again.
const lookAgain = (page) => page.evaluate(() => document.dispatchEvent(new Event("visibilitychange", { bubbles: true })));

// Holds the next answer to a request; returns what lets it go.
async function hold(page, address) {
  let release;
  const held = new Promise((resolve) => (release = resolve));
  const go = async (route) => {
    await held;
    await route.continue().catch(() => {}); // it may have been given up
  };
  await page.route(address, go, { times: 1 });
  return release;
}

async function open(page, target) {
  await logIn(page, target);
  await ready(page);
}

scenario("into folders by clicking, and back and forward", async (page) => {
  await open(page, "/");
  const documents = await page.evaluate(() => (window.mark = document));
  await link(page, "Documents").click();
  await page.waitForURL(`${origin}/Documents/`, { waitUntil: "domcontentloaded" });
  await link(page, "Jahresabschluß 2025 & Grüße").click();
  await row(page, "文件.pdf").waitFor();
  assert.equal(await heading(page), "Jahresabschluß 2025 & Grüße");
  assert.deepEqual(await names(page), ["<b>not bold & <i>.txt", "文件.pdf"]);
  assert.equal(await page.title(), "Jahresabschluß 2025 & Grüße");
  await back(page);
  await shown(page, "Documents");
  await page.evaluate(() => history.forward());
  await shown(page, "Jahresabschluß 2025 & Grüße");
  await page.getByRole("navigation").getByRole("link", { name: "Documents" }).click();
  await shown(page, "Documents");
  assert.ok(documents && (await page.evaluate(() => window.mark === document)), "the page was loaded anew");
});

scenario("a link leads deep into a folder, and Back to where one was in it", async (page) => {
  await open(page, "/Many/?sort=name&order=desc");
  assert.equal((await names(page))[0], "file 1200.txt");
  await press(page, "End", "ArrowUp");
  await until("file 2.txt", () => focused(page));
  const before = await page.evaluate(() => scrollY);
  await press(page, "Backspace");
  await shown(page, "Files");
  await until("Many", () => focused(page));
  assert.ok((await page.evaluate(() => scrollY)) < before);
  await back(page);
  await shown(page, "Many");
  await until([before, "file 2.txt"], async () => [await page.evaluate(() => scrollY), await focused(page)]);
});

scenario("Back and Forward lead to where one was, also where the browser does not tell that scrolling has ended", async (page) => {
  await page.addInitScript(() => {
    delete window.onscrollend;
    addEventListener("scrollend", (event) => event.stopImmediatePropagation());
  });
  await open(page, "/");
  await link(page, "Many").click();
  await shown(page, "Many");
  await ready(page);
  await page.evaluate(() => scrollTo(0, 5000));
  await until(5000, () => page.evaluate(() => history.state?.scroll));
  await back(page);
  await shown(page, "Files");
  await page.evaluate(() => history.forward());
  await shown(page, "Many");
  await until(5000, () => page.evaluate(() => scrollY));
});

scenario("sorted by a click on a head; the order stays while one walks around", async (page) => {
  const head = (name) => page.getByRole("columnheader", { name }).getByRole("button");
  await open(page, "/Sorting/");
  const byName = ["file 1.txt", "file 2.txt", "file 10.txt"];
  assert.deepEqual(await names(page), byName);
  await head("Size").click();
  await until(["file 2.txt", "file 10.txt", "file 1.txt"], () => names(page));
  await head("Size").click();
  await until(["file 1.txt", "file 10.txt", "file 2.txt"], () => names(page));
  await head("Modified").click();
  await until(["file 10.txt", "file 1.txt", "file 2.txt"], () => names(page));
  assert.equal(await page.getByRole("columnheader", { name: "Modified" }).getAttribute("aria-sort"), "descending");
  assert.equal(page.url(), `${origin}/Sorting/?sort=time&order=desc`);
  await page.reload();
  await until(["file 10.txt", "file 1.txt", "file 2.txt"], () => names(page));
  await press(page, "Backspace");
  await page.waitForURL(`${origin}/?sort=time&order=desc`, { waitUntil: "domcontentloaded" });
  await link(page, "Sorting").click();
  await until(["file 10.txt", "file 1.txt", "file 2.txt"], () => names(page));
  await head("Name").click();
  await until(byName, () => names(page));
  assert.equal(page.url(), `${origin}/Sorting/`);
});

scenario("filtered by words", async (page) => {
  await open(page, "/Many/");
  await press(page, "/");
  await page.keyboard.type("TXT 119");
  await until(["file 119.txt", "file 1119.txt", ...Array.from({ length: 10 }, (_, at) => `file 119${at}.txt`)], () => names(page));
  await page.getByText("12 files").first().waitFor();
  await press(page, "ArrowDown");
  await until("file 119.txt", () => focused(page));
  await press(page, "Escape", "Escape"); // first the selection, then the filter
  await until("1201", () => page.getByRole("grid").getAttribute("aria-rowcount"));
  assert.equal(await filter(page).inputValue(), "");
  await filter(page).fill("nothing like it");
  await page.getByRole("heading", { name: "No match" }).waitFor();
  await page.getByRole("button", { name: "Clear the filter" }).click();
  await until("1201", () => page.getByRole("grid").getAttribute("aria-rowcount"));
  await press(page, "Escape");
  await press(page, "Backspace");
  await shown(page, "Files");
  await press(page, "/");
  await page.keyboard.type("grü"); // nothing here
  await page.getByRole("heading", { name: "No match" }).waitFor();
  await filter(page).fill("documents");
  await until(["Documents"], () => names(page));
  await press(page, "Enter");
  await shown(page, "Documents");
  assert.equal(await filter(page).inputValue(), "");
});

scenario("the keyboard moves, selects, opens and goes back", async (page) => {
  await open(page, "/");
  const all = await names(page);
  await press(page, "ArrowDown");
  assert.equal(await focused(page), all[0]);
  await press(page, "ArrowDown", "ArrowDown", "ArrowUp");
  assert.equal(await focused(page), all[1]);
  await until([all[1]], () => selected(page));
  await press(page, "Shift+ArrowDown", "Shift+ArrowDown");
  await until(all.slice(1, 4), () => selected(page));
  await press(page, "Control+ArrowDown", "Control+ArrowDown", " ");
  await until([...all.slice(1, 4), all[5]], () => selected(page));
  await page.getByText("4 selected").first().waitFor();
  await press(page, "Control+a");
  await until(all, () => selected(page));
  await press(page, "Escape");
  await until([], () => selected(page));
  await press(page, "End");
  assert.equal(await focused(page), all.at(-1));
  await press(page, "Home");
  assert.equal(await focused(page), all[0]);
  await page.keyboard.type("mus");
  await until(["Music"], () => selected(page));
  await press(page, "Enter");
  await shown(page, "Music");
  await press(page, "Backspace");
  await shown(page, "Files");
  await until("Music", () => focused(page));
});

scenario("Page Down goes a screen down, also in a folder of thousands", async (page) => {
  await open(page, "/Many/");
  await press(page, "Home", "PageDown");
  await until(true, () => page.evaluate(() => Number(document.activeElement.getAttribute("aria-rowindex")) > 8));
  const inView = () => page.evaluate(() => {
    const { top, bottom } = document.activeElement.getBoundingClientRect();
    return document.querySelector(".head").getBoundingClientRect().bottom <= top + 1 && bottom <= innerHeight;
  });
  assert.ok(await inView());
  await press(page, "End");
  await until("file 1200.txt", () => focused(page));
  assert.ok(await inView());
  await press(page, "PageUp", "PageUp");
  assert.ok(await inView());
});

scenario("only rows in sight are in the document, and in their order", async (page) => {
  await open(page, "/Many/");
  const rows = () => page.evaluate(() => [...document.querySelectorAll(".rows > .row")].map((one) => Number(one.getAttribute("aria-rowindex"))));
  const check = async () => {
    const found = await rows();
    assert.ok(found.length < 80, `${found.length} rows`);
    assert.deepEqual(found, [...found].sort((a, b) => a - b));
  };
  await check();
  await press(page, "ArrowDown"); // the focus is on the first one
  for (const position of [400, 5000, 54000, 20000, 0]) {
    await page.evaluate((y) => scrollTo(0, y), position);
    await page.evaluate(() => new Promise(requestAnimationFrame).then(() => new Promise(requestAnimationFrame)));
    await check();
    assert.equal(await focused(page), "file 1.txt", "the focus was lost");
    assert.ok(await page.evaluate(() => document.elementFromPoint(innerWidth / 2, innerHeight - 30).closest(".row")), `no row at ${position}`);
  }
});

scenario("the mouse opens names, and selects beside them", async (page) => {
  await open(page, "/");
  const all = await names(page);
  const beside = (name) => row(page, name).getByRole("gridcell").nth(2);
  await beside(all[1]).click();
  await until([all[1]], () => selected(page));
  await beside(all[3]).click({ modifiers: ["Shift"] });
  await until(all.slice(1, 4), () => selected(page));
  await link(page, all[2]).click({ modifiers: ["ControlOrMeta"] });
  await until([all[1], all[3]], () => selected(page));
  await row(page, all[5]).hover();
  await row(page, all[5]).locator(".tick").click();
  await until([all[1], all[3], all[5]], () => selected(page));
  await page.getByRole("button", { name: "Select nothing" }).click();
  await until([], () => selected(page));
  await beside("Music").click();
  await page.locator(".summary, .line").first().click({ position: { x: 5, y: 50 } });
  await until([], () => selected(page));
  await beside("Music").dblclick();
  await shown(page, "Music");
});

scenario("the second half of a double click does nothing to what the first has opened", async (page, context) => {
  await makeFiles(context, { "Twice/a/b/c/": null });
  await open(page, "/Twice/");
  const { x, y } = await link(page, "a").boundingBox();
  const half = async (clickCount) => {
    await page.mouse.move(x + 10, y + 20);
    await page.mouse.down({ clickCount });
    await page.mouse.up({ clickCount });
  };
  await half(1);
  await row(page, "b").waitFor();
  await half(2);
  assert.equal(page.url(), `${origin}/Twice/a/`);
  await half(1);
  await row(page, "c").waitFor();
});

scenario("a key that is held does what it does once", async (page) => {
  make({ "Held/a.txt": "a", "Held/b.txt": "b", "Held/c.txt": "c" }, TRASH_FOLDER);
  await openAs(page, "/Held/", TRASH_URL);
  let deleted = 0;
  page.on("request", (request) => (deleted += request.method() === "DELETE"));
  await press(page, "Home");
  await page.keyboard.down("Delete");
  await until(["b.txt", "c.txt"], () => names(page));
  await until("b.txt", () => focused(page));
  await page.keyboard.down("Delete");
  await page.keyboard.up("Delete");
  await page.keyboard.down("ArrowDown");
  await page.keyboard.down("ArrowDown"); // the cursor goes on
  await until("c.txt", () => focused(page));
  assert.equal(deleted, 1);
});

scenario("a dialog closes by a click beside it, and by nothing that begins or ends within", async (page) => {
  await open(page, "/");
  await press(page, "?");
  const dialog = page.getByRole("dialog", { name: "Keys" });
  const { x, y } = await dialog.boundingBox();
  await page.mouse.click(x + 4, y + 60); // its padding
  await page.mouse.move(x + 60, y + 100);
  await page.mouse.down();
  await page.mouse.move(x - 60, y + 100, { steps: 4 }); // text is selected
  await page.mouse.up();
  assert.ok(await dialog.isVisible());
  await page.mouse.click(x - 60, y + 100);
  await dialog.waitFor({ state: "detached" });
});

scenario("menus: of an entry, of the folder, of the account", async (page) => {
  await open(page, "/");
  await link(page, "Documents").click({ button: "right" });
  await page.getByRole("menu").waitFor();
  await until(["Documents"], () => selected(page));
  await press(page, "Escape");
  await until("Documents", () => focused(page));
  await row(page, "Music").getByRole("button", { name: "What to do with Music" }).click();
  await press(page, "Enter"); // Open is the first
  await shown(page, "Music");
  await ready(page);
  await page.mouse.click(640, 700, { button: "right" });
  await page.getByRole("menuitem", { name: "Select all" }).click();
  await until(["song.mp3"], () => selected(page));
  await page.getByRole("button", { name: "Account of alice" }).click();
  await page.getByRole("menuitem", { name: "Keys" }).click();
  await page.getByRole("dialog", { name: "Keys" }).waitFor();
});

scenario("menus: the right button's release leaves one open, and whatever is done elsewhere closes it", async (page) => {
  await open(page, "/");
  const menus = page.getByRole("menu");
  const openMenu = async () => {
    await link(page, "Documents").hover();
    await page.mouse.down({ button: "right" });
    await menus.waitFor();
    await page.mouse.up({ button: "right" });
    await until("Open", () => page.evaluate(() => document.activeElement.textContent));
  };
  await openMenu();
  await page.mouse.click(640, 140); // on nothing
  await until([0, "Documents"], async () => [await menus.count(), await focused(page)]);
  await openMenu();
  await page.getByRole("searchbox").click();
  await until([0, true], async () => [await menus.count(), await page.getByRole("searchbox").evaluate((node) => node === document.activeElement)]);
  await openMenu();
  await page.evaluate(() => document.activeElement.blur()); // as a folder does that comes meanwhile
  await press(page, "Escape");
  await until(0, () => menus.count());
  await openMenu();
  await page.mouse.click(400, 90, { button: "right" }); // beside the path
  await until(["Upload", 1], async () => [await page.getByRole("menuitem").first().innerText(), await menus.count()]);
  await press(page, "Tab");
  await until(0, () => menus.count());
});

scenario("Enter that ends a composition opens nothing", async (page) => {
  await open(page, "/");
  await press(page, "/");
  await page.keyboard.type("Music");
  const key = (options) => page.evaluate((given) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, ...given })), options);
  assert.ok(await key({ keyCode: 229 })); // which is how Safari tells it
  assert.ok(await key({ isComposing: true }));
  assert.equal(await key({}), false);
  await shown(page, "Music");
});

scenario("the help sheet has the keys of all actions", async (page) => {
  await open(page, "/");
  await press(page, "?");
  const dialog = page.getByRole("dialog", { name: "Keys" });
  await dialog.waitFor();
  assert.equal(await dialog.evaluate((node) => node.scrollTop), 0);
  for (const text of ["Filter by name", "Select all", "Ctrl+A", "Go to the folder above", "Backspace"]) assert.ok(await dialog.getByText(text, { exact: true }).isVisible(), text);
  await press(page, "Escape");
  await dialog.waitFor({ state: "detached" });
});

scenario("a finger has in one menu what a right click beside the entries offers", async (page) => {
  let letGo;
  const held = new Promise((resolve) => (letGo = resolve));
  await page.route("**/Documents/?format=json", async (route) => (await held, route.continue()));
  await page.goto(`${origin}/Documents/`);
  await fillIn(page, "builder", "bob"); // who may only read
  await page.getByRole("button", { name: "What can be done here" }).waitFor(); // before it is known
  letGo();
  await shown(page, "Documents");
  await page.getByRole("button", { name: "What can be done here" }).tap();
  await until(["Select all", "Look again", "Download this folder"], () => page.getByRole("menuitem").allInnerTexts().then((all) => all.map((one) => one.split("\n")[0])));
  await screenshot(page, "walk-phone-menu", {});
  await page.getByRole("menuitem", { name: "Select all" }).tap();
  await until(2, async () => (await selected(page)).length);
  assert.ok(await page.getByRole("button", { name: "What can be done here" }).isHidden());
}, phone);

scenario("a finger opens by a tap, and selects by a long press", async (page, context) => {
  await open(page, "/");
  const all = await names(page);
  const touch = await context.newCDPSession(page);
  const { x, y, width, height } = await row(page, all[1]).boundingBox();
  const point = { x: x + width / 2, y: y + height / 2 };
  await touch.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [point] });
  await until([all[1]], () => selected(page));
  await touch.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
  await row(page, all[3]).tap();
  await until([all[1], all[3]], () => selected(page));
  await screenshot(page, "walk-phone-selecting", {});
  await row(page, all[1]).tap();
  await row(page, all[3]).tap();
  await until([], () => selected(page));
  await row(page, "Documents").tap();
  await shown(page, "Documents");
  await row(page, "letter.odt").waitFor();
  const file = await row(page, "letter.odt").boundingBox();
  await touch.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [{ x: file.x + file.width / 2, y: file.y + file.height / 2 }] });
  await until(["letter.odt"], () => selected(page));
  await touch.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
  for (const button of await page.locator(".selection .actions button").all()) {
    const { x, width } = await button.boundingBox();
    assert.ok(x >= 0 && x + width <= 390, `${await button.innerText()} is cut off`);
  }
  await screenshot(page, "walk-phone-one", {});
  await page.keyboard.press("Escape");
  await until([], () => selected(page));
  await page.getByRole("link", { name: "Up to the folder above" }).tap();
  await shown(page, "Files");
}, phone);

scenario("tiles, which are remembered", async (page) => {
  await open(page, "/");
  const all = await names(page);
  await page.getByRole("button", { name: "Show as tiles" }).click();
  await press(page, "Home", "ArrowRight", "ArrowRight", "ArrowLeft");
  assert.equal(await focused(page), all[1]);
  const columns = await page.evaluate(() => new Set([...document.querySelectorAll(".rows > .row")].map((one) => one.getBoundingClientRect().left)).size);
  assert.ok(columns > 3);
  await press(page, "ArrowDown");
  assert.equal(await focused(page), all[1 + columns]);
  await page.reload();
  await ready(page);
  await page.getByRole("button", { name: "Show as a list" }).click();
  assert.equal(await page.evaluate(() => new Set([...document.querySelectorAll(".rows > .row")].map((one) => one.getBoundingClientRect().left)).size), 1);
});

scenario("names of any kind are listed, found and opened", async (page) => {
  await open(page, "/Odd/");
  const found = await names(page);
  assert.equal(found.length, 11);
  for (const name of ['"quoted" \'name\'.txt', "<img src=x>.html", "a&lt;b.txt", "family 👨‍👩‍👧.png", "שלום.txt", "مرحبا بالعالم.pdf", "100% #1?.txt", "z".repeat(255), "turned \ufffdgpj.exe", "two\ufffdlines.txt", "not \ufffd\ufffd text.txt"])
    assert.ok(found.includes(name), name);
  await filter(page).fill("שלום");
  await until(["שלום.txt"], () => names(page));
  await filter(page).fill("");
  // What each link leads to is there.
  const hrefs = await page.locator(".rows .row a").evaluateAll((links) => links.map((one) => one.href));
  const statuses = await page.evaluate((all) => Promise.all(all.map((href) => fetch(href, { method: "HEAD" }).then((answer) => answer.status))), hrefs);
  assert.deepEqual(new Set(statuses), new Set([200]));
  assert.ok(await fits(page));
  await screenshot(page, "walk-odd", {});
});

scenario("what is not there any more, and what is closed, is said", async (page, context) => {
  await makeFiles(context, { "Going/away/": null });
  await open(page, "/Going/");
  await page.evaluate(() => fetch("/Going/away/", { method: "DELETE" }));
  await link(page, "away").click();
  await page.getByRole("heading", { name: "This folder is gone" }).waitFor();
  await screenshot(page, "walk-gone", {});
  await page.getByRole("button", { name: "Go to the folder above" }).click();
  await page.getByRole("heading", { name: "This folder is empty" }).waitFor();
  await page.getByRole("navigation").getByRole("link", { name: "Files" }).click();
  await link(page, "Closed").click();
  await page.getByRole("heading", { name: "You are not allowed to look into this folder" }).waitFor();
}, { expected: /status of 40[34]/ });

scenario("without a connection what was seen stays, and it is tried again", async (page, context) => {
  await open(page, "/");
  await context.setOffline(true);
  await link(page, "Documents").click();
  await page.getByRole("heading", { name: "There is no connection to the server." }).waitFor();
  await screenshot(page, "walk-offline", {});
  await context.setOffline(false);
  await row(page, "letter.odt").waitFor();
  await context.setOffline(true);
  await page.mouse.click(640, 700, { button: "right" });
  await page.getByRole("menuitem", { name: "Look again" }).click();
  await page.getByText("The server cannot be reached.").waitFor();
  assert.ok(await row(page, "letter.odt").isVisible());
  await screenshot(page, "walk-banner", {});
  await context.setOffline(false);
  await page.getByText("The server cannot be reached.").waitFor({ state: "hidden" });
}, { expected: /ERR_INTERNET_DISCONNECTED/ });

scenario("a folder that turns out to be gone has nothing to act upon", async (page, context) => {
  await makeFiles(context, { "Vanishing/a.txt": "a" });
  await open(page, "/Vanishing/");
  await press(page, "Control+a");
  await until(["a.txt"], () => selected(page));
  await page.evaluate(() => fetch("/Vanishing/", { method: "DELETE" }));
  await lookAgain(page);
  await page.getByRole("heading", { name: "This folder is gone" }).waitFor();
  await press(page, "Control+a");
  assert.equal(await page.locator("body.selecting").count(), 0);
  assert.equal(await page.getByRole("button", { name: "New folder" }).count(), 0);
  assert.equal(await page.locator(".rows .row").count(), 0);
}, { expected: /status of 404/ });

scenario("a folder that cannot be looked at again says why", async (page) => {
  await open(page, "/Documents/");
  await page.route("**/Documents/?format=json", (route) => route.fulfill({ status: 500 }), { times: 1 });
  await lookAgain(page);
  await page.getByRole("alert").filter({ hasText: "The server has a problem. Try again in a moment. What you see may be old." }).waitFor();
  assert.ok(await row(page, "letter.odt").isVisible());
  await page.getByRole("button", { name: "Try again" }).click();
  await page.locator(".banner").waitFor({ state: "hidden" });
}, { expected: /status of 500/ });

scenario("looking again while a folder is on its way leads there all the same", async (page) => {
  await open(page, "/Music/");
  const release = await hold(page, `${origin}/?format=json`);
  await press(page, "Backspace");
  await page.mouse.click(640, 700, { button: "right" });
  await page.getByRole("menuitem", { name: "Look again" }).click();
  release();
  await shown(page, "Files");
  await until("Music", () => focused(page));
});

scenario("neither a folder that comes nor one that is looked at again takes the focus away", async (page, context) => {
  await makeFiles(context, { "Staying/in/a.txt": "a" });
  await open(page, "/Staying/");
  const release = await hold(page, "**/Staying/in/?format=json");
  await link(page, "in").click();
  await filter(page).click();
  release();
  await row(page, "a.txt").waitFor();
  await ready(page);
  assert.ok(await filter(page).evaluate((input) => input === document.activeElement));
  const button = page.locator(".bar button").first();
  await button.focus();
  await makeFiles(context, { "Staying/in/b.txt": "b" });
  await lookAgain(page);
  await row(page, "b.txt").waitFor();
  assert.ok(await button.evaluate((one) => one === document.activeElement));
});

scenario("the filter: Enter opens the first one found, and what it hides is not acted upon", async (page) => {
  await open(page, "/Sorting/");
  await press(page, "End", "/");
  await page.keyboard.type("txt");
  await press(page, "Enter");
  await page.getByRole("dialog", { name: "file 1.txt" }).waitFor();
  await press(page, "Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await filter(page).fill("10");
  await until(["file 10.txt"], () => names(page)); // and file 1.txt is selected
  await filter(page).blur();
  await press(page, "Escape");
  await until("", () => filter(page).inputValue());
});

scenario("an address with too many slashes, and a link to where one is", async (page) => {
  await open(page, "/");
  await page.goto(`${origin}/Documents//`);
  await shown(page, "Documents");
  await row(page, "letter.odt").waitFor();
  await page.getByRole("columnheader", { name: "Size" }).getByRole("button").click();
  await page.waitForURL(`${origin}/Documents/?sort=size&order=desc`, { waitUntil: "domcontentloaded" });
  const before = await page.evaluate(() => history.length);
  await page.getByRole("navigation").getByRole("link", { name: "Documents" }).click();
  await ready(page);
  assert.equal(await page.evaluate(() => history.length), before);
});

scenario("the plain listing becomes the file manager where a browser did not say what it asks for", async (page) => {
  await open(page, "/");
  let plain = "";
  await page.route(`${origin}/Sorting/?sort=size&order=desc`, async (route) => {
    const { "sec-fetch-dest": _, ...headers } = route.request().headers();
    const response = await route.fetch({ headers });
    plain = await response.text();
    await route.fulfill({ response });
  });
  await page.goto(`${origin}/Sorting/?sort=size&order=desc`);
  assert.deepEqual(await names(page), ["file 2.txt", "file 10.txt", "file 1.txt"]);
  assert.match(plain, /<table/);
  assert.deepEqual(await page.evaluate(() => ["table", "header", "main", "body.app"].map((one) => document.querySelectorAll(one).length)), [0, 1, 1, 1]);
  await page.getByRole("button", { name: "Account of alice" }).waitFor();
});

scenario("a slow answer is waited for with a skeleton", async (page) => {
  await open(page, "/");
  let release;
  const held = new Promise((resolve) => (release = resolve));
  await page.route("**/Music/?format=json", async (route) => {
    await held;
    await route.continue();
  });
  await link(page, "Music").click();
  await page.locator(".skeleton").first().waitFor();
  await screenshot(page, "walk-skeleton", {});
  release();
  await row(page, "song.mp3").waitFor();
  assert.equal(await page.locator(".skeleton").count(), 0);
});

scenario("looking again shows what came and went, and keeps the place", async (page, context) => {
  await makeFiles(context, { "Changing/a.txt": "a", "Changing/c.txt": "c", "Changing/d.txt": "d" });
  await open(page, "/Changing/");
  await press(page, "ArrowDown", "ArrowDown"); // c.txt
  await makeFiles(context, { "Changing/b.txt": "b" });
  await page.evaluate(() => fetch("/Changing/d.txt", { method: "DELETE" }));
  await lookAgain(page);
  await until(["a.txt", "b.txt", "c.txt"], () => names(page));
  assert.deepEqual(await selected(page), ["c.txt"]);
  assert.equal(await focused(page), "c.txt");
  assert.equal(await page.locator(".unseen[role=status]").innerText(), "1 selected"); // what screen readers know is not said again
});

scenario("a narrow page has the way in the middle in a menu", async (page) => {
  const deepest = ["Deep", ...Array.from({ length: 7 }, (_, at) => `a folder of level ${at + 1}`)];
  await open(page, `/${deepest.join("/").replaceAll(" ", "%20")}/`);
  assert.equal(await heading(page), deepest.at(-1));
  await page.getByRole("button", { name: "Folders between" }).click();
  await page.getByRole("menuitem", { name: "a folder of level 1" }).click();
  await shown(page, "a folder of level 1");
  assert.ok(await fits(page));
});

scenario("screen readers are told what happens", async (page) => {
  await open(page, "/");
  const said = () => page.locator(".unseen[role=status]").innerText();
  await link(page, "Sorting").click();
  await until("Sorting: 3 files, 3.2 KB", said);
  await press(page, "Control+a");
  await until("3 selected", said);
});

for (const [look, options] of looks)
  scenario(`${look}: everything is in view, can be read, and is accessible`, async (page) => {
    const settled = () => page.evaluate(() => Promise.all(document.getAnimations().map((one) => one.finished)));
    const check = async (state) => {
      await settled();
      await screenshot(page, `walk-${look}-${state}`, {});
      assert.ok(await fits(page), `${state} has to be scrolled sideways`);
      await accessible(page);
    };
    await open(page, "/");
    await check("list");
    await press(page, "ArrowDown", "Shift+ArrowDown", "Shift+ArrowDown");
    await check("selected");
    await press(page, "Shift+F10");
    await row(page, "Documents").getByRole("button").click();
    await check("menu");
    await press(page, "Escape", "Escape");
    await page.getByRole("button", { name: "Show as tiles" }).click();
    await check("tiles");
    await press(page, "?");
    await check("help");
    await press(page, "Escape");
    await page.getByRole("button", { name: "Show as a list" }).click();
    for (const [state, target] of Object.entries({ empty: "/Empty/", long: "/Long names/", deep: "/Deep/a folder of level 1/a folder of level 2/a folder of level 3/a folder of level 4/" })) {
      await page.goto(origin + target);
      await ready(page);
      await check(state);
    }
    await press(page, "/");
    await page.keyboard.type("nothing");
    await check("no-match");
  }, options);
