/**
 * `leafcutter bench`: measures models or packages in a Chromium Worker and in Node, beside the peers, and returns rows.
 * Reports are written by report.ts. Nothing else should run on the machine meanwhile.
 */
import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { cpus, totalmem } from "node:os";
import { basename, dirname, resolve } from "node:path";
import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import type { Backend } from "../runtime/index.ts";
import { type BenchBrowser, launchBrowser, openServer } from "./browser.ts";
import { type Cold, type ColdSubject, measureCold, memoryVisitor, nodeVisitor, pageVisitor } from "./cold.ts";
import type { EngineResult, Job, JobResult, PeerName } from "./measure/job.ts";
import { inNode } from "./node-process.ts";
import type { EngineName } from "./page/engine.ts";
import type { VisitQuery } from "./page/visit.ts";
import { renderHtml } from "./report-html.ts";
import { renderTable } from "./report-table.ts";
import type { Roof } from "./roof.ts";
import type { Host, Results, Row, Where } from "./row.ts";
import type { Mount, Server } from "./serve.ts";
import { openTarget, type Target, type TargetOptions } from "./target.ts";
import { encodeTensors } from "./tensor-bundle.ts";

/** What the command line calls the peers. */
export type PeerFlag = "ort" | "tfjs";

export interface BenchOptions {
  /** .onnx files, folders with model.onnx, folders of packages; or targets that are open already. */
  readonly targets: readonly (string | Target)[];
  readonly where?: readonly Where[];
  readonly peers?: readonly PeerFlag[];
  /** Twins of the models in a peer's own format: "tfjs" -> path of model.json. */
  readonly twins?: Readonly<Partial<Record<PeerFlag, string>>>;
  readonly backend?: Backend;
  readonly rounds?: number;
  /** Milliseconds of the timed rounds of one model in one place; default 8000. */
  readonly budgetMs?: number;
  /** Fresh pages per engine; default 5, 0 leaves loading out. */
  readonly visits?: number;
  /** How .onnx targets are compiled. */
  readonly compile?: TargetOptions;
  readonly json?: string;
  readonly html?: string;
  /** Lines for people. */
  readonly print?: (line: string) => void;
}

const engineOf: Readonly<Record<PeerFlag, PeerName>> = { ort: "onnxruntime-web", tfjs: "tfjs" };

/** Folders of the peers' own files, by URL prefix. */
function peerMounts(): Readonly<Record<string, Mount>> {
  const mounts: Record<string, Mount> = {};
  const require = createRequire(import.meta.url);
  for (const [prefix, name] of [
    ["/onnxruntime-web/", "onnxruntime-web"],
    ["/tfjs/", "@tensorflow/tfjs-backend-wasm"],
  ] as const) {
    try {
      mounts[prefix] = { kind: "folder", path: dirname(require.resolve(name)) };
    } catch {
      // Not installed: the peer's rows will say that it failed.
    }
  }
  return mounts;
}

/** Puts a target on the server; returns what a job and a page need of it. */
function mountTarget(
  server: Server,
  target: Target,
  twin: string | undefined,
): Pick<Job, "package" | "model" | "twin" | "inputs" | "expected"> {
  const at = (path: string): string => `${server.url}${path}`;
  const tensors = new Map([["inputs", encodeTensors(target.inputs)]]);
  if (target.expected !== undefined) tensors.set("expected", encodeTensors(target.expected));
  server.mount("/inputs/", { kind: "memory", files: tensors });
  for (const prefix of ["/package/", "/model.onnx", "/twin/"]) server.unmount(prefix);
  if (!(target.package instanceof LeafcutterError))
    server.mount("/package/", { kind: "memory", files: target.package });
  if (target.model !== undefined) server.mount("/model.onnx", { kind: "file", path: resolve(target.model) });
  if (twin !== undefined) server.mount("/twin/", { kind: "folder", path: dirname(resolve(twin)) });
  return {
    ...(target.package instanceof LeafcutterError ? {} : { package: at("/package/") }),
    ...(target.model === undefined ? {} : { model: at("/model.onnx") }),
    ...(twin === undefined ? {} : { twin: at(`/twin/${basename(twin)}`) }),
    inputs: at("/inputs/inputs"),
    ...(target.expected === undefined ? {} : { expected: at("/inputs/expected") }),
  };
}

