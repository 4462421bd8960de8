/** What the bench reports: the JSON file's content. */
import type { RunEnergy } from "../compiler/budget/energy.ts";
import type { Stats } from "../runtime/index.ts";
import type { BrowserName } from "./driven-browser.ts";
import type { WeightStream } from "./measure/weight-stream.ts";
import type { EngineName } from "./page/engine.ts";
import type { Roof } from "./roof.ts";

export type Where = BrowserName | "node";

/** Versions of the browsers by their names. */
export interface Host extends Partial<Readonly<Record<BrowserName, string>>> {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly platform: string;
  readonly node: string;
  /** ISO 8601. */
  readonly date: string;
  readonly roof: Partial<Readonly<Record<Where, Roof>>>;
}

export type Profile = NonNullable<Stats["steps"]>;

/** One engine with one model in one place. Numbers are null where they do not exist or could not be measured. */
export interface Row {
  readonly model: string;
  readonly engine: EngineName;
  /** How the weights are stored; a peer has the model as it is given. */
  readonly precision: string;
  readonly variant: string;
  readonly where: Where;
  /** How many the engine was asked to run on; the variant tells whether Leafcutter did. */
  readonly threads: number;
  readonly medianMs: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  /** Navigation (in Node: start of the process) to the engine being up without weights, less an empty page's. */
  readonly readyMs: number | null;
  /** Navigation to the first output, less an empty page's. */
  readonly firstOutputMs: number | null;
  /** Peak resident memory of the page's process, less an empty page's. */
  readonly peakBytes: number | null;
  /** Largest |a - b| / max|b| against the data set, else against the peers. */
  readonly maxError: number | null;

  readonly status: "ok" | "wrong" | "failed";
  readonly reason?: string;
  /** Runs a second. */
  readonly throughput: number | null;
  /** Median of a run() from the page to the worker and back. */
  readonly roundTripMs: number | null;
  /** Bodies of everything fetched up to the first output, uncompressed, without the inputs. */
  readonly bytesFetched: number | null;
  readonly samples: number;
  readonly runsPerSample: number;
  /** On Leafcutter's rows: a peer's median over Leafcutter's, for peers whose outputs agree. */
  readonly ratio?: Partial<Readonly<Record<EngineName, number>>>;
  /** On Leafcutter's rows of one thread: the median that a device profile predicted. */
  readonly predictedMs?: number;
  /** With its tier; estimates are of Leafcutter's rows alone. */
  readonly energy?: RunEnergy;
  /** On Leafcutter's rows: time of each step. */
  readonly profile?: Profile;
  /** On Leafcutter's rows of models that are bound by their weights: runs beside reads of as many bytes. */
  readonly weightStream?: WeightStream;
}

export interface Results {
  readonly host: Host;
  readonly rows: readonly Row[];
}
