/**
 * `leafcutter bench quality`: what storing a language model's weights in fewer bits does to its perplexity on eval.txt, without
 * data and with calibration.txt, by executing the very kernels that a package has.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openExecution } from "../compiler/execution.ts";
import { diskFolder, fileSource } from "../compiler/file-source.ts";
import type { Graph, Node, Value } from "../compiler/graph/graph.ts";
import { readDataSets } from "../compiler/import/data-set.ts";
import { importOnnx } from "../compiler/import/onnx/import.ts";
import { optimise } from "../compiler/pipeline.ts";
import { defaultCosts } from "../compiler/plan/default-costs.ts";
import { makePlan } from "../compiler/plan/make-plan.ts";
import { applySchemes } from "../compiler/quantize/apply-schemes.ts";
import { calibrate } from "../compiler/quantize/calibrate.ts";
import type { Calibration } from "../compiler/quantize/calibration.ts";
import { type LanguageModel, languageModelOf } from "../compiler/quantize/language-model.ts";
import { layersOf } from "../compiler/quantize/layer.ts";
import { calibrateOnOwnText } from "../compiler/quantize/own-text.ts";
import { perplexity, windowsOf } from "../compiler/quantize/perplexity.ts";
import { parseScheme, type Scheme, schemeName } from "../compiler/quantize/scheme.ts";
import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import { readTokens } from "./language-text.ts";

export interface QualityBenchOptions {
  /** The model's folder. */
  readonly folder: string;
  /** Comma-separated: a scheme's name, or `products+tables` with a scheme for each. */
  readonly mixes: string;
  /** Evaluate this many evenly spaced windows only. */
  readonly windows?: number;
  /** Without calibration.txt, and on a tenth of the windows unless `windows` says how many. */
  readonly quick?: boolean;
  readonly json?: string;
  readonly print?: (line: string) => void;
}

export interface QualityRow {
  readonly mix: string;
  /** What weights were rounded by. */
  readonly data: "none" | "calibration.txt" | "float";
  readonly perplexity: number;
  /** Against float, as a share. */
  readonly change: number;
  /** Standard error of the change, from its spread over the windows. */
  readonly changeError: number;
  /** All weight bytes x 8 / parameters. */
  readonly effectiveBits: number;
}

interface Mix {
  readonly name: string;
  readonly products: Scheme;
  /** Of weights that a table reads, whoever else does. */
  readonly tables: Scheme;
}

/** Tokens of a window: the context that the demo's model was trained on. */
const context = 256;
/** Most windows of calibration.txt that statistics are from, evenly spaced. */
const calibrationWindows = 160;
/** Share of the windows that a quick measurement takes. */
const quickShare = 0.1;

/** Throws LeafcutterError for a folder without its texts or a model that is no language model. */
export async function runQualityBench(options: QualityBenchOptions): Promise<readonly QualityRow[]> {
  const { folder, json, print = () => undefined } = options;
  const mixes = parseMixes(options.mixes);
  const graph = await openGraph(folder);
  const model = modelOf(graph, folder);
  const all = windowsOf(await readTokens(folder, "eval.txt"), context);
  const { quick = false, windows = quick ? Math.ceil(quickShare * all.length) : all.length } = options;
  const evaluated = evenly(all, windows);
  const parameters = [...graph.constants.values()].reduce((sum, tensor) => sum + tensor.data.length, 0);
  const rows: QualityRow[] = [];
  let floatLosses: readonly number[] | undefined;
  const measure = async (mix: string, data: QualityRow["data"], candidate: Graph): Promise<void> => {
    const execution = await openExecution(candidate, []);
    const { perplexity: value, losses } = await perplexity(model, execution, evaluated);
    execution.close();
    floatLosses ??= losses;
    const bytes = makePlan(candidate, defaultCosts).weights.reduce((sum, weight) => sum + weight.bytes.byteLength, 0);
    const change = value / (rows[0]?.perplexity ?? value) - 1;
    const row: QualityRow = {
      mix,
      data,
      perplexity: value,
      change,
      changeError: (1 + change) * standardError(losses, floatLosses),
      effectiveBits: (8 * bytes) / parameters,
    };
    rows.push(row);
    print(rowText(row));
  };
  print(`${evaluated.length * context} of ${all.length * context} tokens, ${parameters} parameters`);
  print("weights (products + tables)      rounded by        perplexity            change   bits");
  await measure("float32", "float", graph);
  for (const data of quick ? (["none"] as const) : (["none", "calibration.txt"] as const)) {
    // Rounding to int8 and float16 asks for no statistics.
    const informed = mixes.filter(({ products, tables }) => [products, tables].some(({ kind }) => isInBlocks(kind)));
    if (data !== "none" && informed.length === 0) continue;
    const calibration = informed.length > 0 ? await calibrationOf(graph, model, data, folder) : undefined;
    for (const mix of data === "none" ? mixes : informed)
      await measure(mix.name, data, applySchemes(graph, picksOf(graph, mix), calibration, { correctBias: false }));
  }
  if (json !== undefined) await writeFile(json, `${JSON.stringify(rows, undefined, 2)}\n`);
  return rows;
}

