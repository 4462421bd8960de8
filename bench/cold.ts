/**
 * What loading costs: visits of fresh pages (or processes), the engines in turns, each less an empty page's; and the
 * peak memory of a page in a browser of its own, up to the third run.
 */
import { readFile } from "node:fs/promises";
import { type BenchBrowser, launchBrowser } from "./browser.ts";
import type { BrowserName } from "./driven-browser.ts";
import { median } from "./measure/statistics.ts";
import { inNode } from "./node-process.ts";
import type { EngineName } from "./page/engine.ts";
import type { Visit, VisitQuery } from "./page/visit.ts";
import type { Server } from "./serve.ts";

export interface Cold {
  readonly readyMs: number | null;
  readonly firstOutputMs: number | null;
  readonly roundTripMs: number | null;
  readonly bytesFetched: number | null;
  readonly peakBytes: number | null;
}

/** One engine's page. `ready` is a visit without a model, for engines whose page cannot tell both. */
export interface ColdSubject {
  readonly engine: EngineName;
  readonly query: VisitQuery;
  readonly ready?: VisitQuery;
}

interface VisitResult {
  readonly visit: Visit;
  readonly bytes: number | null;
  readonly peakBytes: number | null;
}

type Visitor = (query: VisitQuery) => Promise<VisitResult>;

/** What an application would fetch: not the page itself, not the inputs. */
const countedPrefixes = ["/assets/", "/package/", "/onnxruntime-web/", "/tfjs/", "/model.onnx", "/twin/"];

const pageOf = (engine: string | undefined): "cold-empty" | "cold-leafcutter" | "cold-peer" => {
  if (engine === undefined) return "cold-empty";
  return engine === "leafcutter" ? "cold-leafcutter" : "cold-peer";
};

async function visitPage(server: Server, browser: BenchBrowser, query: VisitQuery): Promise<VisitResult> {
  server.resetCount();
  const page = await browser.open(pageOf(query.engine), query as Readonly<Record<string, string>>);
  try {
    const visit = await page.evaluate<Visit>("leafcutterVisit");
    return { visit, bytes: server.bytesSent(countedPrefixes), peakBytes: await peakOfRenderers(browser) };
  } finally {
    await page.close().catch(() => undefined);
  }
}

/** The page's own process is the largest of the renderers; null where /proc does not tell. */
async function peakOfRenderers(browser: BenchBrowser): Promise<number | null> {
  const peaks = await Promise.all(
    (await browser.renderers()).map(async (id) => {
      const status = await readFile(`/proc/${id}/status`, "utf8").catch(() => "");
      return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
    }),
  );
  return peaks.length === 0 || Math.max(...peaks) === 0 ? null : Math.max(...peaks);
}

/** A visitor of pages in `browser`. */
export function pageVisitor(server: Server, browser: BenchBrowser): Visitor {
  return (query) => visitPage(server, browser, query);
}

/** A visitor with a browser for each visit, so that the largest renderer is this page's. */
export function memoryVisitor(server: Server, name: BrowserName): Visitor {
  return async (query) => {
    const browser = await launchBrowser(server, name);
    try {
      return await visitPage(server, browser, query);
    } finally {
      await browser.close();
    }
  };
}

/** A visitor that is a process of Node. */
export function nodeVisitor(): Visitor {
  return async (query) => {
    const { visit, peakBytes } = await inNode({ kind: "visit", query });
    return { visit, bytes: null, peakBytes };
  };
}

const valuesOf = (visits: readonly VisitResult[], value: (result: VisitResult) => number | null): readonly number[] =>
  visits.flatMap((result) => {
    const known = value(result);
    return known === null ? [] : [known];
  });

const medianOrNull = (values: readonly number[]): number | null => (values.length === 0 ? null : median(values));

/** Null also when noise has made the empty page the slower one. */
const less = (value: number | null, base: number | null): number | null =>
  value === null || base === null || value <= base ? null : value - base;

/**
 * Visits the empty page and every subject `visits` times in turns. A subject whose visit fails has nulls. `memory` is
 * the visitor for peak memory; without it the peaks of the ordinary visits count.
 */
export async function measureCold(
  subjects: readonly ColdSubject[],
  visits: number,
  visitor: Visitor,
  memory?: Visitor,
): Promise<ReadonlyMap<EngineName, Cold>> {
  const empty: VisitResult[] = [];
  const results = subjects.map((subject) => ({ subject, ready: [] as VisitResult[], full: [] as VisitResult[] }));
  const failed = new Set<EngineName>();
  for (let round = 0; round < visits; round++) {
    empty.push(await visitor({}));
    for (const { subject, ready, full } of results) {
      if (failed.has(subject.engine)) continue;
      const isLast = round === visits - 1;
      try {
        if (subject.ready !== undefined) ready.push(await visitor(subject.ready));
        full.push(await visitor(isLast ? { ...subject.query, roundTrips: "1" } : subject.query));
      } catch {
        // The warm measurement of the same engine says why.
        failed.add(subject.engine);
      }
    }
  }
  const emptyMs = medianOrNull(valuesOf(empty, ({ visit }) => visit.readyMs));
  const emptyPeak =
    memory === undefined ? medianOrNull(valuesOf(empty, ({ peakBytes }) => peakBytes)) : await peakOf(memory, {});
  const cold = new Map<EngineName, Cold>();
  for (const { subject, ready, full } of results) {
    if (failed.has(subject.engine)) continue;
    const readyVisits = subject.ready === undefined ? full : ready;
    const peak =
      memory === undefined
        ? medianOrNull(valuesOf(full, ({ peakBytes }) => peakBytes))
        : await peakOf(memory, subject.query);
    cold.set(subject.engine, {
      readyMs: less(medianOrNull(valuesOf(readyVisits, ({ visit }) => visit.readyMs)), emptyMs),
      firstOutputMs: less(medianOrNull(valuesOf(full, ({ visit }) => visit.firstOutputMs)), emptyMs),
      roundTripMs: medianOrNull(full.flatMap(({ visit }) => visit.roundTripMs)),
      bytesFetched: medianOrNull(valuesOf(full, ({ bytes }) => bytes)),
      peakBytes: less(peak, emptyPeak),
    });
  }
  return cold;
}

async function peakOf(memory: Visitor, query: VisitQuery): Promise<number | null> {
  try {
    return (await memory(query)).peakBytes;
  } catch {
    return null;
  }
}
