/**
 * Computes elementwise operators where the value they follow is still in registers: they become the epilogue of the
 * convolution, product or pool that produced it. Valid when nobody else reads the value, or only elementwise
 * operators that end in the same node (x * sigmoid(x)). Further operands (a residual, a slope per channel) have the
 * result's shape or are broadcast along leading axes; they are computed earlier, since the fused node stands last.
 */

import type { DType } from "../../runtime/format/dtype.ts";
import { type Expression, expressionType, input } from "../../runtime/format/expression.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";
import { expressionAttribute, expressionOf } from "../graph/attribute.ts";
import { type Dim, sameDim, sameShape } from "../graph/dimension.ts";
import type { Node, Value } from "../graph/graph.ts";
import type { RewriteContext } from "../graph/rewrite.ts";
import { absorb, type ElementwiseForm, elementwiseForm, expressionSize, isCheap, substitute } from "./elementwise.ts";
import { rewritePass } from "./pass.ts";
import { reshapedStorage } from "./storage.ts";
import { reshaped, withoutLeadingOnes } from "./tensor-transform.ts";

export const fuseEpilogue = rewritePass(
  "fuse-epilogue",
  "activations, residual additions and scales happen in the kernel that computes their operand",
  (node, context) => {
    const form = elementwiseForm(node, context);
    if (!form) return undefined;
    const alone: Region = { nodes: new Set([node.name]), form };
    for (const region of [
      grow(node, form, integer.operands, context),
      grow(node, form, float.operands, context),
      alone,
    ]) {
      for (const value of [...region.form.inputs].reverse()) {
        const fused = fuse(node, value, region, context);
        if (fused) return fused;
      }
    }
    return undefined;
  },
);

const maximumSize = 96;

/** Elementwise nodes that end in one, as one expression. */
interface Region {
  readonly nodes: ReadonlySet<string>;
  readonly form: ElementwiseForm;
}

/** Takes in the elementwise producers that nobody outside the region reads. */
function grow(node: Node, form: ElementwiseForm, operands: number, context: RewriteContext): Region {
  const nodes = new Set([node.name]);
  const output = node.outputs[0] as Value;
  let result = form;
  for (let grown = true; grown; ) {
    grown = false;
    for (const value of result.inputs) {
      const producer = context.producer(value);
      if (!producer || !isInside(value, nodes, context)) continue;
      const inner = elementwiseForm(producer, context);
      // A factor per channel is computed again rather than in a step of its own.
      const repeated = inner && isCheap(inner.expression) && value.type.shape.length <= 1;
      if (!repeated && !sameShape(value.type.shape, output.type.shape)) continue;
      const joined = inner && absorb(result, value, inner);
      if (!joined || joined.inputs.length > operands + 1 || expressionSize(joined.expression) > maximumSize) continue;
      nodes.add(producer.name);
      result = joined;
      grown = true;
      break;
    }
  }
  return { nodes, form: result };
}

const isInside = (value: Value, nodes: ReadonlySet<string>, context: RewriteContext): boolean =>
  !context.isOutput(value) && context.consumers(value).every(({ name }) => nodes.has(name));

/** A kernel that has an epilogue. */
interface Host {
  /** Number of inputs in front of the epilogue operands. */
  readonly leading: number;
  readonly operands: number;
  /** Type of what the epilogue starts from. */
  readonly sum: DType;
  /** Types of operands and result. */
  readonly types: readonly DType[];
  /** Whether an operand may be a single number that is known in the run only. */
  readonly numbers: boolean;
}

const float: Host = { leading: 3, operands: 4, sum: "float32", types: ["float32"], numbers: false };
const integer: Host = {
  leading: 3,
  operands: 8,
  sum: "int32",
  types: ["float32", "int32", "int8", "uint8"],
  numbers: true,
};

const hosts: Readonly<Record<string, Host>> = {
  "leafcutter.Conv": float,
  "leafcutter.ConvTranspose": float,
  "leafcutter.MatMul": float,
  "leafcutter.Pool": { ...float, leading: 1, operands: 0 },
  "leafcutter.IntegerConv": integer,
  "leafcutter.IntegerMatMul": integer,
};

