/**
 * `leafcutter bench`: measures models or packages in a Worker of each browser and in Node, beside the peers. A model, an
 * engine or a browser that breaks down is a row that says so; the reports are written after every model.
 * Nothing else should run on the machine meanwhile.
 */
import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { cpus, totalmem } from "node:os";
import { basename, dirname, resolve } from "node:path";
import type { RunEnergy } from "../compiler/budget/energy.ts";
import type { Scheme } from "../compiler/compile.ts";
import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import type { Backend } from "../runtime/index.ts";
import { type BenchBrowser, launchBrowser, openServer } from "./browser.ts";
import { type Cold, type ColdSubject, measureCold, memoryVisitor, nodeVisitor, pageVisitor } from "./cold.ts";
import { within } from "./driven-browser.ts";
import type { CounterOptions } from "./energy-counters.ts";
import { type BenchEnergyOptions, energyInPage, RowEnergy } from "./energy-of-job.ts";
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
  /** Numbers of threads to run on, each beside the others; default one thread. */
  readonly threads?: readonly number[];
  readonly rounds?: number;
  /** Milliseconds of the timed rounds of one model in one place; default 8000. */
  readonly budgetMs?: number;
  /** Fresh pages per engine; default 5, 0 leaves loading out. */
  readonly visits?: number;
  /** How .onnx targets are compiled. */
  readonly compile?: TargetOptions;
  /** Schemes for all layers, each of which makes a package of every .onnx target; default the model as it is. */
  readonly precisions?: readonly Scheme[];
  /** Measures the energy of a run of every engine. */
  readonly energy?: BenchEnergyOptions;
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
    precision: result.engine === "leafcutter" ? target.precision : "as given",
    where,
    threads: result.threads,
    // Pages are visited with one thread.
    ...((result.threads === 1 ? cold.get(result.engine) : undefined) ?? nothingCold),
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
    ...(result.engine === "leafcutter" && result.threads === 1 && target.predictedMs !== undefined
      ? { predictedMs: target.predictedMs }
      : {}),
  };
}

/**
 * Rows of one job. A row of Leafcutter's has a ratio to each peer on as many threads with which it agrees, none when it
 * is wrong itself; the first has the profile.
 */
export function rowsOf(result: JobResult, context: RowContext): readonly Row[] {
  const rows = result.engines.map((engine) => rowOf(engine, context));
  const first = rows.find(({ engine, status }) => engine === "leafcutter" && status !== "failed");
  return rows.map((row) => {
    if (row.engine !== "leafcutter") return row;
    const ratio = ratiosOf(row, result.engines);
    const compared = Object.keys(ratio).length > 0 ? { ...row, ratio } : row;
    if (row !== first) return compared;
    const steps = result.stats?.steps;
    return {
      ...compared,
      ...(steps === undefined ? {} : { profile: steps }),
      ...(result.weightStream === undefined ? {} : { weightStream: result.weightStream }),
    };
  });
}

function ratiosOf(own: Row, engines: readonly EngineResult[]): Partial<Record<EngineName, number>> {
  const ratio: Partial<Record<EngineName, number>> = {};
  for (const peer of engines) {
    if (peer.engine === "leafcutter" || peer.threads !== own.threads || peer.status !== "ok" || !peer.agrees) continue;
    if (own.status === "ok" && own.medianMs !== null) ratio[peer.engine] = peer.latency.medianMs / own.medianMs;
  }
  return ratio;
}

/** Slow models on slow engines take minutes; what takes longer hangs. */
const jobLimitMs = 1_800_000;

interface Place {
  readonly where: Where;
  runJob(job: Job): Promise<JobResult>;
  roof(): Promise<Roof>;
  /** Of the one engine of a job. */
  energy(job: Job, counters: CounterOptions): Promise<RunEnergy>;
  cold(subjects: readonly ColdSubject[], visits: number): Promise<ReadonlyMap<EngineName, Cold>>;
}

function browserPlace(server: Server, browser: BenchBrowser): Place {
  const inPage = async <T>(expression: string): Promise<T> => {
    const page = await browser.open("bench");
    try {
      return await within(jobLimitMs, "a measurement", page.evaluate<T>(expression));
    } finally {
      await page.close().catch(() => undefined);
    }
  };
  return {
    where: browser.name,
    runJob: (job) => inPage<JobResult>(`leafcutterBench.runJob(${JSON.stringify(job)})`),
    roof: () => inPage<Roof>("leafcutterBench.measureRoof()"),
    energy: (job, counters) => energyInPage(browser, job, counters),
    cold: (subjects, visits) =>
      measureCold(subjects, visits, pageVisitor(server, browser), memoryVisitor(server, browser.name)),
  };
}

