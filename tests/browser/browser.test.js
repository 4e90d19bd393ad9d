// What a person does in a browser. tests/e2e/test_browser.py starts the server and this, and counts.
//
// From the environment: URL, CHROMIUM (the program), SCREENSHOTS (a folder), SLOW (how much longer things may take), SHA256 (of
// /Music/song.mp3). People are alice, whose password is wonderland.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { chromium, devices } from "playwright-core";

const { URL: origin, CHROMIUM, SCREENSHOTS, SHA256 } = process.env;
const SLOW = Number(process.env.SLOW || 1);
const LIST = process.env.FASTFILE_LIST; // only say what tests there are
let browser;

if (!LIST) before(async () => {
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    chromiumSandbox: false, // it sees our own pages only, and root has no other choice
    ignoreDefaultArgs: ["--disable-back-forward-cache"], // as people have it
  });
});
if (!LIST) after(async () => browser?.close());

// A browser profile of the test's own. Whatever is wrong on any of its pages fails the test, except a console message that matches
// `expected`.
function scenario(name, run, { expected = /^$/, ...options } = {}) {
  if (LIST) return console.log(name);
  test(name, { timeout: 60_000 * SLOW }, async () => {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
    const wrong = [];
    context.setDefaultTimeout(10_000 * SLOW);
    context.on("request", (request) => {
      if (!request.url().startsWith(origin + "/")) wrong.push(`request to ${request.url()}`);
    });
    context.on("requestfailed", (request) => {
      if (request.failure().errorText !== "net::ERR_ABORTED") wrong.push(`${request.url()}: ${request.failure().errorText}`);
    });
    context.on("console", (message) => {
      if (["error", "warning"].includes(message.type()) && !expected.test(message.text())) wrong.push(message.text());
    });
    context.on("weberror", (error) => wrong.push(String(error.error())));
    if (options.javaScriptEnabled !== false)
      await context.addInitScript(() => {
        document.addEventListener("securitypolicyviolation", (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
      });
    try {
      await run(await context.newPage(), context);
      assert.deepEqual(wrong, []);
    } finally {
      await context.close();
    }
  });
}

async function fillIn(page, password = "wonderland") {
  await page.getByLabel("Name").fill("alice");
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
}

async function logIn(page, target = "/") {
  await page.goto(origin + target);
  await fillIn(page);
  await page.waitForURL(origin + target);
}

const row = (page, name) => page.getByRole("link", { name, exact: true });
const heading = (page) => page.getByRole("heading", { level: 1 }).innerText();
const asked = (page) => page.getByLabel("Password").isVisible();

// (page.goBack() waits for an event that a page kept in memory does not have.)
const back = (page) => page.evaluate(() => history.back());

// The names in the order in which they are seen.
async function names(page) {
  return page.locator("tbody tr > td:first-child:not(.u) a").allInnerTexts();
}

async function screenshot(page, name) {
  await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), fullPage: true });
}

scenario("a wrong password, then the right one, and on to where one was going", async (page) => {
  await page.goto(`${origin}/Music/?sort=size&order=desc`);
  assert.match(page.url(), /\/\.fastfile\/login\?next=/);
  await fillIn(page, "looking-glass");
  await page.getByRole("alert").waitFor();
  assert.equal(await page.getByLabel("Name").inputValue(), "alice");
  assert.equal(await page.getByLabel("Password").inputValue(), "");
  await screenshot(page, "wrong-password");
  await fillIn(page);
  await page.waitForURL(`${origin}/Music/?sort=size&order=desc`);
  assert.equal(await heading(page), "Music");
}, { expected: /status of 403/ });

scenario("the cookie is out of reach of scripts", async (page, context) => {
  await logIn(page);
  const [cookie, ...others] = await context.cookies();
  assert.equal(others.length, 0);
  assert.ok(cookie.httpOnly && cookie.secure && cookie.sameSite === "Lax" && cookie.path === "/");
  assert.equal(await page.evaluate(() => document.cookie), "");
});

