// Takes the README's pictures: see docs/pictures, which starts it.
//
// From the environment: URL and FOLDER of the server, CHROMIUM.
import { chmod, mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { chromium, devices } from "../tests/browser/node_modules/playwright-core/index.mjs";

const { URL: origin, FOLDER, CHROMIUM } = process.env;
const DOCS = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const TAKEN = new Date("2026-04-19T06:12:00");
const VIEWPORT = { width: 1120, height: 680 };
const SLOW_UPLOAD = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 6e5 }; // bytes a second

const PHOTOGRAPHS = {
  "Lake at dawn": ["#27406b", "#f2a97e", "#fbe3b8", "#1d2b45"],
  "Evening in the hills": ["#2b2350", "#d9577a", "#ffc07a", "#1b1733"],
  "Fog over the valley": ["#5d7f95", "#c9d8de", "#f4f3ea", "#2d4a52"],
  "First snow": ["#6f92c4", "#d4e4f5", "#ffffff", "#4d6890"],
  "Desert road": ["#3d6fa5", "#f3d19b", "#fff3cf", "#8a4b2a"],
};

// In a page: a landscape in these colours (sky, horizon, sun, nearest hills), as the bytes of a JPEG.
async function draw([sky, horizon, sun, hills], seed) {
  const [width, height] = [1800, 1200];
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  const air = context.createLinearGradient(0, 0, 0, height * 0.7);
  air.addColorStop(0, sky);
  air.addColorStop(1, horizon);
  context.fillStyle = air;
  context.fillRect(0, 0, width, height);
  const [x, y] = [width * (0.25 + 0.5 * random()), height * (0.35 + 0.15 * random())];
  const glow = context.createRadialGradient(x, y, 30, x, y, 600);
  glow.addColorStop(0, sun);
  glow.addColorStop(0.12, `${sun}88`);
  glow.addColorStop(1, `${sun}00`);
  context.fillStyle = glow;
  context.fillRect(0, 0, width, height);
  for (let ridge = 0; ridge < 5; ridge++) {
    const [base, waves] = [height * (0.52 + 0.11 * ridge), [0, 1, 2, 3].map((octave) => [(1.3 + random()) * 2 ** octave, random() * 6, (70 + 40 * random()) / 1.8 ** octave])];
    context.fillStyle = `color-mix(in oklab, ${hills} ${18 + 20 * ridge}%, ${horizon})`;
    context.beginPath();
    context.moveTo(0, height);
    for (let at = 0; at <= width; at += 4) context.lineTo(at, base + waves.reduce((sum, [often, shift, high]) => sum + high * Math.sin((often * at * 6.28) / width + shift), 0));
    context.lineTo(width, height);
    context.fill();
  }
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
  return [...new Uint8Array(await blob.arrayBuffer())];
}

async function makePhotographs(browser) {
  const page = await browser.newPage();
  let seed = 7;
  for (const [name, colours] of Object.entries(PHOTOGRAPHS)) {
    const file = path.join(FOLDER, "Photos", `${name}.jpg`);
    const bytes = await page.evaluate(`(${draw})(${JSON.stringify(colours)}, ${(seed += 1234)})`);
    await writeFile(file, Buffer.from(bytes));
    await chmod(file, 0o644);
    await utimes(file, TAKEN, TAKEN);
  }
  await page.close();
}

async function logIn(browser, target, options) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  await page.goto(origin + target);
  await page.getByLabel("Name", { exact: true }).fill("alice");
  await page.getByLabel("Password").fill("wonderland");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.waitForURL(origin + target);
  await page.locator(".rows > .row").first().waitFor();
  return page;
}

const take = (page, name) => page.screenshot({ path: path.join(DOCS, `${name}.png`) });

async function takeUploads(browser, folder) {
  const page = await logIn(browser, "/", { viewport: VIEWPORT, colorScheme: "light" });
  const files = [["DSC01412.jpg", 4], ["DSC01413.jpg", 5], ["Holiday.mp4", 48]].map(([name, size]) => [path.join(folder, name), size]);
  for (const [file, size] of files) await writeFile(file, Buffer.alloc(size << 20));
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Network.enable");
  await cdp.send("Network.emulateNetworkConditions", SLOW_UPLOAD);
  const chooser = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Upload", exact: true }).first().click();
  await (await chooser).setFiles(files.map(([file]) => file));
  await page.locator(".uploads").getByText(/left/).first().waitFor();
  await page.waitForTimeout(5000); // until the speeds are those of a while
  await take(page, "listing");
  await page.context().close();
}

async function takePreview(browser) {
  const page = await logIn(browser, "/Photos/", { viewport: VIEWPORT, colorScheme: "dark" });
  await page.goto(`${origin}/Photos/#view=${encodeURIComponent("Evening in the hills.jpg")}`);
  await page.locator('.preview-stage[aria-busy="false"] img').waitFor();
  await take(page, "preview");
  await page.context().close();
}

async function takePhone(browser) {
  const page = await logIn(browser, "/", { ...devices["iPhone 13"], defaultBrowserType: undefined, colorScheme: "dark" });
  await take(page, "phone");
  await page.context().close();
}

const browser = await chromium.launch({ executablePath: CHROMIUM, chromiumSandbox: false });
const folder = await mkdtemp(path.join(tmpdir(), "pictures-"));
try {
  await makePhotographs(browser);
  await takeUploads(browser, folder);
  await takePreview(browser);
  await takePhone(browser);
} finally {
  await browser.close();
  await rm(folder, { recursive: true });
}
