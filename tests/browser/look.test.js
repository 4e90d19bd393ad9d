// Looking at files in place.
import assert from "node:assert/strict";
import { accessible } from "./axe.js";
import { back, logIn, looks, makeFiles, origin, phone, ready, row, scenario, screenshot } from "./harness.js";
import { pdf, png, wav } from "./media.js";

const dialog = (page) => page.getByRole("dialog");
const content = (page, selector) => page.locator(`.preview-stage :is(${selector})`);
const position = (page) => page.locator(".preview-position").innerText();

async function open(page, name) {
  await row(page, name).getByRole("link").click();
  await shows(page, name);
}

// The file is named, and what is to be seen of it is there.
async function shows(page, name) {
  await page.getByRole("dialog", { name, exact: true }).waitFor();
  await page.locator('.preview-stage[aria-busy="false"]').waitFor();
}

const closed = (page) => dialog(page).waitFor({ state: "hidden" });

// Straight into the preview, as by a link that somebody sent.
async function look(page, folder, name) {
  await page.goto(`${origin}/${encodeURIComponent(folder)}/#view=${encodeURIComponent(name)}`);
  await shows(page, name);
}

// The image is there; how large it is seen, in percent of its own size.
async function zoomOf(page) {
  await content(page, "img").waitFor();
  return page.evaluate(() => {
    const image = document.querySelector(".preview-stage img");
    return Math.round((100 * image.getBoundingClientRect().width) / image.naturalWidth);
  });
}

const middle = (page) => page.evaluate(() => {
  const { x, y, width, height } = document.querySelector(".preview-stage").getBoundingClientRect();
  return { x: x + width / 2, y: y + height / 2 };
});

const PICTURES = { "Pictures/Inner/": null, "Pictures/a small.png": png(200, 150), "Pictures/b large.png": png(1800, 1200), "Pictures/c.txt": "text" };

scenario("an image fits, is seen in its own size, and in any other by the wheel", async (page, context) => {
  await makeFiles(context, PICTURES);
  await logIn(page, "/Pictures/");
  await open(page, "b large.png");
  const fitting = await zoomOf(page);
  assert.ok(fitting > 40 && fitting < 65, `${fitting} %`);
  await page.getByRole("button", { name: "Actual size" }).click();
  assert.equal(await zoomOf(page), 100);
  await page.getByRole("button", { name: "Fit into the window" }).click();
  assert.equal(await zoomOf(page), fitting);

  const { x, y } = await middle(page);
  await page.mouse.dblclick(x, y);
  assert.equal(await zoomOf(page), 100);
  const left = () => content(page, "img").evaluate((image) => image.getBoundingClientRect().left);
  const before = await left();
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x + 50, y, { steps: 5 });
  await page.mouse.up();
  assert.equal(await left(), before + 50);
  await page.mouse.wheel(0, -300);
  await page.waitForFunction((percent) => document.querySelector(".preview-zoom").innerText !== percent, "100 %");
  assert.ok((await zoomOf(page)) > 150);
  await page.keyboard.press("0");
  assert.equal(await zoomOf(page), fitting);
});

scenario("from one file to the next, by keys and buttons", async (page, context) => {
  await makeFiles(context, PICTURES);
  await logIn(page, "/Pictures/");
  const ahead = page.waitForRequest(`${origin}/Pictures/b%20large.png`);
  await open(page, "a small.png");
  assert.equal(await position(page), "1 of 3"); // the folder does not count
  await ahead; // so that the next one is there at once
  assert.ok(await page.getByRole("button", { name: "Previous file" }).isHidden());
  await page.keyboard.press("ArrowRight");
  await shows(page, "b large.png");
  await page.getByRole("button", { name: "Next file" }).click();
  await shows(page, "c.txt");
  assert.equal(await position(page), "3 of 3");
  await page.keyboard.press("ArrowRight"); // there is none
  assert.equal(await position(page), "3 of 3");
  await page.keyboard.press("ArrowLeft");
  await shows(page, "b large.png");
  await page.keyboard.press("Escape");
  await closed(page);
  // Where one has come to is where the keys go on.
  await page.waitForFunction(() => document.activeElement?.matches(".row") && document.activeElement.innerText.includes("b large.png"));
  await page.keyboard.press("Space");
  await shows(page, "b large.png");

  // The focus stays within, and the folder's keys are of no use.
  for (let step = 0; step < 8; step++) {
    await page.keyboard.press("Tab");
    assert.ok(await page.evaluate(() => document.activeElement === document.body || document.activeElement.closest("dialog.preview") !== null));
  }
  await content(page, "img").click();
  await page.keyboard.press("Control+a");
  await page.keyboard.press("Space");
  await closed(page);
  assert.equal(await page.locator('.row[aria-selected="true"]').count(), 0);
});

