/**
 * RMS normalisation as exporters spell it out - scale * (x * 1 / sqrt(mean(x²) + epsilon)), or the quotient - becomes
 * RMSNormalization, whose kernel reads each row once. Valid when the mean is taken over trailing axes.
 */
import { type Tensor, tensorOf } from "../../../runtime/format/tensor.ts";
import { floatAttribute, integerAttribute, integerOf } from "../../graph/attribute.ts";
import { sameShape } from "../../graph/dimension.ts";
import type { Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import { rewritePass } from "../pass.ts";
import { meanAxis, orders, producerOf, scalarOf } from "../pattern.ts";
import { reshaped, withoutLeadingOnes } from "../tensor-transform.ts";

export const recogniseRms = rewritePass(
  "recognise-rms",
  "a spelled-out RMS normalisation is one kernel",
  (node, context) => {
    switch (node.op) {
      case "Div":
        return quotient(node, context);
      case "Mul":
        return product(node, context) ?? scaled(node, context);
      default:
        return undefined;
    }
  },
);

interface Statistic {
  readonly axis: number;
  readonly epsilon: number;
}

/** `value` as sqrt(mean(x²) + epsilon). */
function deviationOf(x: Value, value: Value | undefined, context: RewriteContext): Statistic | undefined {
  for (const [mean, addend] of orders(producerOf(producerOf(value, "Sqrt", context)?.inputs[0], "Add", context))) {
    const average = producerOf(mean, "ReduceMean", context);
    const square = producerOf(average?.inputs[0], "Mul", context);
    const epsilon = scalarOf(addend, context);
    const axis = meanAxis(average, context);
    if (square?.inputs.every((operand) => operand === x) && epsilon !== undefined && axis !== undefined)
      return { axis, epsilon };
  }
  return undefined;
}

/** The norm with a scale of ones, which a product behind it replaces. */
function emitNorm(context: RewriteContext, x: Value, { axis, epsilon }: Statistic, name: string): Value | undefined {
  const row = x.type.shape.slice(axis);
  if (!row.every((dim) => typeof dim === "number") || x.type.dtype !== "float32") return undefined;
  const count = row.reduce((size, dim) => size * dim, 1);
  const ones = tensorOf("float32", row, new Array<number>(count).fill(1));
  const attributes = { axis: integerAttribute(axis), epsilon: floatAttribute(epsilon) };
  return context.emit("RMSNormalization", [x, context.addConstant(`${name}/scale`, ones)], attributes, { version: 23 });
}

/** x / deviation. */
function quotient(node: Node, context: RewriteContext): Value | undefined {
  const [x, divisor] = node.inputs;
  const statistic = x && deviationOf(x, divisor, context);
  return statistic && emitNorm(context, x, statistic, node.name);
}

/** x * (1 / deviation). */
function product(node: Node, context: RewriteContext): Value | undefined {
  for (const [x, inverse] of orders(node)) {
    const quotientOfOne = producerOf(inverse, "Div", context);
    const divisor =
      quotientOfOne && scalarOf(quotientOfOne.inputs[0], context) === 1
        ? quotientOfOne.inputs[1]
        : producerOf(inverse, "Reciprocal", context)?.inputs[0];
    const statistic = deviationOf(x, divisor, context);
    if (statistic) return emitNorm(context, x, statistic, node.name);
  }
  return undefined;
}

/** The scale of a norm that has none yet. */
function scaled(node: Node, context: RewriteContext): Value | undefined {
  for (const [normal, factor] of orders(node)) {
    const norm = producerOf(normal, "RMSNormalization", context);
    const [x, ones] = norm?.inputs ?? [];
    const neutral = ones && context.constant(ones);
    const scale = context.constant(factor);
    if (!norm || !x || !neutral || !scale || !context.isOnlyUse(normal, node) || !isNeutral(neutral)) continue;
    const axis = integerOf(norm, "axis", -1);
    const row = x.type.shape.slice(axis);
    if (scale.dtype !== "float32" || !sameShape(withoutLeadingOnes(scale.shape), withoutLeadingOnes(neutral.shape)))
      continue;
    if (scale.shape.length > x.type.shape.length) continue;
    const constant = context.addConstant(factor.name, reshaped(scale, row as readonly number[]));
    return context.emit(norm.op, [x, constant], norm.attributes, { version: norm.version });
  }
  return undefined;
}

const isNeutral = ({ data }: Tensor): boolean => (data as Float32Array).every((value) => value === 1);
