// How fast something goes: an average over the last seconds, in which what is longer ago counts less.

const SMOOTH_SECONDS = 6;
const INTERVAL_SECONDS = 0.5; // progress comes in bursts: what is measured more often is noise

export class Rate {
  #average = 0;
  #weight = 0; // what the average knows of is so much of what it will ever know; less in the beginning
  #amount = 0;
  #since = performance.now();

  add(amount) {
    this.#amount += amount;
  }

  // 0 where nothing is known yet.
  perSecond() {
    const seconds = (performance.now() - this.#since) / 1000;
    if (seconds >= INTERVAL_SECONDS) {
      const share = 1 - Math.exp(-seconds / SMOOTH_SECONDS);
      this.#average += share * (this.#amount / seconds - this.#average);
      this.#weight += share * (1 - this.#weight);
      this.#amount = 0;
      this.#since += seconds * 1000;
    }
    return this.#weight > 0 ? this.#average / this.#weight : 0;
  }

  // After a pause, which was not slow but none of it.
  restart() {
    this.#average = this.#weight = this.#amount = 0;
    this.#since = performance.now();
  }
}
