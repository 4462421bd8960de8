/** The stages of a compile and a load as a list that grows while they run. */
import { element } from "./element.ts";
import { millisecondsText } from "./quantity.ts";

interface Row {
  readonly name: string;
  readonly start: number;
  readonly bar: HTMLElement;
  readonly time: HTMLElement;
  readonly item: HTMLElement;
}

/** Milliseconds before which nothing is said of the rest. */
const leastElapsed = 500;

export class StageList {
  readonly #list: HTMLElement;
  #current: Row | undefined;

  constructor(list: HTMLElement) {
    this.#list = list;
  }

  clear(): void {
    this.#current = undefined;
    this.#list.replaceChildren();
  }

  /** A new name ends the stage before. */
  update(name: string, done: number, total: number): void {
    if (this.#current?.name !== name) {
      this.finish();
      this.#current = this.#add(name);
    }
    const share = total > 0 ? Math.min(1, done / total) : 0;
    this.#current.bar.style.width = `${100 * share}%`;
    this.#current.time.textContent = this.#left(this.#current, done, total);
  }

  /** What is done, and what the rest may take at the same pace. */
  #left({ start }: Row, done: number, total: number): string {
    if (total <= 1 || done <= 0 || done >= total) return "";
    const elapsed = performance.now() - start;
    const rest = elapsed < leastElapsed ? "" : `, ${millisecondsText((elapsed / done) * (total - done))} left`;
    return `${done} of ${total}${rest}`;
  }

  /** Ends the stage under way. */
  finish(): void {
    if (this.#current === undefined) return;
    const { start, bar, time, item } = this.#current;
    bar.style.width = "100%";
    time.textContent = millisecondsText(performance.now() - start);
    item.classList.remove("running");
    this.#current = undefined;
  }

  /** Marks the stage under way as the one that failed. */
  fail(): void {
    this.#current?.item.classList.replace("running", "broken");
    this.#current = undefined;
  }

  #add(name: string): Row {
    const bar = element("span", { class: "bar" });
    const time = element("span", { class: "stage-time" });
    const item = element(
      "li",
      { class: "running" },
      element("span", {}, name),
      element("span", { class: "track" }, bar),
      time,
    );
    this.#list.append(item);
    return { name, start: performance.now(), bar, time, item };
  }
}