scenario("Back closes, a link leads into it, a reload stays", async (page, context) => {
  await makeFiles(context, PICTURES);
  await logIn(page, "/Pictures/");
  const listings = [];
  page.on("request", (request) => request.url().includes("format=json") && listings.push(request.url()));
  await open(page, "a small.png");
  await page.keyboard.press("ArrowRight");
  await shows(page, "b large.png");
  assert.equal(new URL(page.url()).hash, "#view=b%20large.png");
  await back(page);
  await closed(page);
  assert.equal(page.url(), `${origin}/Pictures/`);
  assert.deepEqual(listings, []); // the folder has not been asked for again
  await page.goForward();
  await shows(page, "b large.png");
  await page.reload();
  await shows(page, "b large.png");
  await page.keyboard.press("Escape");
  await closed(page);
  assert.equal(page.url(), `${origin}/Pictures/`);

  await page.goto("about:blank");
  await look(page, "Pictures", "a small.png");
  await page.keyboard.press("Escape");
  await closed(page);
  assert.equal(page.url(), `${origin}/Pictures/`);
  await page.goto(`${origin}/Pictures/#view=no%20such%20file.png`);
  await page.getByRole("alert").filter({ hasText: "not here any more" }).waitFor();
  assert.equal(page.url(), `${origin}/Pictures/`);
}, { expected: /^$/ });

scenario("it closes by a single click beside the file: not by a double one that opens it, nor by selecting text; and once", async (page, context) => {
  await makeFiles(context, { "Clicks/card.zip": Buffer.alloc(2000) });
  await logIn(page, "/");
  await row(page, "Clicks").getByRole("link").click();
  const { x, y } = await row(page, "card.zip").getByRole("link").boundingBox();
  for (const clickCount of [1, 2]) {
    await page.mouse.move(x + 10, y + 20);
    await page.mouse.down({ clickCount });
    await page.mouse.up({ clickCount });
    await shows(page, "card.zip");
  }
  const { x: left, y: top } = await content(page, ".preview-reason").boundingBox();
  await page.mouse.move(left + 200, top + 8);
  await page.mouse.down();
  await page.mouse.move(left - 150, top + 8, { steps: 4 });
  await page.mouse.up();
  assert.equal(new URL(page.url()).hash, "#view=card.zip");
  assert.ok(await dialog(page).isVisible());
  await page.mouse.click(left - 150, top + 8);
  await closed(page);
  await open(page, "card.zip");
  await dialog(page).evaluate((node) => [1, 2].forEach(() => node.dispatchEvent(new Event("cancel", { cancelable: true }))));
  await closed(page);
  await row(page, "card.zip").waitFor();
  assert.equal(page.url(), `${origin}/Clicks/`);

  const file = row(page, "card.zip");
  await file.focus();
  await page.keyboard.down("Space");
  await page.keyboard.down("Space"); // held
  await shows(page, "card.zip");
  assert.equal(new URL(page.url()).hash, "#view=card.zip");
});

// --- fingers ---

async function touch(page, type, ...points) {
  page.touches ??= await page.context().newCDPSession(page);
  await page.touches.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(([x, y], id) => ({ x, y, id })) });
}

async function swipe(page, from, to) {
  await touch(page, "touchStart", from);
  for (let step = 1; step <= 5; step++) await touch(page, "touchMove", [from[0] + ((to[0] - from[0]) * step) / 5, from[1] + ((to[1] - from[1]) * step) / 5]);
  await touch(page, "touchEnd");
}