/** Of the mean of a - b. */
function standardError(a: readonly number[], b: readonly number[]): number {
  const differences = a.map((value, i) => value - (b[i] as number));
  const mean = differences.reduce((sum, value) => sum + value, 0) / a.length;
  const squares = differences.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return a.length > 1 ? Math.sqrt(squares / (a.length - 1) / a.length) : 0;
}

const isInBlocks = (kind: Scheme["kind"]): boolean => kind === "int4" || kind === "nf4";

function parseMixes(text: string): readonly Mix[] {
  return text.split(",").map((word) => {
    const [products = "", tables = products] = word.trim().split("+");
    const [left, right] = [schemeOf(products), schemeOf(tables)];
    const names = [schemeName(left), schemeName(right)];
    return { name: names[0] === names[1] ? (names[0] ?? "") : names.join(" + "), products: left, tables: right };
  });
}

function schemeOf(name: string): Scheme {
  const scheme = parseScheme(name.trim());
  if (scheme) return scheme;
  throw new LeafcutterError({
    code: "option-invalid",
    where: "--schemes",
    message: `${name} is no scheme`,
    expected: "float32, float16, int8-weights, int4/32, int4/64 symmetric, nf4/32…, or two joined by +",
  });
}

/** For one window and an empty cache: the shapes of the data set beside the model, its prompt as long as a window. */
async function openGraph(folder: string): Promise<Graph> {
  const [set] = await readDataSets(diskFolder(folder));
  const perToken = new Set(["input_ids", "attention_mask", "position_ids"]);
  const sampleShapes = (set?.inputs ?? []).map((input) =>
    input.name !== undefined && perToken.has(input.name)
      ? { name: input.name, index: input.index, shape: [1, context] }
      : input,
  );
  return optimise(await importOnnx(fileSource(join(folder, "model.onnx")), { sampleShapes, batchFromSample: true }));
}

function modelOf(graph: Graph, folder: string): LanguageModel {
  const model = languageModelOf(graph);
  if (model) return model;
  throw new LeafcutterError({
    code: "model-unsupported",
    where: folder,
    message: "only language models are measured by perplexity",
    expected: "an input input_ids [1, tokens] and a first output [1, tokens, vocabulary]",
  });
}

async function calibrationOf(
  graph: Graph,
  model: LanguageModel,
  data: "none" | "calibration.txt",
  folder: string,
): Promise<Calibration> {
  if (data === "none") return calibrateOnOwnText(graph, model, { open: openExecution });
  const windows = windowsOf(await readTokens(folder, "calibration.txt"), context);
  const samples = evenly(windows, calibrationWindows).map((window) => model.sample(Array.from(window).slice(0, -1)));
  return calibrate(graph, samples, { open: openExecution, source: "samples", secondMoments: true });
}

function evenly<T>(items: readonly T[], count: number): readonly T[] {
  const taken = Math.min(count, items.length);
  return Array.from({ length: taken }, (_, i) => items[Math.floor((i * items.length) / taken)] as T);
}

function picksOf(graph: Graph, { products, tables }: Mix): ReadonlyMap<Node, Scheme> {
  const layers = layersOf(graph);
  const ofTables = new Set<Value>(layers.flatMap(({ kind, weights }) => (kind === "table" ? [weights] : [])));
  return new Map(layers.map(({ node, weights }) => [node, ofTables.has(weights) ? tables : products]));
}

function rowText({ mix, data, perplexity: value, change, changeError, effectiveBits }: QualityRow): string {
  const percent =
    data === "float"
      ? ""
      : `${change >= 0 ? "+" : ""}${(100 * change).toFixed(2)} +- ${(100 * changeError).toFixed(2)} %`;
  return `${mix.padEnd(32)} ${data.padEnd(16)} ${value.toFixed(3).padStart(11)} ${percent.padStart(17)} ${effectiveBits.toFixed(2).padStart(6)}`;
}
