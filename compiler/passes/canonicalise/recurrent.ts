/**
 * LSTM, GRU and RNN with constant weights as leafcutter.Recurrent: W and R as matrices, outputs that nobody uses gone. Of
 * more than one time step the products with W become one leafcutter.MatMul over all of them, its columns in the order in
 * which the recurrent kernel reads them; of a single one the kernel computes them, and Y is Y_h under another shape.
 */
import { type Tensor, tensorOf } from "../../../runtime/format/tensor.ts";
import { integerAttribute, integerOf, stringAttribute, stringOf } from "../../graph/attribute.ts";
import type { Attributes, Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import type { RecurrentCell, RecurrentOutput } from "../../kernels/problem.ts";
import { blockUnits, gateCounts } from "../../kernels/recurrent/panel.ts";
import { reshape } from "../reshape.ts";
import { placelessStorage, reshapedStorage } from "../storage.ts";
import { reshaped } from "../tensor-transform.ts";

const cells: Readonly<Record<string, RecurrentCell>> = { LSTM: "lstm", GRU: "gru", RNN: "rnn" };
const outputNames: readonly RecurrentOutput[] = ["Y", "Y_h", "Y_c"];

export function canonicalRecurrent(node: Node, context: RewriteContext): readonly (Value | undefined)[] | undefined {
  const cell = cells[node.op];
  const [x, w, r, bias, lengths, initialH, initialC, peepholes] = node.inputs;
  const weights = w && context.constant(w);
  const recurrent = r && context.constant(r);
  if (!cell || !x || !weights || !recurrent || x.type.dtype !== "float32") return undefined;
  if ([bias, peepholes].some((value) => value && !context.constant(value))) return undefined;
  const batchFirst = integerOf(node, "layout", 0) === 1;
  const time = x.type.shape[batchFirst ? 1 : 0];
  const [directions = 1, rows = 1, inputSize = 1] = weights.shape;
  const hidden = recurrent.shape[2] ?? 1;
  const isWhole = !lengths || (context.constant(lengths)?.data as Int32Array | undefined)?.every((n) => n === time);
  const isSingle = time === 1;
  const isUsed = (value: Value | undefined): boolean =>
    value !== undefined && (context.consumers(value).length > 0 || context.isOutput(value));
  const wanted = outputNames.filter((_, index) => isUsed(node.outputs[index]));
  // What a single step puts out is its state.
  const sameState = isSingle && isWhole;
  const outputs = sameState
    ? outputNames
        .filter((name) => wanted.includes(name) || (name === "Y_h" && wanted.includes("Y")))
        .slice(wanted.includes("Y") ? 1 : 0)
    : wanted;
  if (outputs.length === 0) return undefined;

  const shape = { cell, directions, gates: gateCounts[cell], hidden };
  const biases = bias && context.constant(bias);
  const input = isSingle ? x : projected(node, context, shape, x, w as Value, biases);
  const matrix = (value: Value, tensor: Tensor, columns: number): Value => {
    const extents = [directions * rows, columns];
    const storage = reshapedStorage(value.type.storage, tensor.shape, extents);
    return context.addConstant(value.name, reshaped(tensor, extents), storage);
  };
  const keepsBias = isSingle || (cell === "gru" && integerOf(node, "linear_before_reset", 0) !== 0);
  const { hidden_size: _, output_sequence: __, direction: ___, ...kept } = node.attributes;
  const direction = stringOf(node, "direction", "forward");
  const attributes: Attributes = {
    ...kept,
    cell: stringAttribute(cell),
    direction: stringAttribute(isSingle && isWhole && direction === "reverse" ? "forward" : direction),
    outputs: { kind: "strings", value: outputs },
    ...(batchFirst ? { layout: integerAttribute(1) } : {}),
  };
  const results = context.emitNode(
    "leafcutter.Recurrent",
    [
      input,
      isSingle ? matrix(w as Value, weights, inputSize) : undefined,
      matrix(r as Value, recurrent, hidden),
      keepsBias ? bias : undefined,
      isWhole ? undefined : lengths,
      nonZero(context, initialH),
      cell === "lstm" ? nonZero(context, initialC) : undefined,
      cell === "lstm" ? peepholes : undefined,
    ],
    attributes,
    { name: node.name },
  );
  return node.outputs.map((output, index) => {
    const name = outputNames[index] as RecurrentOutput;
    const state = results[outputs.indexOf("Y_h")];
    if (sameState && name === "Y" && wanted.includes("Y")) return state && reshape(context, state, output.type.shape);
    return results[outputs.indexOf(name)];
  });
}

/** A state that starts at zero is none. */
const nonZero = (context: RewriteContext, state: Value | undefined): Value | undefined =>
  state && (context.constant(state)?.data as Float32Array | undefined)?.every((value) => value === 0)
    ? undefined
    : state;

interface Shape {
  readonly cell: RecurrentCell;
  readonly directions: number;
  readonly gates: number;
  readonly hidden: number;
}

/** x·W with every bias that is summed to it: units in blocks of four, gate by gate inside a block. */
function projected(
  node: Node,
  context: RewriteContext,
  { cell, directions, gates, hidden }: Shape,
  x: Value,
  w: Value,
  biases: Tensor | undefined,
): Value {
  const weights = context.constant(w) as Tensor;
  const depth = weights.shape[2] ?? 1;
  const blocks = Math.ceil(hidden / blockUnits);
  const columns = directions * blocks * gates * blockUnits;
  const rows = new Float32Array(columns * depth);
  const starts = new Float32Array(columns);
  const resetsLater = integerOf(node, "linear_before_reset", 0) !== 0;
  for (let d = 0; d < directions; d++)
    for (let gate = 0; gate < gates; gate++)
      for (let unit = 0; unit < hidden; unit++) {
        const block = d * blocks + Math.floor(unit / blockUnits);
        const column = (block * gates + gate) * blockUnits + (unit % blockUnits);
        const source = (d * gates + gate) * hidden + unit;
        const row = (weights.data as Float32Array).subarray(source * depth, (source + 1) * depth);
        rows.set(row, column * depth);
        const first = (2 * d * gates + gate) * hidden + unit;
        // The hidden gate's own bias waits inside the product that is reset.
        const apart = cell === "gru" && resetsLater && gate === 2;
        const own = Number(biases?.data[first] ?? 0);
        starts[column] = own + (apart ? 0 : Number(biases?.data[first + gates * hidden] ?? 0));
      }
  const name = `${node.name}/input`;
  return context.emit(
    "leafcutter.MatMul",
    [
      x,
      context.addConstant(w.name, tensorOf("float32", [columns, depth], rows), placelessStorage(w.type.storage)),
      biases && context.addConstant(`${name}/bias`, tensorOf("float32", [columns], starts)),
    ],
    { transposeB: integerAttribute(1) },
    { name },
  );
}