function fuse(node: Node, value: Value, { nodes, form }: Region, context: RewriteContext): Value | undefined {
  const producer = context.producer(value);
  const host = producer && hosts[producer.op];
  const output = node.outputs[0] as Value;
  if (!host || !sameShape(value.type.shape, output.type.shape) || !isInside(value, nodes, context)) return undefined;
  const { leading, types } = host;
  // Pools of integers have no epilogue.
  if (!types.includes(value.type.dtype)) return undefined;
  const padded = Array.from({ length: leading }, (_, index) => producer.inputs[index]);
  const operands: (Value | undefined)[] = [...producer.inputs.slice(leading)];
  const old = expressionOf(producer, "epilogue") ?? input(0);
  const bias = biasOnly(form, value, producer, padded, context);
  if (bias)
    return context.emit(producer.op, [padded[0], padded[1], bias], producer.attributes, { name: producer.name });
  for (const operand of form.inputs) {
    if (operand === value || operands.includes(operand)) continue;
    const placed = placedOperand(operand, output, host, context);
    if (!placed || !types.includes(operand.type.dtype)) return undefined;
    operands.push(operand);
  }
  if (operands.length > host.operands) return undefined;
  const epilogue: Expression = substitute(form.expression, (index) => {
    const operand = form.inputs[index] as Value;
    return operand === value ? old : input(1 + operands.indexOf(operand));
  });
  const dtypes = operands.map((operand) => operand?.type.dtype ?? "float32");
  if (expressionSize(epilogue) > maximumSize || !types.includes(expressionType(epilogue, [host.sum, ...dtypes])))
    return undefined;
  const placed = operands.map((operand) => operand && (placedOperand(operand, output, host, context) ?? operand));
  const attributes = { ...producer.attributes, epilogue: expressionAttribute(epilogue) };
  return context.emit(producer.op, [...padded, ...placed], attributes, { name: producer.name });
}

/** The operand in the form kernels take: the result's shape, or a suffix of it with leading axes of 1 left out. */
function placedOperand(operand: Value, output: Value, host: Host, context: RewriteContext): Value | undefined {
  const { shape } = operand.type;
  if (sameShape(shape, output.type.shape)) return operand;
  const tensor = context.constant(operand);
  const firstUsed = shape.findIndex((dim) => !sameDim(dim, 1));
  const suffix = firstUsed < 0 ? [] : shape.slice(firstUsed);
  if (suffix.length === 0 && host.numbers && shape.length <= output.type.shape.length) return operand;
  if (
    suffix.length === 0 ||
    !suffix.every((dim, index) =>
      sameDim(dim, output.type.shape[output.type.shape.length - suffix.length + index] as Dim),
    )
  )
    return undefined;
  if (!tensor || suffix.length === shape.length) return operand;
  const trimmed = withoutLeadingOnes(tensor.shape);
  const storage = reshapedStorage(operand.type.storage, tensor.shape, trimmed);
  return context.addConstant(operand.name, reshaped(tensor, trimmed), storage);
}

/** value + constant per channel, directly on the sum: the new bias. */
function biasOnly(
  form: ElementwiseForm,
  value: Value,
  producer: Node,
  inputs: readonly (Value | undefined)[],
  context: RewriteContext,
): Value | undefined {
  const { expression } = form;
  if (
    producer.op === "leafcutter.Pool" ||
    hosts[producer.op]?.sum !== "float32" ||
    expressionOf(producer, "epilogue") ||
    expression.kind !== "binary" ||
    expression.operation !== "add"
  )
    return undefined;
  const channels = value.type.shape.at(-1);
  const [, , bias] = inputs;
  const oldBias = bias && context.constant(bias);
  if (typeof channels !== "number" || (bias && !oldBias)) return undefined;
  const sides = [expression.left, expression.right];
  const own = sides.findIndex((side) => side.kind === "input" && form.inputs[side.index] === value);
  const other = sides[1 - own];
  if (own < 0 || !other) return undefined;
  const addend = addendOf(other, form, channels, context);
  if (!addend) return undefined;
  const sum = Array.from(
    { length: channels },
    (_, channel) => addend(channel) + (oldBias ? (oldBias.data[channel] as number) : 0),
  );
  return context.addConstant(bias?.name ?? `${producer.name}/bias`, tensorOf("float32", [channels], sum));
}

function addendOf(
  expression: Expression,
  form: ElementwiseForm,
  channels: number,
  context: RewriteContext,
): ((channel: number) => number) | undefined {
  if (expression.kind === "constant") return () => expression.value;
  const operand = expression.kind === "input" ? form.inputs[expression.index] : undefined;
  const tensor = operand && context.constant(operand);
  if (tensor?.dtype !== "float32" || tensor.data.length !== channels || tensor.shape.at(-1) !== channels)
    return undefined;
  return (channel) => tensor.data[channel] as number;
}
