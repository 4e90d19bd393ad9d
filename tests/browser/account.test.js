// The account panel, and logging in again where one is.
import assert from "node:assert/strict";
import { accessible } from "./axe.js";
import { asked, fillIn, logIn, looks, makeFiles, origin, ready, row, scenario, screenshot } from "./harness.js";

const panel = (page) => page.getByRole("dialog", { name: "alice" });

async function fromMenu(page, item) {
  await ready(page);
  await page.getByRole("button", { name: "Account of alice" }).click();
  await page.getByRole("menuitem", { name: item, exact: true }).click();
}

// Makes an app password and returns it.
async function makePassword(page, label, { readOnly = false } = {}) {
  await panel(page).getByRole("textbox").fill(label);
  if (readOnly) await panel(page).getByRole("checkbox").check();
  await panel(page).getByRole("button", { name: "Make password" }).click();
  await panel(page).getByRole("heading", { name: `Password for ${label}`, exact: true }).waitFor();
  return panel(page).locator("code").first().innerText();
}

async function revoke(page, label) {
  await panel(page).getByRole("button", { name: `Revoke: ${label}` }).click();
  await page.getByRole("dialog", { name: "Revoke" }).getByRole("button", { name: "Revoke" }).click();
  await panel(page).locator("li").filter({ hasText: label }).waitFor({ state: "detached" });
}

// What another program gets that has this password.
const program = (context, password) => async (method, target, data) => {
  const headers = { Authorization: `Basic ${btoa(`alice:${password}`)}`, Cookie: "", Depth: "0" };
  return (await context.request.fetch(origin + target, { method, data, headers })).status();
};

scenario("an app password: made, copied, used, revoked", async (page, context) => {
  await logIn(page);
  await fromMenu(page, "Account");
  await panel(page).getByText("You may change files").waitFor();
  await panel(page).getByText(/^\d.* of .* are free\.$/).waitFor();
  const password = await makePassword(page, "My phone / 2");
  await panel(page).getByText(`${origin}/`, { exact: true }).waitFor();
  await panel(page).getByRole("button", { name: "Copy: Password" }).click();
  await panel(page).getByText("Copied", { exact: true }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), password);
  const phone = program(context, password);
  assert.equal(await phone("PROPFIND", "/"), 207);
  assert.equal(await phone("PUT", "/by-phone.txt", "hello"), 201);
  const looker = program(context, await makePassword(page, "Looker", { readOnly: true }));
  assert.equal(await looker("PROPFIND", "/"), 207);
  assert.equal(await looker("PUT", "/by-looker.txt", "hello"), 403);
  assert.ok(await panel(page).locator("li").filter({ hasText: "Looker" }).getByText("may only look").isVisible());

  await page.keyboard.press("Escape");
  await panel(page).waitFor({ state: "detached" });
  await fromMenu(page, "Account");
  assert.equal(await panel(page).locator("code").count(), 0); // a password is shown once
  await revoke(page, "My phone / 2");
  assert.equal(await phone("PROPFIND", "/"), 401);
  assert.equal(await looker("PROPFIND", "/"), 207);
  await revoke(page, "Looker");
  assert.equal(await looker("PROPFIND", "/"), 401);
}, { permissions: ["clipboard-read", "clipboard-write"] });

scenario("names of app passwords that cannot be had", async (page) => {
  await logIn(page);
  await fromMenu(page, "Account");
  await makePassword(page, "Laptop");
  for (const [label, message] of Object.entries({ Laptop: "There is a password with that name already.", "a:b": "without a colon" })) {
    await panel(page).getByRole("textbox").fill(label);
    await page.keyboard.press("Enter");
    await panel(page).getByRole("alert").filter({ hasText: message }).waitFor();
    assert.equal(await panel(page).getByRole("textbox").inputValue(), label);
  }
  await revoke(page, "Laptop");
}, { expected: /status of 4(00|09)/ });

scenario("logging out here; logging out everywhere ends other browsers' sessions too", async (page, context) => {
  await logIn(page);
  await fromMenu(page, "Log out");
  await page.waitForURL(/login/, { waitUntil: "domcontentloaded" });
  await logIn(page); // for one is asked again
  const elsewhere = await context.browser().newContext({ ignoreHTTPSErrors: true });
  try {
    const other = await elsewhere.newPage();
    await logIn(other);
    await fromMenu(page, "Account");
    await panel(page).getByRole("button", { name: "Log out everywhere" }).click();
    await page.getByRole("dialog", { name: "Log out everywhere?" }).getByRole("button", { name: "Log out everywhere" }).click();
    await page.waitForURL(/login/, { waitUntil: "domcontentloaded" });
    assert.ok(await asked(page));
    await other.reload();
    assert.ok(await asked(other));
  } finally {
    await elsewhere.close();
  }
});