scenario("into folders by clicking, and back by the path on top", async (page) => {
  await logIn(page);
  await row(page, "Documents").click();
  await row(page, "Jahresabschluß 2025 & Grüße").click();
  assert.equal(await heading(page), "Jahresabschluß 2025 & Grüße");
  assert.deepEqual(await names(page), ["<b>not bold & <i>.txt", "文件.pdf"]);
  await page.getByRole("navigation").getByRole("link", { name: "Documents" }).click();
  assert.equal(await heading(page), "Documents");
  await row(page, "Parent folder").click();
  assert.equal(page.url(), `${origin}/`);
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
  await logIn(page, "/Sorting/");
  await sortByClicking(page);
});

scenario("everything without JavaScript too", async (page) => {
  await logIn(page, "/Sorting/");
  await sortByClicking(page);
  await page.getByRole("button", { name: "Log out" }).click();
  assert.ok(await asked(page));
}, { javaScriptEnabled: false });

scenario("a download has every byte and its name", async (page) => {
  await logIn(page, "/Music/");
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator("td:nth-child(4) > a").first().click()]);
  assert.equal(download.suggestedFilename(), "song.mp3");
  const content = await readFile(await download.path());
  assert.equal(createHash("sha256").update(content).digest("hex"), SHA256);
});

scenario("a page among the files cannot act as this site", async (page) => {
  await logIn(page);
  const download = page.waitForEvent("download");
  await row(page, "evil.html").click();
  await download; // offered for keeping, not shown
  assert.equal(await heading(page), "Files");
});

scenario("after the logout one is asked again, also on the way back", async (page) => {
  await logIn(page);
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
  await page.goto(`${origin}/Documents/`);
  assert.ok(await asked(page));
});

scenario("two tabs are one login", async (first, context) => {
  await logIn(first);
  const second = await context.newPage();
  await second.goto(`${origin}/Documents/`);
  assert.equal(await heading(second), "Documents");
  await first.getByRole("button", { name: "Log out" }).click();
  await second.reload();
  assert.ok(await asked(second));
  await fillIn(second); // and back to where this one was
  await second.waitForURL(`${origin}/Documents/`);
  await first.goto(`${origin}/`);
  assert.equal(await heading(first), "Files");
});

scenario("by the keyboard alone", async (page) => {
  await page.goto(`${origin}/`);
  await page.waitForFunction(() => document.activeElement?.name === "user"); // given by the page, one frame after it is there
  await page.keyboard.type("alice");
  await page.keyboard.press("Tab");
  await page.keyboard.type("wonderland");
  await page.keyboard.press("Enter");
  await page.waitForURL(`${origin}/`);
  await row(page, "Documents").focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(`${origin}/Documents/`);
});

const sizes = {
  desktop: { viewport: { width: 1280, height: 800 } },
  phone: { ...devices["iPhone 13"], defaultBrowserType: undefined },
};
for (const [size, options] of Object.entries(sizes))
  for (const colorScheme of ["light", "dark"])
    scenario(`${size}, ${colorScheme}: all is in view and can be read`, async (page) => {
      const fits = async () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
      const luminance = () =>
        page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).slice(0, 3).reduce((sum, n) => sum + Number(n), 0));
      await page.goto(`${origin}/`);
      await screenshot(page, `${size}-${colorScheme}-login`);
      assert.ok(await fits());
      await fillIn(page);
      await page.waitForURL(`${origin}/`);
      for (const [name, target] of Object.entries({
        listing: "/", folder: "/Documents/Jahresabschluß 2025 & Grüße/", long: "/Long names/", empty: "/Empty/", sorted: "/Sorting/?sort=size&order=desc",
      })) {
        await page.goto(origin + target);
        await screenshot(page, `${size}-${colorScheme}-${name}`);
        assert.ok(await fits(), `${name} has to be scrolled sideways`);
        assert.equal((await luminance()) > 382, colorScheme === "light");
      }
      await page.goto(`${origin}/none`);
      await screenshot(page, `${size}-${colorScheme}-missing`);
      assert.ok(await fits());
    }, { ...options, colorScheme, expected: /status of 404/ });
