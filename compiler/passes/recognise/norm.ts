/**
 * Layer normalisation as exporters spell it out - (x - mean) / sqrt(variance + epsilon), or x * m + (shift - mean * m)
 * with m = scale / sqrt(variance + epsilon) - becomes LayerNormalization, whose kernel reads each row once. Valid
 * when mean and variance are taken over the same trailing axes of x.
 */
import { type Tensor, tensorOf } from "../../../runtime/format/tensor.ts";
import { floatAttribute, integerAttribute, integerOf } from "../../graph/attribute.ts";
import { sameShape } from "../../graph/dimension.ts";
import type { Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import { rewritePass } from "../pass.ts";
import { meanAxis, orders, producerOf } from "../pattern.ts";
import { reshaped } from "../tensor-transform.ts";

export const recogniseNorm = rewritePass(
  "recognise-norm",
  "a spelled-out layer normalisation is one kernel",
  (node, context) => {
    switch (node.op) {
      case "Div":
        return quotient(node, context);
      case "Mul":
        return product(node, context);
      case "Add":
        return shifted(node, context) ?? withShift(node, context);
      default:
        return undefined;
    }
  },
);

interface Statistics {
  readonly x: Value;
  readonly axis: number;
  readonly epsilon: number;
  readonly mean: Value;
}

/** `value` as sqrt(mean((x - mean(x))²) + epsilon). */
function deviation(value: Value | undefined, context: RewriteContext): Statistics | undefined {
  const sum = producerOf(producerOf(value, "Sqrt", context)?.inputs[0], "Add", context);
  for (const [variance, addend] of orders(sum)) {
    const epsilon = context.constant(addend);
    const average = producerOf(variance, "ReduceMean", context);
    const axis = meanAxis(average, context);
    const square = producerOf(average?.inputs[0], "Mul", context);
    const centred = square?.inputs.map((operand) => centre(operand, context)) ?? [];
    const [left, right] = centred;
    if (axis === undefined || !left || !right || epsilon?.data.length !== 1) continue;
    if (left.x === right.x && left.axis === axis && right.axis === axis)
      return { x: left.x, axis, mean: left.mean, epsilon: Number(epsilon.data[0]) };
  }
  return undefined;
}

/** `value` as x - mean(x). */
function centre(
  value: Value | undefined,
  context: RewriteContext,
): Pick<Statistics, "x" | "axis" | "mean"> | undefined {
  const [x, mean] = producerOf(value, "Sub", context)?.inputs ?? [];
  const average = producerOf(mean, "ReduceMean", context);
  const axis = meanAxis(average, context);
  return x && mean && axis !== undefined && average?.inputs[0] === x ? { x, axis, mean } : undefined;
}

function emitNorm(
  context: RewriteContext,
  { x, axis, epsilon }: Pick<Statistics, "x" | "axis" | "epsilon">,
  scale: Tensor | undefined,
  shift: Tensor | undefined,
  name: string,
): Value | undefined {
  const shape = x.type.shape.slice(axis);
  if (!shape.every((dim) => typeof dim === "number") || x.type.dtype !== "float32") return undefined;
  const count = shape.reduce((size, dim) => size * dim, 1);
  const ones = scale ?? tensorOf("float32", shape, new Array<number>(count).fill(1));
  const operands = [
    x,
    context.addConstant(`${name}/scale`, reshaped(ones, shape)),
    shift && context.addConstant(`${name}/shift`, reshaped(shift, shape)),
  ];
  return context.emit(
    "LayerNormalization",
    operands,
    { axis: integerAttribute(axis), epsilon: floatAttribute(epsilon) },
    { version: 17 },
  );
}

/** A constant that has exactly the normalised axes of x (behind leading ones). */
function affine(value: Value | undefined, x: Value, axis: number, context: RewriteContext): Tensor | undefined {
  const tensor = value && context.constant(value);
  const axes = x.type.shape.slice(axis);
  const leading = (tensor?.shape.length ?? 0) - axes.length;
  return tensor?.dtype === "float32" &&
    leading >= 0 &&
    tensor.shape.length <= x.type.shape.length &&
    sameShape(tensor.shape.slice(leading), axes) &&
    tensor.shape.slice(0, leading).every((dim) => dim === 1)
    ? tensor
    : undefined;
}

/** (x - mean) / deviation. */
function quotient(node: Node, context: RewriteContext): Value | undefined {
  const statistics = deviation(node.inputs[1], context);
  const centred = statistics && centre(node.inputs[0], context);
  if (!statistics || centred?.x !== statistics.x || centred.axis !== statistics.axis) return undefined;
  return emitNorm(context, statistics, undefined, undefined, node.name);
}

/** (x - mean) * (1 / deviation), or the scale of a norm that has none yet. */
function product(node: Node, context: RewriteContext): Value | undefined {
  for (const [a, b] of orders(node)) {
    const inverse = inverseDeviation(b, context);
    const centred = inverse && centre(a, context);
    if (inverse && centred?.x === inverse.x && centred.axis === inverse.axis)
      return emitNorm(context, inverse, inverse.scale, undefined, node.name);
    const norm = producerOf(a, "LayerNormalization", context);
    const [x, ones, bias] = norm?.inputs ?? [];
    const neutral = ones && context.constant(ones)?.data;
    if (
      !norm ||
      !x ||
      bias ||
      !neutral ||
      !context.isOnlyUse(a, node) ||
      !(neutral as Float32Array).every((value) => value === 1)
    )
      continue;
    const axis = integerOf(norm, "axis", -1);
    const scale = affine(b, x, axis < 0 ? axis + x.type.shape.length : axis, context);
    if (scale)
      return context.emit(
        "LayerNormalization",
        [x, context.addConstant(`${norm.name}/scale`, reshaped(scale, ones.type.shape as readonly number[]))],
        norm.attributes,
        { version: norm.version },
      );
  }
  return undefined;
}

/** `value` as scale / sqrt(variance + epsilon). */
function inverseDeviation(
  value: Value | undefined,
  context: RewriteContext,
): (Statistics & { readonly scale: Tensor | undefined }) | undefined {
  const bare = deviation(producerOf(value, "Reciprocal", context)?.inputs[0], context);
  if (bare) return { ...bare, scale: undefined };
  for (const [a, b] of orders(producerOf(value, "Mul", context))) {
    const statistics = deviation(producerOf(a, "Reciprocal", context)?.inputs[0], context);
    const scale = statistics && affine(b, statistics.x, statistics.axis, context);
    if (statistics && scale) return { ...statistics, scale };
  }
  return undefined;
}

/** x * m + (shift - mean * m) with m = scale / deviation. */
function shifted(node: Node, context: RewriteContext): Value | undefined {
  for (const [scaled, rest] of orders(node)) {
    const difference = producerOf(rest, "Sub", context);
    const [shiftValue, offset] = difference?.inputs ?? [];
    for (const [x, m] of orders(producerOf(scaled, "Mul", context))) {
      const inverse = inverseDeviation(m, context);
      if (
        !inverse ||
        inverse.x !== x ||
        !orders(producerOf(offset, "Mul", context)).some(
          ([mean, factor]) => factor === m && isMean(mean, inverse, context),
        )
      )
        continue;
      const shift = affine(shiftValue, x, inverse.axis, context);
      if (shift) return emitNorm(context, inverse, inverse.scale, shift, node.name);
    }
  }
  return undefined;
}

const isMean = (value: Value, { x, axis }: Statistics, context: RewriteContext): boolean => {
  const average = producerOf(value, "ReduceMean", context);
  return average?.inputs[0] === x && meanAxis(average, context) === axis;
};

/** The shift of a norm that has none yet. */
function withShift(node: Node, context: RewriteContext): Value | undefined {
  for (const [a, b] of orders(node)) {
    const norm = producerOf(a, "LayerNormalization", context);
    const [x, scale, bias] = norm?.inputs ?? [];
    if (!norm || !x || !scale || bias || !context.isOnlyUse(a, node)) continue;
    const axis = integerOf(norm, "axis", -1);
    const shift = affine(b, x, axis < 0 ? axis + x.type.shape.length : axis, context);
    if (shift)
      return context.emit(
        "LayerNormalization",
        [x, scale, context.addConstant(`${norm.name}/shift`, reshaped(shift, scale.type.shape as readonly number[]))],
        norm.attributes,
        { version: norm.version },
      );
  }
  return undefined;
}