// --- a session that ends ---

const again = (page) => page.getByRole("dialog", { name: "You have been logged out" });

async function logInAgain(page, password, user) {
  if (user) await again(page).getByLabel("Name").fill(user);
  await again(page).getByLabel("Password").fill(password);
  await page.keyboard.press("Enter");
}

scenario("a session has ended: one logs in where one is, and goes on", async (page, context) => {
  await makeFiles(context, { "Ended/a.txt": "what I wanted", "Ended/b.txt": "another" });
  await logIn(page, "/Ended/");
  await ready(page);
  await page.evaluate(() => (window.kept = true));
  await context.clearCookies();
  await row(page, "a.txt").getByRole("link").click();
  await again(page).getByRole("button", { name: "Not now" }).click();
  await page.getByText("You are not logged in any more").waitFor();
  await page.getByRole("button", { name: "Try again" }).click();
  await again(page).waitFor();
  assert.equal(await again(page).getByLabel("Name").inputValue(), "alice");
  assert.ok(await again(page).getByLabel("Password").evaluate((input) => input === document.activeElement));
  await logInAgain(page, "looking-glass");
  await again(page).getByRole("alert").filter({ hasText: "do not belong together" }).waitFor();
  await logInAgain(page, "wonderland");
  await page.getByText("what I wanted").waitFor();
  assert.equal(await again(page).count(), 0);
  assert.ok(await page.evaluate(() => window.kept));
}, { expected: /status of 40[13]/ });

scenario("all that wait are served by one login", async (page, context) => {
  await makeFiles(context, { "Ended/a.txt": "a", "Ended/b.txt": "b" });
  await logIn(page, "/Ended/");
  await ready(page);
  await fromMenu(page, "Account"); // asks for the account and the room
  await panel(page).getByText(/are free/).waitFor();
  await page.keyboard.press("Escape");
  await context.clearCookies();
  await fromMenu(page, "Account");
  await again(page).waitFor();
  assert.equal(await again(page).count(), 1);
  await logInAgain(page, "wonderland");
  await panel(page).getByText(/are free/).waitFor();
}, { expected: /status of 401/ });

scenario("somebody else logs in: the page begins anew", async (page, context) => {
  await makeFiles(context, { "Ended/a.txt": "a" });
  await logIn(page, "/Ended/");
  await ready(page);
  await context.clearCookies();
  await row(page, "a.txt").getByRole("link").click();
  await again(page).waitFor();
  await logInAgain(page, "builder", "bob");
  await page.getByRole("button", { name: "Account of bob" }).waitFor();
}, { expected: /status of 401/ });

scenario("too many wrong passwords: it is said how long to wait", async (page, context) => {
  await makeFiles(context, { "Ended/a.txt": "a" });
  await logIn(page, "/Ended/");
  await ready(page);
  await context.clearCookies();
  await row(page, "a.txt").getByRole("link").click();
  const message = again(page).getByRole("alert");
  for (let number = 0; number < 12; number++) {
    const answered = page.waitForResponse(/login/);
    await logInAgain(page, `wrong-${number}`);
    if ((await answered).status() === 429) break;
  }
  await message.filter({ hasText: /Try again in \d+ (second|minute)s?\.$/ }).waitFor();
  await logInAgain(page, "wonderland"); // what is known to be right need not wait
  await again(page).waitFor({ state: "detached" });
}, { expected: /status of 4(01|03|29)/ });

for (const [look, options] of looks)
  scenario(`${look}: the account panel`, async (page, context) => {
    await logIn(page);
    await fromMenu(page, "Account");
    await makePassword(page, `Phone, ${look}`);
    await screenshot(page, `${look}-account`, {});
    await accessible(page, ".profile");
    assert.ok(await panel(page).evaluate((node) => node.scrollWidth <= node.clientWidth));
    await revoke(page, `Phone, ${look}`);
    await page.keyboard.press("Escape");
    await context.clearCookies();
    await fromMenu(page, "Account");
    await again(page).waitFor();
    await screenshot(page, `${look}-login-again`, {});
    await accessible(page, ".login-again");
  }, { ...options, expected: /status of 401/ });
