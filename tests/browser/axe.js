// What axe-core finds wrong for people who do not see or point.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const source = readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

// Fails if anything in the part of the page that is in use has such a fault.
export async function accessible(page, part = "body") {
  await page.evaluate(await source); // not held to the page's policy, as a <script> would be
  const found = await page.evaluate(async (part) => {
    const { violations } = await window.axe.run(part, { resultTypes: ["violations"] });
    return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`);
  }, part);
  assert.deepEqual(found, []);
}
