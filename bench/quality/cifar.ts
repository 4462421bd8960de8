/**
 * Accuracy of the CIFAR-10 network: mean over seeded draws of calibration images, scored on all the others. One row per
 * scheme, in points below the float network on the same images.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Sample } from "../../compiler/budget/tools.ts";
import type { Graph } from "../../compiler/graph/graph.ts";
import { readCifar } from "../../compiler/import/samples/cifar.ts";
import { defaultPreprocessing, preprocess } from "../../compiler/import/samples/preprocess.ts";
import type { Scheme } from "../../compiler/quantize/scheme.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { calibrateOn, calibrateWithoutData, everyLayer, loadModel, runAll } from "./evaluate.ts";

export interface CifarRow {
  readonly name: string;
  readonly goal: number;
  /** Points below float, one a draw. */
  readonly drops: readonly number[];
}

const draws = 5;
const calibrationImages = 32;
const int8: Scheme = { kind: "int8", activationBits: 8, dynamic: false };
const int4: Scheme = { kind: "int4", blockSize: 32, zeros: true };

/** `shared`: the folder with demo-models and data. `each`: every n-th image only, to try it out. */
export async function measureCifar(
  shared: string,
  each: number,
  print: (line: string) => void,
): Promise<readonly CifarRow[]> {
  const model = await loadModel(join(shared, "demo-models/cifar10/model.onnx"));
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
  const rightOf = async (graph: Graph): Promise<readonly boolean[]> => {
    const right: boolean[] = [];
    await runAll(graph, count, sampleAt, (outputs, index) => {
      const [output] = Object.values(outputs);
      const values = Array.from((output?.data ?? []) as ArrayLike<number>);
      right.push(values.indexOf(Math.max(...values)) === labels[index * each]);
    });
    return right;
  };
  const float = await rightOf(model.graph);
  const scoreOf = (right: readonly boolean[], drawn: ReadonlySet<number>): number => {
    const scored = right.filter((_, index) => !drawn.has(index));
    return (100 * scored.filter(Boolean).length) / scored.length;
  };
  const sets = Array.from({ length: draws }, (_, draw) => drawnImages(count, draw + 1));
  const floatScores = sets.map((drawn) => scoreOf(float, drawn));
  print(`CIFAR-10, ${count} images: float ${mean(floatScores).toFixed(2)} %`);

  const rows: CifarRow[] = [];
  const add = async (
    name: string,
    goal: number,
    rightIn: (drawn: ReadonlySet<number>) => Promise<readonly boolean[]>,
  ) => {
    const drops: number[] = [];
    for (const [draw, drawn] of sets.entries())
      drops.push((floatScores[draw] as number) - scoreOf(await rightIn(drawn), drawn));
    const row = { name, goal, drops };
    rows.push(row);
    print(formatCifarRow(row));
  };
  const calibrated = await Promise.all(
    sets.map(async (drawn) => ({ drawn, prepared: await calibrateOn(model, [...drawn].map(sampleAt)) })),
  );
  const withData = (scheme: Scheme) => async (drawn: ReadonlySet<number>) => {
    const found = calibrated.find((one) => one.drawn === drawn) as (typeof calibrated)[number];
    return rightOf(everyLayer(found.prepared, scheme));
  };
  await add("int8 static", 0.1, withData(int8));
  const dataFree = rightOf(everyLayer(await calibrateWithoutData(model), int8));
  await add("int8 static, no data", 0.2, () => dataFree);
  await add("int4 weights, blocks of 32", 0.2, withData(int4));
  return rows;
}

export const formatCifarRow = ({ name, goal, drops }: CifarRow): string =>
  `  ${name.padEnd(28)} ${mean(drops).toFixed(3).padStart(7)} points below float (at most ${goal}; draws ${drops.map((drop) => drop.toFixed(2)).join(" ")})`;

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);

/** The first of a seeded order of all images. */
function drawnImages(count: number, seed: number): ReadonlySet<number> {
  const keys = new Float32Array(count);
  fillRandom("float32", keys, seed);
  const order = Array.from(keys.keys()).sort((a, b) => (keys[a] as number) - (keys[b] as number));
  return new Set(order.slice(0, calibrationImages));
}
