/**
 * leafcutter.Attention: inputs Q, K, V, additive mask (broadcastable to [B, H, M, T]) or absent, valid keys per batch
 * (int32 [B]) or absent; output 0 is [B, H, M, Dv] or [B, M, H, Dv]. Query head h reads key-value head h / (H / Hkv).
 * Attributes: queryLayout, keyLayout, valueLayout, outputLayout ("BHSD", "BSHD"; keys also "BHDS"), scale (1), causal
 * (0; 1 hides the keys behind m + length - M), window (absent; how many keys up to its own position a query sees),
 * softcap (absent; cap * tanh(score / cap) before the mask).
 */
import { attention } from "../../../runtime/reference/attention.ts";
import { floatOf, integerOf, stringOf } from "../../graph/attribute.ts";
import { type Dim, sameDim } from "../../graph/dimension.ts";
import type { AttentionLayout, AttentionProblem } from "../../kernels/problem.ts";
import { firstOutput, inputOperand, optionalOperand, stepsOf } from "../contraction/operands.ts";
import { defineOperator, type Lowering, type OperatorContext, sumTolerance } from "../operator.ts";

/** Extents of one operand, whatever its layout. */
interface Extents {
  readonly layout: AttentionLayout;
  readonly batch: Dim;
  readonly heads: Dim;
  readonly tokens: Dim;
  readonly features: Dim;
}

/** The extents of input `index`, whose layout stands in attribute `name`. */
function extentsOf(
  context: OperatorContext,
  index: number,
  name: string,
  allowed: readonly AttentionLayout[] = ["BHSD", "BSHD"],
): Extents {
  const { shape } = context.type(index);
  const text = stringOf(context.node, name, "BHSD");
  const layout = allowed.find((candidate) => candidate === text);
  if (!layout) context.fail(`attribute ${name} is no layout`, allowed.join(", "), text);
  if (shape.length !== 4) context.fail(`input ${index} is not of rank 4`, "rank 4", `rank ${shape.length}`);
  const [batch, second, third, fourth] = shape as readonly [Dim, Dim, Dim, Dim];
  switch (layout) {
    case "BHSD":
      return { layout, batch, heads: second, tokens: third, features: fourth };
    case "BSHD":
      return { layout, batch, heads: third, tokens: second, features: fourth };
    case "BHDS":
      return { layout, batch, heads: second, tokens: fourth, features: third };
  }
}

interface Operands {
  readonly query: Extents;
  readonly key: Extents;
  readonly value: Extents;
  readonly outputLayout: "BHSD" | "BSHD";
}

function operandsOf(context: OperatorContext): Operands {
  const query = extentsOf(context, 0, "queryLayout");
  const key = extentsOf(context, 1, "keyLayout", ["BHSD", "BSHD", "BHDS"]);
  const value = extentsOf(context, 2, "valueLayout");
  const outputLayout = stringOf(context.node, "outputLayout", "BHSD");
  if (outputLayout !== "BHSD" && outputLayout !== "BSHD")
    context.fail("attribute outputLayout is no layout", "BHSD, BSHD", outputLayout);
  if (differ(query.features, key.features))
    context.fail("queries and keys have different lengths", String(query.features), String(key.features));
  if (differ(key.tokens, value.tokens) || differ(key.heads, value.heads))
    context.fail("keys and values differ in number", String(key.tokens), String(value.tokens));
  if (typeof query.heads === "number" && typeof key.heads === "number" && query.heads % key.heads !== 0)
    context.fail("heads are no multiple of the key-value heads", `a multiple of ${key.heads}`, String(query.heads));
  return { query, key, value, outputLayout };
}

/** Known to be different: symbolic extents may turn out equal. */
const differ = (left: Dim, right: Dim): boolean =>
  typeof left === "number" && typeof right === "number" && !sameDim(left, right);

function outputShape({ query, value, outputLayout }: Operands): readonly Dim[] {
  const { batch, heads, tokens } = query;
  return outputLayout === "BHSD" ? [batch, heads, tokens, value.features] : [batch, tokens, heads, value.features];
}

/** Known extents of heads and features; anything else, and anything but float32, runs as a host step. */
function lower(context: OperatorContext): Lowering | undefined {
  const { node } = context;
  const { query, key, value, outputLayout } = operandsOf(context);
  const [heads, keyHeads, depth, valueDepth] = [query.heads, key.heads, query.features, value.features];
  if (![0, 1, 2, 3].every((index) => !context.has(index) || context.type(index).dtype === "float32")) return undefined;
  if (context.has(4) && context.type(4).dtype !== "int32") return undefined;
  if (typeof heads !== "number" || typeof keyHeads !== "number") return undefined;
  if (typeof depth !== "number" || typeof valueDepth !== "number") return undefined;
  const [window, softcap] = [integerOf(node, "window", 0), floatOf(node, "softcap", 0)];
  const problem: AttentionProblem = {
    family: "attention",
    queryLayout: query.layout,
    keyLayout: key.layout,
    valueLayout: value.layout,
    outputLayout,
    batch: query.batch,
    heads,
    keyHeads,
    queries: query.tokens,
    keys: key.tokens,
    depth,
    valueDepth,
    scale: floatOf(node, "scale", 1),
    causal: integerOf(node, "causal", 0) === 1,
    window: window > 0 ? window : undefined,
    softcap: softcap > 0 ? softcap : undefined,
  };
  return stepsOf({
    kind: "family",
    problem,
    operands: [
      inputOperand(0),
      inputOperand(1),
      inputOperand(2),
      optionalOperand(context, 3),
      optionalOperand(context, 4),
    ],
    outputs: [firstOutput],
  });
}

export const attentionOperator = defineOperator({
  op: "leafcutter.Attention",
  infer: (context) => [{ dtype: context.type(0).dtype, shape: outputShape(operandsOf(context)) }],
  reference: attention,
  lower,
  tolerance: sumTolerance,
});
