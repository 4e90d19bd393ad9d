// What a person does in a browser. tests/e2e/browser.py starts the server and the *.test.js beside this, and counts.
//
// From the environment: URL and FOLDER of a server, TRASH_URL and TRASH_FOLDER of one with --trash, SMALL (a folder in FOLDER on a
// file system of a few MB, if there can be one), CHROMIUM (the program), SCREENSHOTS (a folder), SLOW (how much longer things may
// take), ALL_LOOKS (pictures in light and dark of both devices), SHA256 (of /Music/song.mp3). People are alice, whose password is wonderland, and bob (builder), who may only read.
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { chromium, devices } from "playwright-core";

export const { URL: origin, CHROMIUM, SCREENSHOTS, SHA256, SMALL, TRASH_URL } = process.env;
export const SLOW = Number(process.env.SLOW || 1);
export const LIST = process.env.FASTFILE_LIST; // only say what tests there are
const ALICE = `Basic ${btoa("alice:wonderland")}`;
let browser;

if (!LIST) before(async () => {
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    chromiumSandbox: false, // it sees our own pages only, and root has no other choice
    ignoreDefaultArgs: ["--disable-back-forward-cache"], // as people have it
  });
});
if (!LIST) after(async () => browser?.close());

// The devices that pictures are taken of, each in light and dark: [[name, options for scenario()]]. Dark differs in nothing but
// colours, so without ALL_LOOKS the desktop is light and the phone dark.
const allLooks = Object.entries({
  desktop: { viewport: { width: 1280, height: 800 } },
  phone: { ...devices["iPhone 13"], defaultBrowserType: undefined },
}).flatMap(([size, options]) => ["light", "dark"].map((colorScheme) => [`${size}-${colorScheme}`, { ...options, colorScheme, reducedMotion: "reduce" }])); // nothing half on its way
export const looks = process.env.ALL_LOOKS ? allLooks : [allLooks[0], allLooks[3]];
export const phone = allLooks[2][1];

// A browser profile of the test's own. Whatever is wrong on any of its pages fails the test, except a console message or an error of
// the network that matches `expected`. (The browser's viewer of PDFs makes requests too, to the browser itself.) skip: why it is
// not run here.
export function scenario(name, run, { expected = /^$/, skip = "", timeout = 120_000, ...options } = {}) {
  if (LIST) return console.log(name);
  test(name, { timeout: timeout * SLOW, skip: skip || false }, async () => {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
    const wrong = [];
    context.setDefaultTimeout(20_000 * SLOW);
    context.on("request", (request) => {
      const url = request.url();
      const ours = [origin, TRASH_URL].some((own) => url.startsWith(own + "/")) || /^chrome(-extension)?:/.test(url);
      if (!ours) wrong.push(`request to ${url}`);
    });
    context.on("requestfailed", (request) => {
      const { errorText } = request.failure();
      if (errorText === "csp" && options.javaScriptEnabled === false) return; // a script that is not wanted
      if (errorText !== "net::ERR_ABORTED" && !expected.test(errorText)) wrong.push(`${request.url()}: ${errorText}`);
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
    } catch (error) {
      if (wrong.length > 0) error.message += `\nWrong on its pages: ${wrong.join("\n")}`;
      for (const page of context.pages()) await screenshot(page, `failed-${name.replaceAll(/\W+/g, "-")}`, {}).catch(() => {});
      throw error;
    } finally {
      await context.close();
    }
  });
}

export async function fillIn(page, password = "wonderland", user = "alice") {
  await page.getByLabel("Name", { exact: true }).fill(user);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
}

// Opens `target`, as alice.
export async function logIn(page, target = "/", server = origin) {
  await page.goto(server + target);
  await fillIn(page);
  await page.waitForURL(server + target, { waitUntil: "domcontentloaded" });
}

export const asked = (page) => page.getByLabel("Password").isVisible();

// (page.goBack() waits for an event that a page kept in memory does not have.)
export const back = (page) => page.evaluate(() => history.back());

export async function screenshot(page, name, options = { fullPage: true }) {
  await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), ...options });
}

// Waits until a question has this answer.
export async function until(expected, ask) {
  const end = Date.now() + 10_000 * SLOW;
  for (;;) {
    const answer = await ask();
    if (isDeepStrictEqual(answer, expected)) return;
    if (Date.now() > end) assert.deepEqual(answer, expected);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

export const fits = (page) => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);

// Makes files, as another program of alice's would: {"A/b.txt": "content", "Empty/": null}.
export async function makeFiles(context, files) {
  const made = new Set();
  const request = (method, target, data) => context.request.fetch(origin + encodeURI(target), { method, data, headers: { Authorization: ALICE } });
  const makeFolder = async (folder) => {
    if (folder === "" || made.has(folder)) return;
    made.add(folder);
    await makeFolder(folder.slice(0, folder.lastIndexOf("/", folder.length - 2) + 1));
    const { url, status } = await request("MKCOL", `/${folder}`).then((answer) => ({ url: answer.url(), status: answer.status() }));
    assert.ok([201, 405].includes(status), `MKCOL ${url}: ${status}`);
  };
  for (const [name, content] of Object.entries(files)) {
    await makeFolder(name.slice(0, name.lastIndexOf("/") + 1));
    if (content === null) continue;
    const answer = await request("PUT", `/${name}`, content);
    assert.ok(answer.ok(), `PUT ${answer.url()}: ${answer.status()}`);
  }
}

// --- the file manager ---

// The row (or tile) of an entry.
export const row = (page, name) => page.getByRole("row").filter({ has: page.getByRole("link", { name, exact: true }) });

// The folder's entries are there.
export const ready = (page) => page.locator('[role="grid"][aria-busy="false"]').waitFor({ state: "attached" });

// Names in the order in which they are seen.
export async function names(page) {
  await ready(page);
  return page.locator(".rows .row:visible a").allInnerTexts();
}

export const heading = (page) => page.getByRole("heading", { level: 1 }).innerText();
