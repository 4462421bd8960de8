/**
 * `leafcutter bench sizes`: every float model compiled to shares of the bytes of its file, without samples, as anybody would. Sizes by part,
 * seconds, and quality: on the inputs that the compiler makes up, and on the data set beside the model, which it does not see.
 */
import { stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { QualityMeter } from "../compiler/budget/quality.ts";
import type { Sample } from "../compiler/budget/tools.ts";
import { compile, LeafcutterError, type Package } from "../compiler/compile.ts";
import { diskFolder, fileSource } from "../compiler/file-source.ts";
import { type DataSet, readDataSets } from "../compiler/import/data-set.ts";
import { matchPorts } from "../compiler/import/match-ports.ts";
import { load } from "../runtime/index.ts";

export interface SizesOptions {
  /** .onnx files or folders with model.onnx. */
  readonly targets: readonly string[];
  /** Of the bytes of the model's file. */
  readonly shares: readonly number[];
  readonly json?: string;
  readonly print: (line: string) => void;
}

interface PartBytes {
  readonly all: number;
  readonly weights: number;
  readonly modules: number;
  /** Program, manifest and shaders. */
  readonly rest: number;
}

export interface SizeRow {
  readonly model: string;
  readonly modelBytes: number;
  readonly share: number;
  readonly limit: number;
  readonly seconds: number;
  /** Of the processors that the process had. */
  readonly processorSeconds: number;
  /** Why there is no package. */
  readonly failure?: string;
  readonly bytes?: PartBytes;
  /** Layers by scheme. */
  readonly schemes?: Readonly<Record<string, number>>;
  /** Mean cosine of the outputs against those of the float model, on made-up inputs; 1 when the float model fits. */
  readonly quality?: number;
  /** The same, and the worst output's SQNR in dB, on the data sets beside the model; absent without any. */
  readonly seen?: { readonly cosine: number; readonly decibels: number };
}

export async function runSizesBench({ targets, shares, json, print }: SizesOptions): Promise<readonly SizeRow[]> {
  print(
    "| model | share | package | weights | modules | rest | quality | on data | layers | seconds (of processors) |",
  );
  print("|---|---|---|---|---|---|---|---|---|---|");
  const rows: SizeRow[] = [];
  for (const target of targets)
    for (const share of shares) {
      const row = await measure(target, share);
      rows.push(row);
      print(textOf(row));
      if (json !== undefined) await writeFile(json, JSON.stringify(rows, undefined, 2));
    }
  return rows;
}

async function measure(target: string, share: number): Promise<SizeRow> {
  const path = (await stat(target)).isFile() ? target : join(target, "model.onnx");
  const model = path === target ? basename(path).replace(/\.onnx$/, "") : basename(resolve(target));
  const modelBytes = (await stat(path)).size;
  const limit = Math.floor(share * modelBytes);
  const sets = await readDataSets(diskFolder(dirname(path)));
  const [first] = sets;
  const started = performance.now();
  const before = process.cpuUsage();
  const row = (rest: Partial<SizeRow>): SizeRow => {
    const seconds = (performance.now() - started) / 1000;
    const { user, system } = process.cpuUsage(before);
    const processorSeconds = (user + system) / 1e6;
    return { model, modelBytes, share, limit, seconds, processorSeconds, ...rest };
  };
  try {
    const made = await compile(fileSource(path), {
      name: model,
      maxSize: limit,
      ...(first ? { sampleShapes: first.inputs, batchFromSample: true } : {}),
    });
    const known = row({ bytes: partsOf(made), quality: made.report.budget?.chosen.quality ?? 1 });
    const schemes: Record<string, number> = {};
    for (const { storage } of made.report.storage) schemes[storage] = (schemes[storage] ?? 0) + 1;
    const seen = await compareWithData(made, sets);
    return { ...known, schemes, ...(seen ? { seen } : {}) };
  } catch (error) {
    if (!(error instanceof LeafcutterError)) throw error;
    return row({ failure: `${error.diagnostic.message}: ${error.diagnostic.received ?? error.code}` });
  }
}

function partsOf({ manifest, report }: Package): PartBytes {
  const sum = (list: readonly { readonly bytes: number }[]): number => list.reduce((all, { bytes }) => all + bytes, 0);
  const [weights, modules] = [sum(manifest.shards), sum(manifest.modules)];
  return { all: report.totalBytes, weights, modules, rest: report.totalBytes - weights - modules };
}

async function compareWithData({ files, manifest }: Package, sets: readonly DataSet[]): Promise<SizeRow["seen"]> {
  if (sets.length === 0) return undefined;
  const byName = (ports: readonly { readonly name: string }[], tensors: DataSet["inputs"]): Sample =>
    Object.fromEntries(
      matchPorts(
        ports.map(({ name }) => name),
        tensors,
      ),
    );
  const session = await load(Object.fromEntries(files), { worker: false });
  try {
    const meter = new QualityMeter();
    for (const { inputs, outputs } of sets)
      meter.add(byName(manifest.outputs, outputs), await session.run(byName(manifest.inputs, inputs)));
    const { score, outputs } = meter.finish();
    return { cosine: score, decibels: Math.min(...outputs.map(({ sqnr }) => sqnr)) };
  } finally {
    await session.dispose();
  }
}

const kilobytes = (bytes: number): string => `${(bytes / 1000).toFixed(0)} kB`;

/** One and so many nines, and a digit. */
const likeness = (value: number): string => {
  const nines = Math.max(2, Math.min(7, Math.ceil(-Math.log10(Math.max(1 - value, 1e-9))) + 1));
  return value >= 1 ? "1" : (Math.floor(value * 10 ** nines) / 10 ** nines).toFixed(nines);
};

function textOf({
  model,
  share,
  limit,
  seconds,
  processorSeconds,
  failure,
  bytes,
  schemes,
  quality,
  seen,
}: SizeRow): string {
  const time = `${seconds.toFixed(1)} (${processorSeconds.toFixed(1)})`;
  const front = `| ${model} | ${(100 * share).toFixed(0)} % |`;
  if (failure !== undefined || !bytes) return `${front} above ${kilobytes(limit)}: ${failure} | | | | | | | ${time} |`;
  const layers = Object.entries(schemes ?? {}).map(([name, count]) => `${count} ${name}`);
  const data = seen ? `${likeness(seen.cosine)}, ${seen.decibels.toFixed(0)} dB` : "";
  return `${front} ${[
    ...[bytes.all, bytes.weights, bytes.modules, bytes.rest].map(kilobytes),
    likeness(quality ?? 1),
    data,
    layers.length === 0 ? "as they are" : layers.join(", "),
    time,
  ].join(" | ")} |`;
}
