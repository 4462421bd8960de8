/** What LSTM, GRU, RNN and their canonical form have in common: extents, checked operand shapes, types of Y, Y_h and Y_c. */
import { integerOf, stringOf } from "../../graph/attribute.ts";
import { type Dim, sameDim } from "../../graph/dimension.ts";
import type { TensorType } from "../../graph/graph.ts";
import type { RecurrentCell, RecurrentProblem } from "../../kernels/problem.ts";
import type { OperatorContext } from "../operator.ts";

export const gates: Readonly<Record<RecurrentCell, number>> = { lstm: 4, gru: 3, rnn: 1 };

/** Activation functions of one direction. */
export const defaultActivations: Readonly<Record<RecurrentCell, readonly string[]>> = {
  lstm: ["Sigmoid", "Tanh", "Tanh"],
  gru: ["Sigmoid", "Tanh"],
  rnn: ["Tanh"],
};

export interface Layer {
  readonly direction: RecurrentProblem["direction"];
  readonly directions: number;
  readonly batchFirst: boolean;
  readonly time: Dim;
  readonly batch: Dim;
}

/** Extents that follow from the first input and the attributes. */
export function layerOf(context: OperatorContext): Layer {
  const { node } = context;
  const direction = stringOf(node, "direction", "forward");
  if (direction !== "forward" && direction !== "reverse" && direction !== "bidirectional")
    return context.fail("attribute direction is unknown", "forward, reverse or bidirectional", direction);
  const { shape } = context.type(0);
  if (shape.length !== 3) context.fail("the input is not a batch of sequences", "rank 3", `rank ${shape.length}`);
  const [outer = 1, second = 1] = shape;
  const batchFirst = integerOf(node, "layout", 0) === 1;
  const [time, batch] = batchFirst ? [second, outer] : [outer, second];
  return { direction, directions: direction === "bidirectional" ? 2 : 1, batchFirst, time, batch };
}

/** Refuses an operand (if there is one) whose extents are known and others than these. */
function expectShape(context: OperatorContext, index: number, name: string, shape: readonly Dim[]): void {
  if (!context.has(index)) return;
  const given = context.type(index).shape;
  const fits =
    given.length === shape.length &&
    given.every((dim, axis) => {
      const wanted = shape[axis] as Dim;
      return sameDim(dim, wanted) || typeof dim !== "number" || typeof wanted !== "number";
    });
  if (!fits) context.fail(`${name} has the wrong shape`, `[${shape.join(", ")}]`, `[${given.join(", ")}]`);
}

/** Types of Y, Y_h and Y_c. */
export function outputTypes(context: OperatorContext, layer: Layer, hidden: Dim): readonly TensorType[] {
  const { dtype } = context.type(0);
  const { directions, time, batch, batchFirst } = layer;
  const state = batchFirst ? [batch, directions, hidden] : [directions, batch, hidden];
  const sequence = batchFirst ? [batch, time, directions, hidden] : [time, directions, batch, hidden];
  return [sequence, state, state].map((shape) => ({ dtype, shape }));
}

/** The type rule of an ONNX operator: X, W [D, G*H, I], R [D, G*H, H], B, sequence_lens, initial_h, initial_c, P. */
export function inferLayer(context: OperatorContext, cell: RecurrentCell): readonly TensorType[] {
  const layer = layerOf(context);
  const { directions, batch, batchFirst } = layer;
  const hidden = context.type(2).shape[2] ?? context.fail("R is no stack of matrices", "rank 3");
  const rows = (factor: number): Dim => (typeof hidden === "number" ? factor * hidden : ["*", hidden, factor]);
  const state = batchFirst ? [batch, directions, hidden] : [directions, batch, hidden];
  expectShape(context, 1, "W", [directions, rows(gates[cell]), context.type(0).shape[2] as Dim]);
  expectShape(context, 2, "R", [directions, rows(gates[cell]), hidden]);
  expectShape(context, 3, "B", [directions, rows(2 * gates[cell])]);
  expectShape(context, 4, "sequence_lens", [batch]);
  expectShape(context, 5, "initial_h", state);
  if (cell === "lstm") {
    expectShape(context, 6, "initial_c", state);
    expectShape(context, 7, "P", [directions, rows(3)]);
  }
  const most = cell === "lstm" ? 3 : 2;
  return outputTypes(context, layer, hidden).slice(0, Math.min(context.node.outputs.length || most, most));
}
