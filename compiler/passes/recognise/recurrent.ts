/**
 * One step of an LSTM as exporters spell it out - two products, a sum with a bias cut into four gates, and
 * c' = sigmoid(f) c + sigmoid(i) tanh(g), h' = sigmoid(o) tanh(c') - becomes leafcutter.Recurrent. Valid for gates in any
 * order along the last axis; which of the two products belongs to the state does not matter, if its weights are square
 * per gate.
 */
import { type Tensor, tensorOf } from "../../../runtime/format/tensor.ts";
import { integerOf, stringAttribute } from "../../graph/attribute.ts";
import { type Dim, productOf, sameShape } from "../../graph/dimension.ts";
import type { Node, Value } from "../../graph/graph.ts";
import { type RewriteContext, rewriteNodes } from "../../graph/rewrite.ts";
import { inferNode } from "../../ops/infer.ts";
import { parameterOf } from "../parameter.ts";
import type { Pass } from "../pass.ts";
import { reshape } from "../reshape.ts";

export const recogniseRecurrent: Pass = {
  name: "recognise-recurrent",
  reason: "a spelled-out LSTM step is one kernel that reads its weights once",
  run: (graph) => {
    // New states by the value that they replace: a cell is seen before the state that is made of it.
    const states = new Map<Value, Value>();
    const rewrite = (node: Node, context: RewriteContext): Value | undefined => {
      const output = node.outputs[0] as Value;
      const known = node.op === "Mul" ? states.get(output) : undefined;
      if (known) return reshape(context, known, output.type.shape);
      const step = node.op === "Add" ? stepOf(node, context) : undefined;
      if (!step) return undefined;
      const results = emitStep(node, context, step);
      states.set(step.newState, results[0] as Value);
      return reshape(context, results[1] as Value, output.type.shape);
    };
    return rewriteNodes(graph, inferNode, rewrite, "recognise-recurrent");
  },
};

interface Step {
  readonly sum: Value;
  /** First column of each gate, in the order of ONNX: input, output, forget, cell. */
  readonly starts: readonly number[];
  readonly cell: Value;
  readonly newState: Value;
  readonly input: Product;
  readonly state: Product;
  /** Added to every row of the sum. */
  readonly biases: readonly Tensor[];
  readonly hidden: number;
}

/** x [batch…, K] by constant weights of K rows. */
interface Product {
  readonly x: Value;
  readonly weights: Value;
  readonly weight: (k: number, column: number) => number;
  readonly depth: number;
}

const producerOf = (value: Value | undefined, op: string, context: RewriteContext): Node | undefined => {
  const node = value && context.producer(value);
  return node?.op === op ? node : undefined;
};

function orders(node: Node | undefined): readonly (readonly [Value, Value])[] {
  const [a, b] = node?.inputs ?? [];
  return a && b
    ? [
        [a, b],
        [b, a],
      ]
    : [];
}

const argumentOf = (value: Value, op: string, context: RewriteContext): Value | undefined =>
  producerOf(value, op, context)?.inputs[0];

interface Gate {
  readonly sum: Value;
  readonly start: number;
  readonly size: number;
}

/** A cut along the last axis of something four times as wide. */
function gateOf(value: Value | undefined, context: RewriteContext): Gate | undefined {
  const slice = producerOf(value, "Slice", context);
  const sum = slice?.inputs[0];
  if (!slice || !sum || !value) return undefined;
  const last = sum.type.shape.length - 1;
  const [size, whole] = [value.type.shape[last], sum.type.shape[last]];
  const [starts, axes, steps] = (
    [
      ["starts", 1],
      ["axes", 3],
      ["steps", 4],
    ] as const
  ).map(([name, index]) => parameterOf(slice, name, index, context));
  if (!starts || starts === "absent" || starts.length !== 1 || !axes || axes === "absent") return undefined;
  const [start = 0] = starts;
  if ((axes[0] !== last && axes[0] !== -1) || (steps !== "absent" && steps?.[0] !== 1)) return undefined;
  if (typeof size !== "number" || whole !== 4 * size || start < 0 || start % size !== 0) return undefined;
  return { sum, start, size };
}

