/**
 * Recurrent layers. The range is batch rows of all directions (direction by direction); time is walked inside, since
 * every step needs the one before. State lives in scratch, the sequence is written where it belongs.
 */
import { addDims, type Dim, multiplyDims } from "../../graph/dimension.ts";
import type { BoundStep, Buffer, Family, View } from "../contract.ts";
import { isApplicable } from "../expression/apply.ts";
import { keyOf } from "../expression/memo.ts";
import type { RecurrentProblem } from "../problem.ts";
import { addressWord, integerWord, type NamedArguments } from "../tile/words.ts";
import { packRecurrent } from "./pack.ts";
import { blockUnits, gateCounts, panelLayout, rowLayout } from "./panel.ts";
import { type RecurrentVariant, recurrentVariants } from "./variants.ts";
import { emitRecurrent } from "./wasm.ts";
import { recurrentWgsl } from "./wgsl.ts";

/** Operations of the gates of one unit, about. */
const gateOperations = 60;

const directionsOf = ({ direction }: RecurrentProblem): number => (direction === "bidirectional" ? 2 : 1);

/** Multiply-adds of one batch row of one direction at one time, ragged blocks included. */
const productsOf = (problem: RecurrentProblem): number =>
  panelLayout(problem).blocks *
  blockUnits *
  gateCounts[problem.cell] *
  (problem.hiddenSize + (problem.projected ? 0 : problem.inputSize));

export const recurrentFamily: Family<RecurrentProblem, RecurrentVariant> = {
  name: "recurrent",
  variants: recurrentVariants,
  strided: true,
  // As many sums as registers hold beside the weights.
  accepts: ({ rows }, problem) =>
    problem.activations.every((activation) => isApplicable(activation, 1)) &&
    (rows === 1 ||
      ((typeof problem.batch !== "number" || problem.batch >= rows) && rows === (problem.cell === "lstm" ? 2 : 3))),
  work: (_, problem, extent) =>
    extent(problem.time) * extent(problem.batch) * directionsOf(problem) * productsOf(problem),
  overheads(_, problem, extent) {
    const steps = extent(problem.time) * extent(problem.batch) * directionsOf(problem);
    const { blocks } = panelLayout(problem);
    return { steps, blocks: steps * blocks, gates: steps * blocks * blockUnits * gateCounts[problem.cell] };
  },
  packedOperands: () => [1, 2, 3, 7],
  pack: (_, problem, constants, storage) => packRecurrent(problem, constants, storage),
  scratchBytes: (_, problem) => multiplyDims(problem.batch, directionsOf(problem) * rowLayout(problem).bytes),
  bind: (variant, problem, [x, , , , lengths, h, c], outputs, packed, scratch) =>
    bindRecurrent(variant, problem, { x: x as View, lengths, h, c }, outputs, packed as Buffer, scratch as Buffer),
};

interface Operands {
  readonly x: View;
  readonly lengths: View | undefined;
  readonly h: View | undefined;
  readonly c: View | undefined;
}

function bindRecurrent(
  variant: RecurrentVariant,
  problem: RecurrentProblem,
  { x, lengths, h, c }: Operands,
  outputs: readonly View[],
  packed: Buffer,
  scratch: Buffer,
): BoundStep {
  const { time, batch, batchFirst } = problem;
  const stride = (view: View, axis: number): Dim => view.strides[axis] as Dim;
  /** Strides of time or direction, and of the batch. */
  const state = (name: string, view: View, access: "read" | "write"): NamedArguments => [
    addressWord(name, view, access),
    integerWord(`${name}Direction`, stride(view, batchFirst ? 1 : 0)),
    integerWord(`${name}Batch`, stride(view, batchFirst ? 0 : 1)),
  ];
  const sequence = (view: View): NamedArguments => [
    addressWord("Y", view, "write"),
    integerWord("YTime", stride(view, batchFirst ? 1 : 0)),
    integerWord("YDirection", stride(view, batchFirst ? 2 : 1)),
    integerWord("YBatch", stride(view, batchFirst ? 0 : 2)),
  ];
  const named: NamedArguments = [
    addressWord("x", x, "read"),
    integerWord("xTime", stride(x, batchFirst ? 1 : 0)),
    integerWord("xBatch", stride(x, batchFirst ? 0 : 1)),
    addressWord("panels", { buffer: packed, offset: 0 }, "read"),
    addressWord("scratch", { buffer: scratch, offset: 0 }, "scratch"),
    integerWord("time", time),
    integerWord("batch", batch),
    ...(lengths ? [addressWord("lengths", lengths, "read"), integerWord("lengthsBatch", stride(lengths, 0))] : []),
    ...(h ? state("initialH", h, "read") : []),
    ...(c ? state("initialC", c, "read") : []),
    ...problem.outputs.flatMap((name, index) => {
      const view = outputs[index] as View;
      return name === "Y" ? sequence(view) : state(name, view, "write");
    }),
  ];
  const { time: _, batch: __, ...fixed } = problem;
  const shape = { ...fixed, rows: variant.rows, names: named.map(([name]) => name) };
  const rows = multiplyDims(batch, directionsOf(problem));
  const steps = multiplyDims(rows, time);
  const written = multiplyDims(steps, problem.hiddenSize * 4);
  return {
    kernel: {
      key: `recurrent ${keyOf(shape)}`,
      name: `${problem.cell} ${variant.name} ${problem.stateWeights.storage}`,
      emitWasm: (context) => emitRecurrent(context, problem, variant.rows, shape.names),
      emitWgsl: () => recurrentWgsl(problem, shape.names),
    },
    arguments: named.map(([, argument]) => argument),
    range: rows,
    flops: multiplyDims(steps, 2 * productsOf(problem) + gateOperations * problem.hiddenSize),
    bytes: addDims(multiplyDims(time, batch, problem.inputSize * 4), written, packed.bytes),
    invocations: rows,
  };
}
