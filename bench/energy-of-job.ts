/** What a run of each engine takes: engines one by one, each alone in a page or process of its own. */
import { type EnergyCoefficients, estimatedEnergy, type RunEnergy } from "../compiler/budget/energy.ts";
import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import type { BenchBrowser } from "./browser.ts";
import { within } from "./driven-browser.ts";
import { type CounterOptions, openCounters } from "./energy-counters.ts";
import { estimateText, measureRuns } from "./energy-of-runs.ts";
import type { Job } from "./measure/job.ts";
import type { Row } from "./row.ts";

export interface BenchEnergyOptions {
  /** Folder of Linux's counters. */
  readonly powercap?: string;
  /** For estimates where there are no counters. */
  readonly coefficients: EnergyCoefficients;
}

/** Opening a model, and one window of runs, are over by then. */
const windowLimitMs = 300_000;

/** The one engine of `job` in a page; the counters are read here. */
export async function energyInPage(browser: BenchBrowser, job: Job, options: CounterOptions): Promise<RunEnergy> {
  const page = await browser.open("bench");
  const evaluate = <T>(expression: string): Promise<T> =>
    within(windowLimitMs, "a window of runs", page.evaluate<T>(expression));
  try {
    const variant = await evaluate<string>(`leafcutterBench.openAlone(${JSON.stringify(job)})`);
    const counters = await openCounters({ ...options, graphics: variant === "webgpu" });
    try {
      return await measureRuns(counters, (milliseconds) => evaluate<number>(`leafcutterBench.runFor(${milliseconds})`));
    } finally {
      counters.close();
    }
  } finally {
    await page.close().catch(() => undefined);
  }
}

/** What gives rows their energy: `measure` while the counters can be read, else estimates; `print` says once why. */
export class RowEnergy {
  readonly #options: BenchEnergyOptions;
  readonly #print: (line: string) => void;
  #isMeasured: boolean | undefined;

  constructor(options: BenchEnergyOptions, print: (line: string) => void) {
    this.#options = options;
    this.#print = print;
  }

  async of(row: Row, measure: (options: CounterOptions) => Promise<RunEnergy>): Promise<Row> {
    if (row.status === "failed") return row;
    const { powercap, coefficients } = this.#options;
    const counters: CounterOptions = powercap === undefined ? {} : { powercap };
    this.#isMeasured ??= await this.#canRead(counters);
    if (this.#isMeasured) {
      try {
        return { ...row, energy: await measure(counters) };
      } catch (error) {
        this.#print(
          `${row.model}, ${row.engine}: no measured energy: ${error instanceof Error ? error.message : error}`,
        );
      }
    }
    return row.profile === undefined ? row : { ...row, energy: estimatedEnergy(row.profile, coefficients) };
  }

  async #canRead(options: CounterOptions): Promise<boolean> {
    try {
      (await openCounters({ ...options, graphics: true })).close();
      return true;
    } catch (error) {
      if (!(error instanceof LeafcutterError)) throw error;
      this.#print(estimateText(error, this.#options.coefficients));
      return false;
    }
  }
}