scenario("by fingers: a swipe to the next one, a pinch, a second tap; and a PDF is for the phone to open", async (page, context) => {
  await makeFiles(context, { ...PICTURES, "Paper/paper.pdf": pdf("Hello") });
  await logIn(page, "/Pictures/");
  await look(page, "Pictures", "b large.png");
  const fitting = await zoomOf(page);
  const { x, y } = await middle(page);

  await touch(page, "touchStart", [x - 40, y], [x + 40, y]);
  for (const reach of [60, 80, 100, 120]) await touch(page, "touchMove", [x - reach, y], [x + reach, y]);
  await touch(page, "touchEnd");
  const pinched = await zoomOf(page);
  assert.ok(pinched > 2.5 * fitting && pinched < 3.5 * fitting, `${pinched} % after ${fitting} %`);
  await swipe(page, [x, y], [x - 120, y]); // goes around in it now
  assert.equal(await position(page), "2 of 3");
  assert.equal(await zoomOf(page), pinched);
  await page.touchscreen.tap(x, y);
  await page.touchscreen.tap(x, y);
  assert.equal(await zoomOf(page), fitting);

  await swipe(page, [x + 60, y], [x - 60, y]);
  await shows(page, "c.txt");
  await content(page, "pre").waitFor();
  await swipe(page, [x - 60, y], [x + 60, y]);
  await shows(page, "b large.png");
  await swipe(page, [x, y - 60], [x, y + 60]); // up and down is nothing
  assert.equal(await position(page), "2 of 3");

  await look(page, "Paper", "paper.pdf");
  const link = dialog(page).getByRole("link", { name: "Open" });
  assert.equal(await link.getAttribute("href"), "/Paper/paper.pdf");
  assert.equal(await link.getAttribute("target"), "_blank");
}, phone);

// --- sound, video, PDF ---

scenario("sound plays, seeking asks for what is there alone, and it goes on after one has been logged out", async (page, context) => {
  await makeFiles(context, { "Sound/an hour.wav": wav(3600) });
  await logIn(page, "/Sound/");
  const parts = [];
  page.on("response", (response) => response.url().endsWith(".wav") && parts.push([response.status(), response.headers()["content-range"] ?? ""]));
  await open(page, "an hour.wav");
  const play = (from) => content(page, "audio").evaluate((audio, from) => new Promise((resolve) => {
    audio.muted = true;
    audio.addEventListener("timeupdate", () => audio.currentTime > from && resolve(audio.duration));
    audio.currentTime = from;
    audio.play().catch(() => {});
  }), from);
  assert.equal(await play(0), 3600);
  await play(3000);
  const [status, range] = parts.at(-1);
  assert.equal(status, 206);
  assert.ok(Number(/^bytes (\d+)-/.exec(range)[1]) > 20_000_000, range);
  // Arrows on its controls are the controls'.
  await content(page, "audio").focus();
  await page.keyboard.press("ArrowLeft");
  await shows(page, "an hour.wav");

  await context.clearCookies();
  const played = play(1500);
  await page.getByRole("dialog", { name: "You have been logged out" }).getByLabel("Password").fill("wonderland");
  await page.keyboard.press("Enter");
  await played;
}, { expected: /status of 401/ });

// A second of a moving square, recorded by the browser itself.
const record = (page) => page.evaluate(async () => {
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d");
  const recorder = new MediaRecorder(canvas.captureStream(), { mimeType: "video/webm" });
  const parts = [];
  recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
  const stopped = new Promise((resolve) => recorder.addEventListener("stop", resolve));
  recorder.start();
  for (let frame = 0; frame < 30; frame++) {
    pen.fillStyle = `hsl(${12 * frame} 80% 50%)`;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    await new Promise(requestAnimationFrame);
  }
  recorder.stop();
  await stopped;
  await fetch("/Films/film.webm", { method: "PUT", body: new Blob(parts) });
});

scenario("a film is shown, and let go of when one goes on", async (page, context) => {
  await makeFiles(context, { "Films/letter.txt": "text" });
  await logIn(page, "/Films/");
  await record(page);
  await look(page, "Films", "film.webm");
  await content(page, "video").waitFor();
  const video = await content(page, "video").elementHandle();
  await page.waitForFunction((video) => video.videoWidth === 300, video);
  await page.keyboard.press("ArrowRight");
  await content(page, "pre").waitFor();
  assert.deepEqual(await video.evaluate((video) => [video.paused, video.hasAttribute("src")]), [true, false]);
});

