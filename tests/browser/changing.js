// What the tests of changes have in common: files on the server's disk, before and after, and what a person does with entries.
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { logIn, origin, ready, row, SLOW } from "./harness.js";

export const { FOLDER, TRASH_FOLDER } = process.env;
const WAIT_MS = 10_000 * SLOW;

// --- the disk ---

// Bytes of names are kept as latin1, so that those which are no text can be named too.
export const bytes = (name) => Buffer.from(name, "latin1");
export const text = (name) => bytes(name).toString();
export const latin1 = (name) => Buffer.from(name).toString("latin1");

// Makes what a test needs, for the server's user: {"a/b": "content", "c/": null}.
export function make(files, folder = FOLDER) {
  const { uid, gid } = fs.statSync(folder);
  const own = (one) => fs.chownSync(one, uid, gid);
  for (const [name, content] of Object.entries(files)) {
    const parts = name.split("/").filter(Boolean);
    for (let at = 1; at <= parts.length; at++) {
      const one = bytes([latin1(folder), ...parts.slice(0, at)].join("/"));
      const isLast = at === parts.length && content !== null;
      if (isLast) fs.writeFileSync(one, content);
      else if (!fs.existsSync(one)) fs.mkdirSync(one);
      else continue;
      own(one);
    }
  }
}

export const on = (name, folder = FOLDER) => bytes(`${latin1(folder)}/${name}`);
export const has = (name, folder) => fs.existsSync(on(name, folder));
export const read = (name, folder) => fs.readFileSync(on(name, folder), "utf8");
export const inside = (name, folder) => fs.readdirSync(on(name, folder), "latin1").sort();

// Until something is so; then it is what is asserted.
export async function until(condition, what) {
  for (const end = Date.now() + WAIT_MS; !condition(); await new Promise((done) => setTimeout(done, 20))) assert.ok(Date.now() < end, what);
}

// --- the page ---

export const notice = (page, words) => page.locator(".notice").filter({ hasText: words });
export const dialogOf = (page) => page.getByRole("dialog");
export const input = (page) => page.getByLabel("New name");
export const selected = async (page) => (await page.locator('.row[aria-selected="true"]:visible bdi').allInnerTexts()).sort();

export async function pick(page, ...names) {
  for (const [at, name] of names.entries()) await row(page, name).locator(".time").click(at > 0 ? { modifiers: ["Control"] } : {});
}

export async function see(page, names) {
  await page.waitForFunction((wanted) => {
    const seen = [...document.querySelectorAll(".rows .row:not([hidden]):not(.sizer) bdi")].map((one) => one.textContent).sort();
    return JSON.stringify(seen) === JSON.stringify(wanted);
  }, [...names].sort());
}

// Opens a folder as alice, who logs in once for each server.
const sessions = new Map();
export async function open(page, target, server = origin) {
  const context = page.context();
  if (sessions.has(server)) await context.addCookies(sessions.get(server));
  if (sessions.has(server)) await page.goto(server + target);
  else await logIn(page, target, server);
  sessions.set(server, await context.cookies(server));
  await ready(page);
}

export const key = (page, name) => page.keyboard.press(name);
export const answer = (page, name) => dialogOf(page).getByRole("button", { name, exact: true }).click();

// By mouse, in steps, as a drag begins with the first movement.
export async function drag(page, from, to, { modifier } = {}) {
  const center = async (locator) => {
    const { x, y, width, height } = await locator.boundingBox();
    return [x + width / 2, y + height / 2];
  };
  await page.mouse.move(...(await center(from)));
  await page.mouse.down();
  if (modifier) await page.keyboard.down(modifier);
  await page.mouse.move(...(await center(to)), { steps: 6 });
  await page.mouse.move(...(await center(to)));
  const isMarked = await page.locator(".target").count();
  await page.mouse.up();
  if (modifier) await page.keyboard.up(modifier);
  return isMarked === 1;
}
