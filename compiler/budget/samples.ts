/**
 * Seeded stand-ins for real inputs, for budgets without samples: pixels in [0, 1) for what looks like an image, a
 * standard normal for other floats, row numbers for what indexes a table, and 1 for other integers (a mask of nothing). An input that has to have one value has it.
 */
import { numberToBfloat16, numberToFloat16 } from "../../runtime/format/half.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { elementCount, type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { evaluateDim } from "../graph/dimension.ts";
import { type Graph, type GraphIndex, indexGraph, type Node, type Value } from "../graph/graph.ts";
import type { Sample } from "./tools.ts";

const seed = 4177;
/** Uniform values whose sum stands for a normal one. */
const uniforms = 4;

/** `count` samples; a dimension with a range has one size in all of them, between its bounds. */
export function syntheticSamples(graph: Graph, count: number): readonly Sample[] {
  const bindings = new Map(
    [...graph.symbols].map(([name, { lower, upper }]) => {
      const middle = Math.round(Math.sqrt(Math.max(1, lower) * upper));
      return [name, Math.min(upper, Math.max(lower, middle))];
    }),
  );
  const index = indexGraph(graph);
  const inputs = graph.inputs.map((value) => ({
    value,
    shape: value.type.shape.map((dim) => evaluateDim(dim, bindings)),
    rows: rowsOf(value, index),
    fixed: graph.fixedInputs?.get(value.name),
  }));
  return Array.from({ length: count }, (_, sample) =>
    Object.fromEntries(
      inputs.map(({ value, shape, rows, fixed }, at) => [
        value.name,
        fixed
          ? tensorOf(value.type.dtype, shape, [...fixed])
          : synthetic(value, shape, rows, seed + sample * inputs.length + at),
      ]),
    ),
  );
}

function synthetic(value: Value, shape: readonly number[], rows: number | undefined, from: number): Tensor {
  const { dtype } = value.type;
  const length = elementCount(shape);
  const random = new Float32Array(length * uniforms);
  fillRandom("float32", random, from);
  const channels = [shape[1], shape[3]];
  const isImage = shape.length === 4 && (channels.includes(1) || channels.includes(3));
  const unit = (i: number): number => ((random[i] as number) + 1) / 2;
  switch (dtype) {
    case "float32":
    case "float64":
    case "float16":
    case "bfloat16": {
      const values = Array.from({ length }, (_, i) => (isImage ? unit(i) : normal(random, i)));
      if (dtype === "float16") return { dtype, shape, data: Uint16Array.from(values, numberToFloat16) };
      if (dtype === "bfloat16") return { dtype, shape, data: Uint16Array.from(values, numberToBfloat16) };
      return tensorOf(dtype, shape, values);
    }
    default: {
      const below = rows ?? (dtype === "uint8" && isImage ? 256 : undefined);
      return tensorOf(
        dtype,
        shape,
        Array.from({ length }, (_, i) => (below === undefined ? 1 : Math.floor(unit(i) * below))),
      );
    }
  }
}

/** The sum of uniform values in [-1, 1), scaled to variance 1. */
function normal(random: Float32Array, i: number): number {
  let sum = 0;
  for (let k = 0; k < uniforms; k++) sum += random[i * uniforms + k] as number;
  return sum * Math.sqrt(3 / uniforms);
}

/** Rows of the smallest table that `value` indexes, perhaps behind operators that keep or reshape it. */
function rowsOf(value: Value, index: GraphIndex): number | undefined {
  const seen = new Set<Value>();
  const pending = [value];
  let rows: number | undefined;
  for (let next = pending.pop(); next; next = pending.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    for (const node of index.consumers(next)) {
      const extent = node.op === "Gather" && node.inputs[1] === next ? tableRows(node) : undefined;
      if (extent !== undefined) rows = Math.min(rows ?? extent, extent);
      else if (node.inputs[0] === next && carriesIndices.has(node.op)) pending.push(...node.outputs);
    }
  }
  return rows;
}

const carriesIndices: ReadonlySet<string> = new Set([
  "Cast",
  "Reshape",
  "Squeeze",
  "Unsqueeze",
  "Flatten",
  "Transpose",
  "Slice",
  "Expand",
  "leafcutter.Elementwise",
]);

function tableRows(node: Node): number | undefined {
  const shape = node.inputs[0]?.type.shape ?? [];
  const axis = node.attributes.axis?.kind === "integer" ? node.attributes.axis.value : 0;
  const extent = shape[axis < 0 ? axis + shape.length : axis];
  return typeof extent === "number" ? extent : undefined;
}
