// What a browser takes to show a folder: see bench/page, which starts it.
//
// From the environment: URL, CHROMIUM, FOLDERS (names, separated by commas), ROUNDS. Prints a line for each folder, medians in ms.
import { chromium } from "../tests/browser/node_modules/playwright-core/index.mjs";

const { URL: origin, CHROMIUM, FOLDERS, ROUNDS } = process.env;

// In the page: how long scripts take of each frame.
function watchFrames() {
  const request = window.requestAnimationFrame;
  window.scripting = [];
  window.requestAnimationFrame = (run) => request((now) => {
    const start = performance.now();
    run(now);
    window.scripting.push(performance.now() - start);
  });
}

// In the page: when the first row has been painted, since the navigation began.
function watchRows() {
  const look = () => {
    if (!document.querySelector(".rows > .row")) return requestAnimationFrame(look);
    requestAnimationFrame(() => new Promise((painted) => { const { port1, port2 } = new MessageChannel(); port1.onmessage = painted; port2.postMessage(0); }).then(() => (window.firstRow = performance.now())));
  };
  requestAnimationFrame(look);
}

// In the page: how long a key in the filter takes until its result is painted.
async function typeInFilter(text) {
  const input = document.querySelector(".filter input");
  const painted = () => new Promise((resolve) => requestAnimationFrame(() => { const { port1, port2 } = new MessageChannel(); port1.onmessage = resolve; port2.postMessage(0); }));
  const took = [];
  for (let end = 1; end <= text.length; end++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const start = performance.now();
    input.value = text.slice(0, end);
    input.dispatchEvent(new Event("input", { bubbles: true }));
    await painted();
    took.push(performance.now() - start);
  }
  input.value = "";
  input.dispatchEvent(new Event("input", { bubbles: true }));
  return took;
}

// In the page: the frames while the whole folder is scrolled through, and rows that are missing on the screen after a frame.
async function scrollThrough(frames) {
  const end = document.documentElement.scrollHeight - innerHeight;
  const took = [];
  window.scripting = [];
  let blank = 0;
  let before = performance.now();
  for (let frame = 0; frame < frames; frame++) {
    scrollTo(0, (end * frame) / frames);
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    took.push(now - before);
    before = now;
    await new Promise((resolve) => setTimeout(resolve));
    if (!document.elementFromPoint(innerWidth / 2, innerHeight / 2)?.closest(".row")) blank++;
  }
  return { took, blank, scripting: window.scripting };
}

const sorted = (values) => [...values].sort((a, b) => a - b);
const median = (values) => sorted(values)[Math.floor(values.length / 2)];
const worst = (values) => Math.max(...values);
const ms = (value) => `${value.toFixed(0)} ms`.padStart(8);

const browser = await chromium.launch({ executablePath: CHROMIUM, chromiumSandbox: false });
const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 800 } });
await context.addInitScript(watchFrames);
await context.addInitScript(watchRows);
const page = await context.newPage();
await page.goto(origin);
for (const folder of FOLDERS.split(",")) {
  const first = [];
  for (let round = 0; round < Number(ROUNDS); round++) {
    await page.goto(`${origin}/${folder}/`);
    first.push(await (await page.waitForFunction(() => window.firstRow)).jsonValue());
  }
  await page.locator('[role="grid"][aria-busy="false"]').waitFor();
  const keys = await page.evaluate(typeInFilter, "report 12");
  const { took, blank, scripting } = await page.evaluate(scrollThrough, 300);
  console.log(`${folder.padStart(7)} entries: first row ${ms(median(first))} (${sorted(first).map((one) => one.toFixed(0)).join(" ")}), ` +
    `a key in the filter ${ms(median(keys))} (worst ${ms(worst(keys))}), scrolling: frame ${ms(median(took))}, of it scripts ${ms(median(scripting.filter((one) => one > 0.2)))}, 99th percentile ${ms(sorted(took)[296])}, without rows ${blank} of 300`);
}
await browser.close();