/** The page of each engine that takes part. */
function subjectsOf(job: Job): readonly ColdSubject[] {
  const { inputs, package: location, model, twin, backend } = job;
  const query = (engine: EngineName, rest: VisitQuery): VisitQuery => ({ engine, inputs, ...rest });
  return [
    ...(location === undefined
      ? []
      : [{ engine: "leafcutter", query: query("leafcutter", { package: location, backend }) } as const]),
    ...(model === undefined || !job.peers.includes("onnxruntime-web")
      ? []
      : [
          {
            engine: "onnxruntime-web",
            query: query("onnxruntime-web", { model }),
            ready: { engine: "onnxruntime-web" },
          } as const,
        ]),
    ...(twin === undefined || !job.peers.includes("tfjs")
      ? []
      : [{ engine: "tfjs", query: query("tfjs", { twin }), ready: { engine: "tfjs" } } as const]),
  ];
}

/** What stands in every row of one model in one place. */
interface RowContext {
  readonly target: Target;
  readonly where: Where;
  readonly cold: ReadonlyMap<EngineName, Cold>;
}

const nothingCold: Cold = {
  readyMs: null,
  firstOutputMs: null,
  roundTripMs: null,
  bytesFetched: null,
  peakBytes: null,
};

function rowOf(result: EngineResult, { target, where, cold }: RowContext): Row {
  const common = {
    model: target.name,
    engine: result.engine,
    precision: result.engine === "leafcutter" ? target.precision : "float32",
    where,
    threads: 1,
    ...(cold.get(result.engine) ?? nothingCold),
  } as const;
  if (result.status === "failed") {
    const { status, reason } = result;
    const unknown = { medianMs: null, p95Ms: null, p99Ms: null, throughput: null, maxError: null } as const;
    return { ...common, variant: "", ...unknown, samples: 0, runsPerSample: 1, status, reason };
  }
  const { variant, latency, runsPerSample, maxError, status, reason } = result;
  const finite = maxError !== null && Number.isFinite(maxError) ? maxError : null;
  return {
    ...common,
    variant,
    ...latency,
    runsPerSample,
    maxError: finite,
    status,
    ...(reason === undefined ? {} : { reason }),
  };
}

/** Rows of one job. Leafcutter's row has a ratio to each peer with which it agrees, none when it is wrong itself. */
export function rowsOf(result: JobResult, context: RowContext): readonly Row[] {
  const rows = result.engines.map((engine) => rowOf(engine, context));
  const own = result.engines.find(({ engine }) => engine === "leafcutter");
  const ratio: Partial<Record<EngineName, number>> = {};
  for (const peer of result.engines) {
    if (peer.engine === "leafcutter" || peer.status !== "ok" || !peer.agrees || own?.status !== "ok") continue;
    ratio[peer.engine] = peer.latency.medianMs / own.latency.medianMs;
  }
  return rows.map((row) => {
    if (row.engine !== "leafcutter") return row;
    const steps = result.stats?.steps;
    return {
      ...row,
      ...(row.status === "ok" && Object.keys(ratio).length > 0 ? { ratio } : {}),
      ...(steps === undefined ? {} : { profile: steps }),
    };
  });
}

interface Place {
  readonly where: Where;
  runJob(job: Job): Promise<JobResult>;
  roof(): Promise<Roof>;
  cold(subjects: readonly ColdSubject[], visits: number): Promise<ReadonlyMap<EngineName, Cold>>;
}