function stepOf(node: Node, context: RewriteContext): Step | undefined {
  for (const [kept, admitted] of orders(node)) {
    for (const [keep, cell] of orders(producerOf(kept, "Mul", context)))
      for (const [admit, candidate] of orders(producerOf(admitted, "Mul", context))) {
        const f = gateOf(argumentOf(keep, "Sigmoid", context), context);
        const i = gateOf(argumentOf(admit, "Sigmoid", context), context);
        const g = gateOf(argumentOf(candidate, "Tanh", context), context);
        if (!f || !i || !g || i.sum !== f.sum || g.sum !== f.sum) continue;
        const newState = stateOf(node.outputs[0] as Value, f.sum, context);
        const products = newState && productsOf(f.sum, context);
        if (!products || new Set([i.start, newState.gate.start, f.start, g.start]).size !== 4) continue;
        const hidden = f.size;
        const [state, input] = products.terms.find(({ depth }) => depth === hidden)
          ? [...products.terms].sort((a, b) => Number(b.depth === hidden) - Number(a.depth === hidden))
          : [];
        if (!state || !input || !sameShape(cell.type.shape, (node.outputs[0] as Value).type.shape)) continue;
        return {
          sum: f.sum,
          starts: [i.start, newState.gate.start, f.start, g.start],
          cell,
          newState: newState.value,
          input,
          state,
          biases: products.biases,
          hidden,
        };
      }
  }
  return undefined;
}

/** sigmoid(o) tanh(cell), wherever it is. */
function stateOf(
  cell: Value,
  sum: Value,
  context: RewriteContext,
): { readonly value: Value; readonly gate: Gate } | undefined {
  for (const tanh of context.consumers(cell)) {
    if (tanh.op !== "Tanh") continue;
    for (const product of context.consumers(tanh.outputs[0] as Value)) {
      if (product.op !== "Mul") continue;
      for (const [release, bounded] of orders(product)) {
        const gate = gateOf(argumentOf(release, "Sigmoid", context), context);
        if (bounded === tanh.outputs[0] && gate?.sum === sum) return { value: product.outputs[0] as Value, gate };
      }
    }
  }
  return undefined;
}

/** A sum of two products with constants and of constant rows. */
function productsOf(
  sum: Value,
  context: RewriteContext,
): { readonly terms: readonly Product[]; readonly biases: readonly Tensor[] } | undefined {
  const terms: Product[] = [];
  const biases: Tensor[] = [];
  const width = sum.type.shape.at(-1);
  const isRow = (tensor: Tensor): boolean => tensor.data.length === width && tensor.shape.at(-1) === width;
  const visit = (value: Value): boolean => {
    const constant = context.constant(value);
    if (constant) return biases.push(constant) > 0 && isRow(constant);
    const node = context.producer(value);
    if (node?.op === "Add") return node.inputs.every((input) => input !== undefined && visit(input));
    const [x, weights, bias, ...others] = node?.inputs ?? [];
    const tensor = weights && context.constant(weights);
    if (node?.op !== "leafcutter.MatMul" || !x || !tensor || others.length > 0) return false;
    if (weights.type.storage?.kind === "int8" || node.attributes.epilogue || tensor.shape.length !== 2) return false;
    if (!sameShape(value.type.shape, sum.type.shape)) return false;
    const row = bias && context.constant(bias);
    if (bias && (!row || !isRow(row))) return false;
    if (row) biases.push(row);
    const data = tensor.data as Float32Array;
    const [first = 1, second = 1] = tensor.shape;
    const transposed = integerOf(node, "transposeB", 0) === 1;
    terms.push({
      x,
      weights,
      depth: transposed ? second : first,
      weight: (k, column) => data[transposed ? column * second + k : k * second + column] as number,
    });
    return true;
  };
  return visit(sum) && terms.length === 2 ? { terms, biases } : undefined;
}

/** The new state and the new cell, [1, batch, hidden]. */
function emitStep(node: Node, context: RewriteContext, step: Step): readonly Value[] {
  const { starts, hidden, biases, cell, input, state, sum } = step;
  const batch: Dim = productOf(sum.type.shape.slice(0, -1));
  const columns = starts.flatMap((start) => Array.from({ length: hidden }, (_, unit) => start + unit));
  const rows = ({ weights, weight, depth }: Product): Value => {
    const data = new Float32Array(columns.length * depth);
    columns.forEach((column, row) => {
      for (let k = 0; k < depth; k++) data[row * depth + k] = weight(k, column);
    });
    return context.addConstant(weights.name, tensorOf("float32", [columns.length, depth], data), weights.type.storage);
  };
  const bias = new Float32Array(2 * columns.length);
  columns.forEach((column, row) => {
    bias[row] = biases.reduce((total, { data }) => total + Number(data[column]), 0);
  });
  const row = (value: Value, size: number): Value => reshape(context, value, [1, batch, size], `${node.name}/row`);
  return context.emitNode(
    "leafcutter.Recurrent",
    [
      row(input.x, input.depth),
      rows(input),
      rows(state),
      biases.length > 0
        ? context.addConstant(`${node.name}/bias`, tensorOf("float32", [1, bias.length], bias))
        : undefined,
      undefined,
      row(state.x, hidden),
      row(cell, hidden),
    ],
    { cell: stringAttribute("lstm"), outputs: { kind: "strings", value: ["Y_h", "Y_c"] } },
    { name: node.name },
  );
}