function nodePlace(): Place {
  return {
    where: "node",
    runJob: async (job) => (await inNode({ kind: "job", job })).result,
    roof: async () => (await inNode({ kind: "roof" })).roof,
    energy: async (job, counters) => (await inNode({ kind: "energy", job, counters })).energy,
    cold: (subjects, visits) => measureCold(subjects, visits, nodeVisitor()),
  };
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The same work for one engine alone. */
function jobOf(job: Job, engine: EngineName): Job {
  if (engine === "leafcutter") return { ...job, peers: [] };
  const { package: _, ...rest } = job;
  return { ...rest, peers: [engine] };
}

/**
 * All engines in turns. When the page or the process breaks down under them, each engine alone: the one that broke it
 * has failed, and what the others measure is not compared, because it was not measured side by side.
 */
async function runAll(place: Place, job: Job): Promise<JobResult> {
  try {
    return await place.runJob(job);
  } catch (error) {
    const subjects = subjectsOf(job);
    const alone: JobResult[] = [];
    for (const { engine } of subjects) {
      const failed = (reason: unknown): JobResult => ({
        engines: job.threads.map((threads) => ({ engine, threads, status: "failed", reason: messageOf(reason) })),
      });
      alone.push(subjects.length === 1 ? failed(error) : await place.runJob(jobOf(job, engine)).catch(failed));
    }
    const engines = alone.flatMap((result) =>
      result.engines.map((row) => (row.status === "failed" ? row : { ...row, agrees: false })),
    );
    const stats = alone.find((result) => result.stats !== undefined)?.stats;
    return { engines, ...(stats === undefined ? {} : { stats }) };
  }
}

async function measureTarget(place: Place, job: Job, target: Target, visits: number): Promise<readonly Row[]> {
  const result = await runAll(place, job);
  const unpackaged: readonly EngineResult[] =
    target.package instanceof LeafcutterError
      ? job.threads.map((threads) => {
          const { message: reason } = target.package as LeafcutterError;
          return { engine: "leafcutter", threads, status: "failed", reason };
        })
      : [];
  const works = new Set(result.engines.flatMap(({ engine, status }) => (status === "failed" ? [] : [engine])));
  const subjects = subjectsOf(job).filter(({ engine }) => works.has(engine));
  const nothing = new Map<EngineName, Cold>();
  const cold =
    visits === 0 || !job.threads.includes(1) ? nothing : await place.cold(subjects, visits).catch(() => nothing);
  return rowsOf({ ...result, engines: [...unpackaged, ...result.engines] }, { target, where: place.where, cold });
}

/** A target as such, or as the one row there is of it. */
async function openGiven(
  given: string | Target,
  precision: Scheme | undefined,
  options: BenchOptions,
  where: Where,
): Promise<Target | Row> {
  if (typeof given !== "string") return given;
  const name = basename(resolve(given));
  options.print?.(`${name}: opening`);
  try {
    return await openTarget(given, {
      ...options.compile,
      ...(precision && precision.kind !== "float32" ? { precision } : {}),
    });
  } catch (error) {
    if (options.targets.length === 1) throw error;
    const target: Target = { name, package: new Map(), inputs: {}, precision: "" };
    const failed = { engine: "leafcutter", threads: 1, status: "failed", reason: messageOf(error) } as const;
    return rowOf(failed, { target, where, cold: new Map() });
  }
}

/** Measures, prints the table, writes the reports asked for. Throws LeafcutterError for a single target that is none. */
export async function runBench(options: BenchOptions): Promise<Results> {
  const { where = ["chromium"], peers = ["ort"], twins = {}, backend = "auto", print = () => undefined } = options;
  const { rounds = 8, budgetMs = 8000, visits = 5, threads = [1] } = options;
  const server = await openServer(peerMounts());
  const browsers: BenchBrowser[] = [];
  try {
    const places: Place[] = [];
    for (const name of where) {
      if (name === "node") places.push(nodePlace());
      else {
        const browser = await launchBrowser(server, name);
        browsers.push(browser);
        places.push(browserPlace(server, browser));
      }
    }
    const roof: Partial<Record<Where, Roof>> = {};
    for (const place of places) {
      const measured = await place
        .roof()
        .catch((error: unknown) => print(`no roof in ${place.where}: ${messageOf(error)}`));
      if (measured !== undefined) roof[place.where] = measured;
    }
    const energy = options.energy && new RowEnergy(options.energy, print);
    const rows: Row[] = [];
    const results = (): Results => ({ host: describeHost(roof, browsers), rows });
    const precisions: readonly (Scheme | undefined)[] = options.precisions ?? [undefined];
    for (const [given, precision] of options.targets.flatMap((given) =>
      precisions.map((precision) => [given, precision] as const),
    )) {
      const target = await openGiven(given, precision, options, where[0] ?? "node");
      if ("engine" in target) rows.push(target);
      else {
        for (const place of places) {
          print(`${target.name}: measuring in ${place.where}`);
          const job: Job = {
            base: server.url,
            ...mountTarget(server, target, twins.tfjs),
            backend,
            rounded: target.rounded ?? false,
            ...(target.steps ? { steps: target.steps } : {}),
            peers: peers.map((peer) => engineOf[peer]),
            threads,
            rounds,
            budgetMs,
          };
          for (const row of await measureTarget(place, job, target, visits)) {
            const alone = { ...jobOf(job, row.engine), threads: [row.threads] };
            rows.push(energy ? await energy.of(row, (counters) => place.energy(alone, counters)) : row);
          }
        }
      }
      await writeReports(results(), options);
    }
    print(renderTable(results()));
    return results();
  } finally {
    for (const browser of browsers) await browser.close().catch(() => undefined);
    await server.close();
  }
}

async function writeReports(results: Results, { json, html }: BenchOptions): Promise<void> {
  if (json !== undefined) await writeFile(json, `${JSON.stringify(results, undefined, 2)}\n`);
  if (html !== undefined) await writeFile(html, renderHtml(results));
}

function describeHost(roof: Host["roof"], browsers: readonly BenchBrowser[]): Host {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryBytes: totalmem(),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    ...Object.fromEntries(browsers.map(({ name, version }) => [name, version])),
    date: new Date().toISOString(),
    roof,
  };
}
