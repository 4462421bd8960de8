/** What a fresh page (or process) reports of one engine, in milliseconds since its navigation (or start). */
import { decodeTensors, type Tensors } from "../tensor-bundle.ts";

export interface Visit {
  /** Engine up, no weights; null where this visit does not tell. */
  readonly readyMs: number | null;
  readonly firstOutputMs: number | null;
  /** A run() from the page to the worker and back, inputs copied, several times after the first. */
  readonly roundTripMs: readonly number[];
}

/** What a page is asked to do, as the query of its address; addresses are relative to the page. */
export interface VisitQuery {
  readonly package?: string;
  readonly backend?: string;
  readonly model?: string;
  readonly twin?: string;
  readonly inputs?: string;
  readonly engine?: string;
  /** Any value: measure round trips too. */
  readonly roundTrips?: string;
}

const leastRuns = 3;
const mostRoundTrips = 50;
const roundTripBudgetMs = 1500;
const leastRoundTrips = 5;

export async function fetchTensors(address: string): Promise<Tensors> {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: HTTP status ${response.status}`);
  return decodeTensors(new Uint8Array(await response.arrayBuffer()));
}

/**
 * What follows the first output: runs up to the third, for the peak of memory, then the milliseconds of each of several
 * calls; none unless the query asks for them.
 */
export async function runOn(query: VisitQuery, run: () => Promise<unknown>): Promise<readonly number[]> {
  for (let runs = 1; runs < leastRuns; runs++) await run();
  if (query.roundTrips === undefined) return [];
  const samples: number[] = [];
  const end = performance.now() + roundTripBudgetMs;
  while (samples.length < leastRoundTrips || (samples.length < mostRoundTrips && performance.now() < end)) {
    const start = performance.now();
    await run();
    samples.push(performance.now() - start);
  }
  return samples;
}

/** Makes the result of a page's script readable for the bench. */
export function publish(visit: (query: VisitQuery) => Promise<Visit>): void {
  const query = Object.fromEntries(new URLSearchParams(location.search)) as VisitQuery;
  const result = visit(query);
  result.catch(() => undefined);
  Object.assign(globalThis, { leafcutterVisit: result });
}