scenario("a PDF is given to the browser's viewer", async (page, context) => {
  await makeFiles(context, { "Paper/paper.pdf": pdf("Hello") });
  await logIn(page, "/Paper/");
  const viewer = page.waitForEvent("frameattached", { predicate: (inner) => inner.parentFrame()?.url().endsWith("/Paper/paper.pdf") });
  await open(page, "paper.pdf");
  const frame = content(page, "iframe");
  await frame.waitFor();
  assert.equal(await frame.getAttribute("src"), "/Paper/paper.pdf");
  await viewer;
});

// --- text ---

const utf16 = (text, isBig) => {
  const bytes = Buffer.from(`\ufeff${text}`, "utf16le");
  return isBig ? bytes.swap16() : bytes;
};

scenario("text in the encodings that there are; a part of what is long; nothing of what is no text", async (page, context) => {
  const text = "Grüße, 文件 🎉\n\tzweite Zeile";
  await makeFiles(context, {
    "Text/utf-8.txt": text, "Text/mark.txt": `\ufeff${text}`, "Text/little.txt": utf16(text, false), "Text/big.txt": utf16(text, true),
    "Text/LICENSE": text, "Text/script.ts": text, "Text/notes.md": text, "Text/windows.txt": Buffer.from("Gr\xfc\xdfe", "latin1"), "Text/none.txt": "",
    "Text/long.log": `${"é".repeat(200_000)}end`, "Text/data.bin": Buffer.from(Array.from({ length: 100_000 }, (_, at) => (at * 7919) % 251)),
    "Text/zeros.txt": Buffer.alloc(5000),
  });
  await logIn(page, "/Text/");
  const seen = async (name) => {
    await look(page, "Text", name);
    return content(page, "pre").innerText();
  };
  for (const name of ["utf-8.txt", "mark.txt", "little.txt", "big.txt", "LICENSE", "script.ts", "notes.md"]) assert.equal(await seen(name), text, name);
  assert.equal(await seen("windows.txt"), "Grüße");
  assert.equal(await seen("long.log"), "é".repeat(128 * 1024)); // not half a character at its end
  await dialog(page).getByText("These are the first 262 KB of 400 KB.").waitFor();
  await page.keyboard.press("PageDown");
  await page.waitForFunction(() => document.querySelector(".preview-paper").scrollTop > 0);
  for (const [name, reason] of Object.entries({ "data.bin": "no preview of such files", "zeros.txt": "no preview of such files", "none.txt": "It is empty" })) {
    await look(page, "Text", name);
    await dialog(page).getByText(reason).waitFor();
    assert.equal(await content(page, "pre").count(), 0);
  }
  for (const link of [dialog(page).locator("header a"), content(page, "a")]) {
    const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
    assert.equal(download.suggestedFilename(), "none.txt");
  }
});

// --- hostile files ---

const EVIL = "document.title = 'evil'; top.evil = 1; alert('evil')";
const SVG = `<?xml version="1.0"?>
<?xml-stylesheet type="text/xsl" href="data:text/xml,&lt;x/&gt;"?>
<svg xmlns="http://www.w3.org/2000/svg" width="320" height="200" onload="${EVIL}">
  <style>rect { fill: rgb(0, 128, 0) }</style>
  <script>${EVIL}</script>
  <rect width="320" height="200" onclick="${EVIL}"/>
  <foreignObject width="320" height="200"><body xmlns="http://www.w3.org/1999/xhtml"><iframe src="javascript:${EVIL}"/><img src="x" onerror="${EVIL}"/></body></foreignObject>
  <image href="https://elsewhere.example/" width="10" height="10"/>
</svg>`;
const HTML = `<!DOCTYPE html><title>x</title><script>${EVIL}</script><img src=x onerror="${EVIL}"><b>bold</b>`;
const HOSTILE = {
  "picture.svg": SVG, "page.html": HTML, "page.xhtml": HTML, "data.xml": SVG, "page.htm": HTML,
  "\"><img src=x onerror=alert(1)>.txt": "text", "'><script>alert(1)<!--.png": png(20, 20), "#view=..%2f?x&y.txt": "text", "\u202etxt.exe": "text",
};

