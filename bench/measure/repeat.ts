/** Work repeated for a time, as windows of an energy counter need it. */

/** Runs again and again for about so many milliseconds, once at least; how often. */
export type RunFor = (milliseconds: number) => Promise<number>;

/** In Node, what reads the counter is in this thread, and has its turn so often. */
const turnMs = 20;

const turn = (): Promise<void> =>
  typeof setImmediate === "undefined" ? Promise.resolve() : new Promise((resolve) => setImmediate(resolve));

export const repeat =
  (run: () => Promise<unknown>): RunFor =>
  async (milliseconds) => {
    let now = performance.now();
    const end = now + milliseconds;
    let next = now + turnMs;
    let runs = 0;
    do {
      await run();
      runs++;
      now = performance.now();
      if (now < next) continue;
      await turn();
      next = now + turnMs;
    } while (now < end);
    return runs;
  };
