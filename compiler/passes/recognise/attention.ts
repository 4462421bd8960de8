/**
 * Attention as exporters spell it out - products with factors anywhere, masks added or chosen, Softmax, product with
 * the values, heads moved by Reshapes and Transposes, key-value heads repeated - becomes leafcutter.Attention, which
 * keeps no matrix of scores. Valid for a Softmax over the last axis of which nothing else reads the result. Where the
 * spelled-out form gives NaN for a query without visible keys, the operator gives zeros.
 */
import { tensorOf } from "../../../runtime/format/tensor.ts";
import { dimsAttribute, floatAttribute, integerOf, stringAttribute } from "../../graph/attribute.ts";
import { type Dim, divideDims, multiplyDims, productOf, sameDim, sameShape } from "../../graph/dimension.ts";
import type { Attributes, Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import { rewritePass } from "../pass.ts";
import { transpose } from "../permutation.ts";
import { reshape } from "../reshape.ts";
import { isPlainProduct, matchScores, type ScoreTerm, softmaxBehind, termValue } from "./attention-scores.ts";
import { type AxisPart, matrixAxes, splitPart, type TracedAxes, traceBack, traceForward } from "./trace-axes.ts";

export const recogniseAttention = rewritePass(
  "recognise-attention",
  "attention is one kernel that keeps no matrix of scores",
  (node, context) => (node.op === "leafcutter.MatMul" ? attention(node, context) : undefined),
);

type Layout = "BHSD" | "BSHD" | "BHDS";

/** A value that is an operand of attention under a Reshape to four axes. */
interface Operand {
  readonly value: Value;
  readonly layout: Layout;
  readonly shape: readonly Dim[];
  readonly heads: Dim;
  readonly factor: number;
}

function attention(node: Node, context: RewriteContext): Value | undefined {
  const [weights, v] = node.inputs;
  const output = node.outputs[0];
  if (!weights || !v || !output || !isPlainProduct(node) || output.type.dtype !== "float32") return undefined;
  const softmax = softmaxBehind(weights, node, context);
  const scores = softmax && matchScores(softmax, context);
  if (!scores) return undefined;
  const batch = output.type.shape.slice(0, -2);
  const query = matrixAxes(scores.query, scores.batch, scores.queryTransposed);
  const key = matrixAxes(scores.key, scores.batch, scores.keyTransposed);
  const value = matrixAxes(v, batch, integerOf(node, "transposeB", 0) === 1);
  const result = matrixAxes(output, batch, false);
  if (!query || !key || !value || !result || query.repeated.size > 0) return undefined;
  const [queries, keys, values] = [query, key, value].map((axes) => traceBack(axes, context)) as [Trace, Trace, Trace];
  const heads = headsOf(scores.headed, queries);
  const q = deepest(queries, heads, ["BHSD", "BSHD"]);
  const own = keyOperands(keys, values, heads);
  if (!q || !own) return undefined;
  const [k, raw] = own;
  const { factor, softcap } = scores;
  const scale = factor * q.factor * k.factor;
  const rows = output.type.shape.at(-2) as Dim;
  const columns = output.type.shape.at(-1) as Dim;
  const total = productOf(batch);
  const mask = maskOf(scores.terms, [divideDims(total, heads), heads], node, context);
  if (mask === undefined) return undefined;
  const isTokensFirst = traceForward(result, context).some((step) => operandOf(step, heads, ["BSHD"]) !== undefined);
  const name = node.name;
  const view = ({ value: source, shape }: Operand, suffix: string): Value =>
    reshape(context, source, shape, `${name}/${suffix}`);
  const attributes: Attributes = {
    queryLayout: stringAttribute(q.layout),
    keyLayout: stringAttribute(k.layout),
    valueLayout: stringAttribute(raw.layout === "BHDS" ? "BHSD" : raw.layout),
    outputLayout: stringAttribute(isTokensFirst ? "BSHD" : "BHSD"),
    scale: floatAttribute(scale),
    ...(softcap === undefined ? {} : { softcap: floatAttribute(softcap) }),
  };
  const valueView = view(raw, "value");
  const attended = context.emit(
    "leafcutter.Attention",
    [
      view(q, "query"),
      view(k, "key"),
      raw.layout === "BHDS" ? transpose(context, valueView, [0, 1, 3, 2], `${name}/value`) : valueView,
      mask ?? undefined,
    ],
    attributes,
    { version: 1 },
  );
  const ordered = isTokensFirst ? transpose(context, attended, [0, 2, 1, 3], `${name}/heads`) : attended;
  const factored = raw.factor === 1 ? ordered : scaled(context, ordered, raw.factor, name);
  return reshape(context, factored, [...batch, rows, columns], `${name}/batch`);
}

type Trace = readonly TracedAxes[];

/** How many heads the batches hold: what the scores say, or the first that a view of the queries shows apart from the batch. */
function headsOf(headed: Dim | undefined, queries: Trace): Dim {
  if (headed !== undefined) return headed;
  for (const step of [...queries].reverse()) {
    let product: Dim = 1;
    for (const part of [...step.batch].reverse()) {
      product = multiplyDims(product, part.extent);
      if (operandOf(step, product, ["BSHD", "BHSD"])) return product;
    }
  }
  return 1;
}

/** The batch parts with a boundary in front of the innermost `heads` indices. */
function withBoundary(
  traced: TracedAxes,
  heads: Dim,
): { readonly traced: TracedAxes; readonly at: number } | undefined {
  let product: Dim = 1;
  for (let at = traced.batch.length; at >= 0; at--) {
    if (sameDim(product, heads)) return { traced, at };
    const part = traced.batch[at - 1];
    if (!part) return undefined;
    const next = multiplyDims(product, part.extent);
    if (typeof next === "number" && typeof heads === "number" && next > heads) {
      const split = splitPart(traced, part, divideDims(heads, product));
      return split && !sameDim(divideDims(heads, product), 1) ? { traced: split, at } : undefined;
    }
    product = next;
  }
  return undefined;
}

/** The step as an operand in one of `layouts`; repeated heads have to be the innermost ones. */
function operandOf(step: TracedAxes, heads: Dim, layouts: readonly Layout[]): Operand | undefined {
  const split = withBoundary(step, heads);
  if (!split) return undefined;
  const { traced, at } = split;
  const kept = (part: AxisPart): boolean => !traced.repeated.has(part);
  const outer = traced.batch.slice(0, at);
  const inner = traced.batch.slice(at);
  const present = inner.filter(kept);
  if (!outer.every(kept) || !inner.slice(0, present.length).every(kept)) return undefined;
  const parts = { B: outer, H: present, S: traced.rows, D: traced.columns };
  const extent = (axis: string): Dim => productOf(parts[axis as "B"].map((part) => part.extent));
  const order = traced.axes.flat();
  for (const layout of layouts) {
    const wanted = [...layout].flatMap((axis) => parts[axis as "B"]);
    if (wanted.length === order.length && wanted.every((part, index) => part === order[index]))
      return { value: traced.value, layout, shape: [...layout].map(extent), heads: extent("H"), factor: traced.factor };
  }
  return undefined;
}

const deepest = (trace: Trace, heads: Dim, layouts: readonly Layout[]): Operand | undefined =>
  [...trace]
    .reverse()
    .map((step) => operandOf(step, heads, layouts))
    .find((operand) => operand !== undefined);

/** Keys and values with as many heads. */
function keyOperands(keys: Trace, values: Trace, heads: Dim): readonly [Operand, Operand] | undefined {
  const find = (all: boolean): readonly [Operand, Operand] | undefined => {
    const usable = (trace: Trace): Trace => (all ? trace : trace.filter(({ repeated }) => repeated.size === 0));
    const k = deepest(usable(keys), heads, ["BHSD", "BSHD", "BHDS"]);
    const v = deepest(usable(values), heads, ["BHSD", "BSHD", "BHDS"]);
    return k && v && sameDim(k.heads, v.heads) && typeof k.heads === "number" ? [k, v] : undefined;
  };
  return find(true) ?? find(false);
}

const scaled = (context: RewriteContext, value: Value, factor: number, name: string): Value =>
  context.emit(
    "Mul",
    [value, context.addConstant(`${name}/factor`, tensorOf("float32", [], [factor]))],
    {},
    { version: 14 },
  );

/** The sum of the terms as one mask that broadcasts to [B, H, M, T]; null for none, undefined when a term does not fit. */
function maskOf(
  terms: readonly ScoreTerm[],
  heads: readonly [batch: Dim, heads: Dim],
  node: Node,
  context: RewriteContext,
): Value | null | undefined {
  const name = `${node.name}/mask`;
  if (!terms.every(({ scores }) => fits(scores, heads))) return undefined;
  const [first, ...others] = terms.map((term) => {
    const own = fitted(termValue(term, name, context), term.scores, heads, name, context);
    return term.kind === "hidden" || term.factor === 1 ? own : scaled(context, own, term.factor, name);
  });
  if (!first) return null;
  return others.reduce((sum, one) => context.emit("Add", [sum, one], {}, { name, version: 14 }), first);
}

/** Whether scores of this shape are those of [B, H, M, T] with leading axes split or joined. */
const fits = (scores: readonly Dim[], [batch, heads]: readonly [Dim, Dim]): boolean =>
  sameDim(productOf(scores.slice(0, -2)), multiplyDims(batch, heads)) &&
  (scores.length <= 3 || sameDim(scores.at(-3) as Dim, heads));

/** A term that broadcasts to `scores`, viewed so that it broadcasts to [B, H, M, T]. */
function fitted(
  value: Value,
  scores: readonly Dim[],
  [batch, heads]: readonly [Dim, Dim],
  name: string,
  context: RewriteContext,
): Value {
  const { shape } = value.type;
  const matrix = shape.slice(-2);
  const leading = shape.slice(0, -2);
  const isOne = (dim: Dim): boolean => sameDim(dim, 1);
  if (leading.every(isOne)) return reshape(context, value, matrix, name);
  if (scores.length <= 3) return reshape(context, value, [batch, heads, ...matrix], name);
  const [outer, ofHead] = [leading.slice(0, -1), leading.at(-1) as Dim];
  if (outer.every(isOne)) return reshape(context, value, [ofHead, ...matrix], name);
  const all = scores.slice(0, -3);
  if (sameShape(outer, all)) return reshape(context, value, [batch, ofHead, ...matrix], name);
  const wide = context.emit(
    "Expand",
    [value],
    { shape: dimsAttribute([...all, ofHead, ...matrix]) },
    { name, version: 13 },
  );
  return reshape(context, wide, [batch, ofHead, ...matrix], name);
}