scenario("what hostile files hold is seen, and not run", async (page, context) => {
  for (const [name, data] of Object.entries(HOSTILE)) {
    await makeFiles(context, { "Hostile/": null });
    const answer = await context.request.put(`${origin}/Hostile/${encodeURIComponent(name)}`, { data, headers: { Authorization: `Basic ${btoa("alice:wonderland")}` } });
    assert.ok(answer.ok(), name);
  }
  await logIn(page, "/Hostile/");
  page.on("dialog", (alert) => assert.fail(alert.message()));
  await ready(page);
  for (const [name, data] of Object.entries(HOSTILE)) {
    await page.goto(`${origin}/Hostile/#view=${encodeURIComponent(name)}`);
    await shows(page, name.replace("\u202e", "\ufffd"));
    if (/\.(svg|png)$/.test(name)) await page.waitForFunction(() => document.querySelector(".preview-stage img")?.naturalWidth > 0);
    else assert.equal(await content(page, "pre").innerText(), data);
    if (name.endsWith(".svg")) await content(page, "img").click(); // on what would run
    assert.deepEqual(await page.evaluate(() => [window.evil, document.title, document.querySelectorAll("dialog b, dialog script").length]), [undefined, "Hostile", 0]);
  }
  // Nor from their own addresses: they are downloads.
  for (const name of ["picture.svg", "page.html"]) {
    const download = page.waitForEvent("download");
    await page.evaluate((href) => (location.href = href), `/Hostile/${name}`);
    await download;
  }
  assert.equal(await page.title(), "Hostile");
});

// --- what goes wrong ---

scenario("a file that is gone, one that is broken, and no connection", async (page, context) => {
  const files = Object.fromEntries(["a", "b", "c"].map((name) => [`Wrong/${name}.png`, png(30, 30)]));
  await makeFiles(context, { ...files, "Wrong/d broken.png": "no image", "Wrong/e.txt": "text", "Wrong/f broken.mp4": "no film" });
  await logIn(page, "/Wrong/");
  await ready(page);
  await context.request.delete(`${origin}/Wrong/b.png`, { headers: { Authorization: `Basic ${btoa("alice:wonderland")}` } });
  await open(page, "b.png");
  await dialog(page).getByText("not here any more").waitFor();
  assert.equal(await content(page, "a, button").count(), 0); // nothing can be done about it
  for (const name of ["d broken.png", "f broken.mp4"]) {
    await look(page, "Wrong", name);
    await dialog(page).getByText("This browser cannot show it").waitFor();
    await content(page, "a").filter({ hasText: "Download" }).waitFor();
  }
  await look(page, "Wrong", "e.txt");
  await context.setOffline(true);
  await page.keyboard.press("ArrowLeft"); // d broken.png
  await page.keyboard.press("ArrowLeft");
  await dialog(page).getByText("no connection").waitFor();
  await context.setOffline(false);
  await page.getByRole("button", { name: "Try again" }).click();
  await content(page, "img").waitFor();
  await shows(page, "c.png");
}, { expected: /status of 404|ERR_INTERNET_DISCONNECTED/ });

for (const [device, options] of looks)
  scenario(`${device}: previews`, async (page, context) => {
    await makeFiles(context, { "Looks/image.png": png(1800, 1200), "Looks/sound.wav": wav(90), "Looks/card.zip": Buffer.alloc(2000), "Looks/text.txt": "All that is gold does not glitter,\n".repeat(8) });
    await logIn(page, "/Looks/");
    for (const name of ["image.png", "text.txt", "sound.wav", "card.zip"]) {
      await look(page, "Looks", name);
      await content(page, "img, pre, audio, a").waitFor();
      await screenshot(page, `${device}-preview-${name.split(".")[0]}`, {});
      assert.ok(await page.evaluate(() => document.querySelector(".preview").scrollWidth <= innerWidth));
      if (/text|card/.test(name)) await accessible(page, ".preview"); // what is around the others is the same
    }
  }, options);