function chromiumPlace(server: Server, browser: BenchBrowser): Place {
  const inPage = async <T>(expression: string): Promise<T> => {
    const page = await browser.open("bench");
    try {
      return await page.evaluate<T>(expression);
    } finally {
      await page.close();
    }
  };
  return {
    where: "chromium",
    runJob: (job) => inPage<JobResult>(`leafcutterBench.runJob(${JSON.stringify(job)})`),
    roof: () => inPage<Roof>("leafcutterBench.measureRoof()"),
    cold: (subjects, visits) => measureCold(subjects, visits, pageVisitor(server, browser), memoryVisitor(server)),
  };
}

function nodePlace(): Place {
  return {
    where: "node",
    runJob: async (job) => (await inNode({ kind: "job", job })).result,
    roof: async () => (await inNode({ kind: "roof" })).roof,
    cold: (subjects, visits) => measureCold(subjects, visits, nodeVisitor()),
  };
}

/** The page or the process itself broke down: no engine has figures. */
function brokenJob(job: Job, error: unknown): JobResult {
  const reason = error instanceof Error ? error.message : String(error);
  const engines = subjectsOf(job).map(({ engine }) => ({ engine, status: "failed", reason }) as const);
  return { engines };
}

async function measureTarget(place: Place, job: Job, target: Target, visits: number): Promise<readonly Row[]> {
  const result = await place.runJob(job).catch((error: unknown): JobResult => brokenJob(job, error));
  const unpackaged: readonly EngineResult[] =
    target.package instanceof LeafcutterError
      ? [{ engine: "leafcutter", status: "failed", reason: target.package.message }]
      : [];
  const works = new Set(result.engines.flatMap(({ engine, status }) => (status === "failed" ? [] : [engine])));
  const subjects = subjectsOf(job).filter(({ engine }) => works.has(engine));
  const cold = visits === 0 ? new Map<EngineName, Cold>() : await place.cold(subjects, visits);
  return rowsOf({ ...result, engines: [...unpackaged, ...result.engines] }, { target, where: place.where, cold });
}

/** Measures, prints the table, writes the reports asked for. Throws LeafcutterError for targets that are none. */
export async function runBench(options: BenchOptions): Promise<Results> {
  const { where = ["chromium"], peers = ["ort"], twins = {}, backend = "auto", print = () => undefined } = options;
  const { rounds = 8, budgetMs = 8000, visits = 5 } = options;
  const server = await openServer(peerMounts());
  let browser: BenchBrowser | undefined;
  try {
    if (where.includes("chromium")) browser = await launchBrowser(server);
    const places = where.map((name) =>
      name === "chromium" && browser !== undefined ? chromiumPlace(server, browser) : nodePlace(),
    );
    const roof: Partial<Record<Where, Roof>> = {};
    for (const place of places) roof[place.where] = await place.roof();
    const rows: Row[] = [];
    for (const given of options.targets) {
      if (typeof given === "string") print(`${basename(resolve(given))}: opening`);
      const target = typeof given === "string" ? await openTarget(given, options.compile) : given;
      for (const place of places) {
        print(`${target.name}: measuring in ${place.where}`);
        const job: Job = {
          base: server.url,
          ...mountTarget(server, target, twins.tfjs),
          backend,
          rounded: target.precision !== "float32",
          peers: peers.map((peer) => engineOf[peer]),
          rounds,
          budgetMs,
        };
        rows.push(...(await measureTarget(place, job, target, visits)));
      }
    }
    const results: Results = { host: describeHost(roof, browser?.version), rows };
    print(renderTable(results));
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(results, undefined, 2)}\n`);
    if (options.html !== undefined) await writeFile(options.html, renderHtml(results));
    return results;
  } finally {
    await browser?.close();
    await server.close();
  }
}

function describeHost(roof: Host["roof"], chromium: string | undefined): Host {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryBytes: totalmem(),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    ...(chromium === undefined ? {} : { chromium }),
    date: new Date().toISOString(),
    roof,
  };
}
