// What fingers, mouse and wheel do on the stage of the preview: from file to file by a swipe; nearer to an image by a pinch, the
// wheel or a second tap, and around in it by dragging.

const SWIPE_PX = 60; // further than a finger slips
const TAP_PX = 8;
const TWICE_MS = 350;
const LARGEST = 8; // CSS pixels for one of the image's
const WHEEL_PX = 400; // of the wheel's way for e times the size

const apart = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);
const within = (value, limit) => Math.min(Math.max(value, -limit), limit);

export class Gestures {
  #stage;
  #image = null;
  #scale = 1; // 1: as it fits
  #x = 0; // of the image's middle from the stage's, in CSS pixels
  #y = 0;
  #pointers = new Map(); // those that are down: where they were seen last, and where first
  #tap = null;
  #onSwipe;
  #onZoom;

  // onSwipe(1 for the next one, -1 for the one before); onZoom(percent) when an image is seen in another size.
  constructor(stage, { onSwipe, onZoom }) {
    this.#stage = stage;
    this.#onSwipe = onSwipe;
    this.#onZoom = onZoom;
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    stage.addEventListener("pointerup", (event) => this.#up(event));
    stage.addEventListener("pointercancel", (event) => this.#forget(event));
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    new ResizeObserver(() => this.#image && this.#place(this.#scale, this.#x, this.#y)).observe(stage);
  }

  // From now on gestures are about this image, which is the stage's only child and fits into it; about none without.
  hold(image = null) {
    this.#image = image;
    this.#pointers.clear();
    this.#stage.classList.toggle("zoomable", Boolean(image));
    if (image) this.#place(1, 0, 0);
  }

  get isZoomed() {
    return this.#scale > 1;
  }

  // Between what fits and the image's own size (twice the size for an image that is small anyway). `at` is from the stage's middle.
  toggle(at = { x: 0, y: 0 }) {
    const own = 1 / this.#fit();
    this.zoom(this.isZoomed ? 1 : own > 1.01 ? own : 2, at);
  }

  // What is seen at `at` stays there.
  zoom(scale, at = { x: 0, y: 0 }) {
    if (!this.#image) return;
    const next = Math.min(Math.max(scale, 1), Math.max(LARGEST / this.#fit(), 2));
    const ratio = next / this.#scale;
    this.#place(next, at.x - (at.x - this.#x) * ratio, at.y - (at.y - this.#y) * ratio);
  }

  zoomBy(factor, at) {
    this.zoom(this.#scale * factor, at);
  }

  // How many CSS pixels one of the image's takes where it fits.
  #fit() {
    return this.#image.clientWidth / (this.#image.naturalWidth || this.#image.clientWidth) || 1;
  }

  #place(scale, x, y) {
    const { clientWidth: width, clientHeight: height } = this.#image;
    this.#scale = scale;
    this.#x = within(x, Math.max(0, (width * scale - this.#stage.clientWidth) / 2));
    this.#y = within(y, Math.max(0, (height * scale - this.#stage.clientHeight) / 2));
    this.#image.style.transform = scale === 1 ? "" : `translate(${this.#x}px, ${this.#y}px) scale(${scale})`;
    this.#stage.classList.toggle("zoomed", scale > 1);
    this.#onZoom(Math.round(100 * scale * this.#fit()));
  }

  #point(event) {
    const box = this.#stage.getBoundingClientRect();
    return { x: event.clientX - box.x - box.width / 2, y: event.clientY - box.y - box.height / 2 };
  }

  #down(event) {
    // Native controls have gestures of their own, and a mouse selects text.
    if (event.target.closest("video, audio, button, a")) return;
    if (!this.#image && event.pointerType === "mouse") return;
    const point = this.#point(event);
    this.#pointers.set(event.pointerId, { ...point, first: point });
  }

  #move(event) {
    const pointer = this.#pointers.get(event.pointerId);
    if (!pointer) return;
    const before = { x: pointer.x, y: pointer.y };
    Object.assign(pointer, this.#point(event));
    if (apart(pointer, pointer.first) > TAP_PX) {
      pointer.isDragged = true;
      this.#stage.setPointerCapture(event.pointerId); // not before: a click shall reach what is below it
    }
    if (!pointer.isDragged) return;
    const others = [...this.#pointers.values()].filter((other) => other !== pointer);
    if (this.#image && others.length === 1) this.#pinch(before, pointer, others[0]);
    else if (this.isZoomed && this.#image) this.#place(this.#scale, this.#x + pointer.x - before.x, this.#y + pointer.y - before.y);
    else if (event.pointerType !== "mouse") this.#drag(pointer.x - pointer.first.x);
  }

  #pinch(before, pointer, other) {
    other.isDragged = true; // neither is a tap or a swipe now
    pointer.isPinched = other.isPinched = true;
    this.#drag(0);
    this.zoomBy(apart(pointer, other) / Math.max(apart(before, other), 1), { x: (pointer.x + other.x) / 2, y: (pointer.y + other.y) / 2 });
  }

  #drag(x) {
    const content = this.#stage.firstElementChild;
    if (content) content.style.translate = x ? `${x}px` : "";
  }

  #up(event) {
    const pointer = this.#pointers.get(event.pointerId);
    if (!pointer) return;
    this.#forget(event);
    if (!pointer.isDragged) return this.#tapped(event, pointer);
    const x = pointer.x - pointer.first.x;
    const isSwipe = Math.abs(x) > SWIPE_PX && Math.abs(x) > 1.5 * Math.abs(pointer.y - pointer.first.y);
    const isZoomed = this.#image && this.isZoomed;
    if (isSwipe && !isZoomed && !pointer.isPinched && event.pointerType !== "mouse") this.#onSwipe(x < 0 ? 1 : -1);
  }

  #tapped(event, pointer) {
    if (!this.#image) return;
    const isSecond = this.#tap && event.timeStamp - this.#tap.time < TWICE_MS && apart(pointer, this.#tap) < 4 * TAP_PX;
    this.#tap = isSecond ? null : { x: pointer.x, y: pointer.y, time: event.timeStamp };
    if (isSecond) this.toggle(pointer);
  }

  #forget(event) {
    this.#pointers.delete(event.pointerId);
    this.#drag(0);
  }

  #wheel(event) {
    if (!this.#image) return;
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const pinch = event.ctrlKey ? 4 : 1; // a touchpad's pinch comes as a wheel that turns little
    this.zoomBy(Math.exp((-event.deltaY * lines * pinch) / WHEEL_PX), this.#point(event));
  }
}
