// The plain listing: what whoever has no scripts gets, and whoever asks for ?format=html. And the login page.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { asked, back, fillIn, fits, logIn, looks, origin, scenario, screenshot, SHA256, SLOW } from "./harness.js";

const PLAIN = "?format=html";

const row = (page, name) => page.getByRole("link", { name, exact: true });
const heading = (page) => page.getByRole("heading", { level: 1 }).innerText();

// The names in the order in which they are seen.
async function names(page) {
  return page.locator("tbody tr > td:first-child:not(.u) a").allInnerTexts();
}

scenario("a wrong password, then the right one, and on to where one was going", async (page) => {
  await page.goto(`${origin}/Music/${PLAIN}&sort=size&order=desc`);
  assert.match(page.url(), /\/\.fastfile\/login\?next=/);
  await fillIn(page, "looking-glass");
  await page.getByRole("alert").waitFor();
  assert.equal(await page.getByLabel("Name").inputValue(), "alice");
  assert.equal(await page.getByLabel("Password").inputValue(), "");
  await screenshot(page, "wrong-password");
  await fillIn(page);
  await page.waitForURL(`${origin}/Music/${PLAIN}&sort=size&order=desc`, { waitUntil: "domcontentloaded" });
  assert.equal(await heading(page), "Music");
}, { expected: /status of 403/ });

scenario("the cookie is out of reach of scripts", async (page, context) => {
  await logIn(page, `/${PLAIN}`);
  const [cookie, ...others] = await context.cookies();
  assert.equal(others.length, 0);
  assert.ok(cookie.httpOnly && cookie.secure && cookie.sameSite === "Lax" && cookie.path === "/");
  assert.equal(await page.evaluate(() => document.cookie), "");
});

scenario("into folders by clicking, and back by the path on top", async (page) => {
  await logIn(page, `/${PLAIN}`);
  await row(page, "Documents").click();
  await row(page, "Jahresabschluß 2025 & Grüße").click();
  assert.equal(await heading(page), "Jahresabschluß 2025 & Grüße");
  assert.deepEqual(await names(page), ["<b>not bold & <i>.txt", "文件.pdf"]);
  await page.getByRole("navigation").getByRole("link", { name: "Documents" }).click();
  assert.equal(await heading(page), "Documents");
  await row(page, "Parent folder").click();
  assert.equal(page.url(), `${origin}/${PLAIN}`);
  await back(page);
  await page.getByRole("heading", { level: 1, name: "Documents" }).waitFor();
});

async function sortByClicking(page) {
  const column = (name) => page.getByRole("columnheader", { name }).getByRole("link");
  const byName = ["file 1.txt", "file 2.txt", "file 10.txt"];
  assert.deepEqual(await names(page), byName);
  await column("Size").click();
  assert.deepEqual(await names(page), ["file 2.txt", "file 10.txt", "file 1.txt"]);
  await column("Size").click();
  assert.deepEqual(await names(page), ["file 1.txt", "file 10.txt", "file 2.txt"]);
  await column("Modified").click();
  assert.deepEqual(await names(page), ["file 10.txt", "file 1.txt", "file 2.txt"]);
  assert.equal(await page.getByRole("columnheader", { name: "Modified" }).getAttribute("aria-sort"), "descending");
  await column("Name").click();
  assert.deepEqual(await names(page), byName);
}

scenario("sorted by a click on a column", async (page) => {
  await logIn(page, `/Sorting/${PLAIN}`);
  await sortByClicking(page);
});

scenario("everything without JavaScript too", async (page) => {
  await page.goto(`${origin}/Sorting/`);
  await fillIn(page);
  await page.waitForURL(`${origin}/Sorting/${PLAIN}`, { waitUntil: "domcontentloaded" }); // where the page for scripts sends everybody else
  await sortByClicking(page);
  await page.getByRole("button", { name: "Log out" }).click();
  assert.ok(await asked(page));
}, { javaScriptEnabled: false });

scenario("a download has every byte and its name", async (page) => {
  await logIn(page, `/Music/${PLAIN}`);
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator("td:nth-child(4) > a").first().click()]);
  assert.equal(download.suggestedFilename(), "song.mp3");
  const content = await readFile(await download.path());
  assert.equal(createHash("sha256").update(content).digest("hex"), SHA256);
});

scenario("a page among the files cannot act as this site", async (page) => {
  await logIn(page, `/${PLAIN}`);
  const download = page.waitForEvent("download");
  await row(page, "evil.html").click();
  await download; // offered for keeping, not shown
  assert.equal(await heading(page), "Files");
});

scenario("after the logout one is asked again, also on the way back", async (page) => {
  await logIn(page, `/${PLAIN}`);
  await row(page, "Documents").click();
  await page.getByRole("button", { name: "Log out" }).click();
  assert.ok(await asked(page));
  // Twice, for the pages before may still be in memory.
  for (let step = 0; step < 2; step++) {
    await back(page);
    await page.waitForTimeout(700 * SLOW);
    assert.equal(await page.locator("table").count(), 0, `a listing is seen at ${page.url()}`);
    assert.ok(await asked(page));
  }
  await page.goto(`${origin}/Documents/${PLAIN}`);
  assert.ok(await asked(page));
});

scenario("two tabs are one login", async (first, context) => {
  await logIn(first, `/${PLAIN}`);
  const second = await context.newPage();
  await second.goto(`${origin}/Documents/${PLAIN}`);
  assert.equal(await heading(second), "Documents");
  await first.getByRole("button", { name: "Log out" }).click();
  await second.reload();
  assert.ok(await asked(second));
  await fillIn(second); // and back to where this one was
  await second.waitForURL(`${origin}/Documents/${PLAIN}`, { waitUntil: "domcontentloaded" });
  await first.goto(`${origin}/${PLAIN}`);
  assert.equal(await heading(first), "Files");
});

scenario("by the keyboard alone", async (page) => {
  await page.goto(`${origin}/${PLAIN}`);
  await page.waitForFunction(() => document.activeElement?.name === "user"); // given by the page, one frame after it is there
  await page.keyboard.type("alice");
  await page.keyboard.press("Tab");
  await page.keyboard.type("wonderland");
  await page.keyboard.press("Enter");
  await page.waitForURL(`${origin}/${PLAIN}`, { waitUntil: "domcontentloaded" });
  await row(page, "Documents").focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(`${origin}/Documents/${PLAIN}`, { waitUntil: "domcontentloaded" });
});

for (const [look, options] of looks)
  scenario(`plain, ${look}: all is in view and can be read`, async (page) => {
    const luminance = () =>
      page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).slice(0, 3).reduce((sum, n) => sum + Number(n), 0));
    await page.goto(`${origin}/${PLAIN}`);
    await screenshot(page, `plain-${look}-login`);
    assert.ok(await fits(page));
    await fillIn(page);
    await page.waitForURL(`${origin}/${PLAIN}`, { waitUntil: "domcontentloaded" });
    for (const [name, target] of Object.entries({
      listing: "/", folder: "/Documents/Jahresabschluß 2025 & Grüße/", long: "/Long names/", empty: "/Empty/", sorted: "/Sorting/?sort=size&order=desc",
    })) {
      await page.goto(origin + target + (target.includes("?") ? "&format=html" : PLAIN));
      await screenshot(page, `plain-${look}-${name}`);
      assert.ok(await fits(page), `${name} has to be scrolled sideways`);
      assert.equal((await luminance()) > 382, options.colorScheme === "light");
    }
    await page.goto(`${origin}/none`);
    await screenshot(page, `plain-${look}-missing`);
    assert.ok(await fits(page));
  }, { ...options, expected: /status of 404/ });
