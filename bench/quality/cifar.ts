/**
 * Accuracy of the CIFAR-10 network: mean over seeded draws of calibration images, scored on all the others. One row per
 * scheme, and one for a package whose layers a size budget chose, in points below the float network on the same images.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Sample } from "../../compiler/budget/tools.ts";
import type { Graph } from "../../compiler/graph/graph.ts";
import { readCifar } from "../../compiler/import/samples/cifar.ts";
import { defaultPreprocessing, preprocess } from "../../compiler/import/samples/preprocess.ts";
import type { Scheme } from "../../compiler/quantize/scheme.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { load } from "../../runtime/index.ts";
import {
  calibrateOn,
  calibrateWeightsOn,
  calibrateWithoutData,
  everyLayer,
  loadModel,
  runAll,
  weightBytesOf,
} from "./evaluate.ts";
import { compileToWeightBytes } from "./weight-budget.ts";

export interface CifarRow {
  readonly name: string;
  readonly goal: number;
  /** Points below float, one a draw. */
  readonly drops: readonly number[];
  /** Of all constants as they are stored, one a draw. */
  readonly weightBytes: readonly number[];
  /** Mean weight bytes x 8 / parameters: scales and what stays in float are counted. */
  readonly effectiveBits: number;
  /** Weight bytes against those of an int8 package, where a budget asked for a share of them: the greatest of all draws. */
  readonly share?: number;
}

/** What ran, and which images it named rightly. */
interface Scored {
  readonly right: readonly boolean[];
  readonly weightBytes: number;
  readonly share?: number;
}

const draws = 5;
const calibrationImages = 32;
/** Of the int8 package's weight bytes. */
const budgetShare = 0.6;
const int8: Scheme = { kind: "int8", activationBits: 8, dynamic: false };
const int4: Scheme = { kind: "int4", blockSize: 32, zeros: true };

/** `shared`: the folder with demo-models and data. `each`: every n-th image only, to try it out. */
export async function measureCifar(
  shared: string,
  each: number,
  print: (line: string) => void,
): Promise<readonly CifarRow[]> {
  const path = join(shared, "demo-models/cifar10/model.onnx");
  const model = await loadModel(path);
  const parameters = [...model.graph.constants.values()].reduce((sum, { data }) => sum + data.length, 0);
  const file = "cifar10-test-2500.bin";
  const pictures = readCifar(await readFile(join(shared, "data", file)), file);
  const port = model.graph.inputs[0];
  const settings = port && defaultPreprocessing({ name: port.name, ...port.type });
  const { labels } = pictures;
  if (!port || !settings || !labels) throw new Error("the network takes no picture");
  const count = Math.floor(pictures.count / each);
  const sampleAt = (index: number): Sample => ({
    [port.name]: preprocess(pictures.picture(index * each), settings),
  });
  const isRight = (outputs: Sample, index: number): boolean => {
    const [output] = Object.values(outputs);
    const values = Array.from((output?.data ?? []) as ArrayLike<number>);
    return values.indexOf(Math.max(...values)) === labels[index * each];
  };
  const scoredGraph = async (graph: Graph): Promise<Scored> => {
    const right: boolean[] = [];
    await runAll(graph, count, sampleAt, (outputs, index) => right.push(isRight(outputs, index)));
    return { right, weightBytes: weightBytesOf(graph) };
  };
  const { right: float } = await scoredGraph(model.graph);
  const scoreOf = (right: readonly boolean[], drawn: ReadonlySet<number>): number => {
    const scored = right.filter((_, index) => !drawn.has(index));
    return (100 * scored.filter(Boolean).length) / scored.length;
  };
  const sets = Array.from({ length: draws }, (_, draw) => drawnImages(count, draw + 1));
  const floatScores = sets.map((drawn) => scoreOf(float, drawn));
  print(`CIFAR-10, ${count} images: float ${mean(floatScores).toFixed(2)} %`);

  const rows: CifarRow[] = [];
  const add = async (name: string, goal: number, scoredBy: (drawn: ReadonlySet<number>) => Promise<Scored>) => {
    const drops: number[] = [];
    const weightBytes: number[] = [];
    const shares: number[] = [];
    for (const [draw, drawn] of sets.entries()) {
      const scored = await scoredBy(drawn);
      drops.push((floatScores[draw] as number) - scoreOf(scored.right, drawn));
      weightBytes.push(scored.weightBytes);
      if (scored.share !== undefined) shares.push(scored.share);
    }
    const row: CifarRow = {
      name,
      goal,
      drops,
      weightBytes,
      effectiveBits: (8 * mean(weightBytes)) / parameters,
      ...(shares.length > 0 ? { share: Math.max(...shares) } : {}),
    };
    rows.push(row);
    print(formatCifarRow(row));
  };
  const withData = (scheme: Scheme, prepareOn: typeof calibrateOn) => async (drawn: ReadonlySet<number>) =>
    scoredGraph(everyLayer(await prepareOn(model, [...drawn].map(sampleAt)), scheme));
  await add("int8 static", 0.1, withData(int8, calibrateOn));
  const dataFree = scoredGraph(everyLayer(await calibrateWithoutData(model), int8));
  await add("int8 static, no data", 0.2, () => dataFree);
  await add("int4 weights, blocks of 32", 0.2, withData(int4, calibrateWeightsOn));
  await add(`${100 * budgetShare} % of int8's weight bytes`, 0.3, async (drawn) => {
    const { files, weightBytes, share } = await compileToWeightBytes(path, {
      samples: [...drawn].map(sampleAt),
      share: budgetShare,
      of: int8,
    });
    const session = await load(Object.fromEntries(files), { worker: false });
    const right: boolean[] = [];
    for (let index = 0; index < count; index++) right.push(isRight(await session.run(sampleAt(index)), index));
    await session.dispose();
    return { right, weightBytes, share };
  });
  return rows;
}

function formatCifarRow({ name, goal, drops, weightBytes, effectiveBits, share }: CifarRow): string {
  const list = drops.map((drop) => drop.toFixed(2)).join(" ");
  const of = share ? `, at most ${(100 * share).toFixed(1)} % of int8's` : "";
  const bytes = `${(mean(weightBytes) / 1e3).toFixed(1)} kB of weights${of}: ${effectiveBits.toFixed(2)} bits`;
  return `  ${name.padEnd(28)} ${mean(drops).toFixed(3).padStart(7)} points below float (at most ${goal}; draws ${list}); ${bytes}`;
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);

/** The first of a seeded order of all images. */
function drawnImages(count: number, seed: number): ReadonlySet<number> {
  const keys = new Float32Array(count);
  fillRandom("float32", keys, seed);
  const order = Array.from(keys.keys()).sort((a, b) => (keys[a] as number) - (keys[b] as number));
  return new Set(order.slice(0, calibrationImages));
}
