/**
 * Rotary position embedding as exporters spell it out - x*cos + rotate(x)*sin with rotate(x) = concat(-x2, x1), or the
 * two halves turned one by one and joined, pairs being halves or neighbours - becomes leafcutter.RotaryEmbedding: one
 * step that reads x once. Transposes in front of it move behind, where attention reads them for nothing.
 */
import { integerAttribute, integerOf } from "../../graph/attribute.ts";
import { type Dim, sameDim, sameShape } from "../../graph/dimension.ts";
import type { Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import { parameterOf } from "../parameter.ts";
import { rewritePass } from "../pass.ts";
import { orders, producerOf } from "../pattern.ts";
import { inverseOf, keepsBytes, type Permutation, restore, transposedSource } from "../permutation.ts";
import { reshape } from "../reshape.ts";

export const recogniseRotary = rewritePass(
  "recognise-rotary",
  "a spelled-out rotary embedding is one step",
  (node, context) => {
    switch (node.op) {
      case "Add":
        return wholeRows(node, context);
      case "Concat":
        return joinedParts(node, context);
      case "leafcutter.RotaryEmbedding":
        return behindTranspose(node, context);
      default:
        return undefined;
    }
  },
);

const lastOf = (value: Value): Dim => value.type.shape.at(-1) ?? 1;

/** Half of the elements of x: the first or the last of every row, or of every pair of neighbours. */
interface Part {
  /** The pairs stand on its last axis; or it is [..., pairs, 2] when `split`. */
  readonly x: Value;
  readonly second: boolean;
  readonly interleaved: boolean;
  readonly split: boolean;
}

/** `value` as a part of something. */
function partOf(value: Value | undefined, context: RewriteContext): Part | undefined {
  const view = producerOf(value, "Reshape", context);
  const slice = producerOf(view ? view.inputs[0] : value, "Slice", context);
  const x = slice?.inputs[0];
  const width = x && lastOf(x);
  if (!value || !slice || !x || typeof width !== "number") return undefined;
  const [starts, ends, axes, steps] = (["starts", "ends", "axes", "steps"] as const).map((name, index) =>
    parameterOf(slice, name, index + 1, context),
  );
  if (!Array.isArray(starts) || !Array.isArray(ends) || !Array.isArray(axes) || axes.length !== 1) return undefined;
  const rank = x.type.shape.length;
  if ((axes[0] + rank) % rank !== rank - 1) return undefined;
  const wrapped = (index: number): number => Math.min(width, index < 0 ? index + width : index);
  const [start, end] = [wrapped(starts[0]), wrapped(ends[0])];
  const step = Array.isArray(steps) ? (steps[0] as number) : 1;
  if (view) {
    // One of the two on an axis of its own, which the view drops.
    return width === 2 && step === 1 && end === start + 1 && sameShape(value.type.shape, x.type.shape.slice(0, -1))
      ? { x, second: start === 1, interleaved: true, split: true }
      : undefined;
  }
  if (width % 2 !== 0) return undefined;
  const half = width / 2;
  if (step === 1 && ((start === 0 && end === half) || (start === half && end === width)))
    return { x, second: start === half, interleaved: false, split: false };
  return step === 2 && start < 2 && end >= width - 1 + start
    ? { x, second: start === 1, interleaved: true, split: false }
    : undefined;
}

/** Two equal parts put together: halves of the rows, or neighbours on an axis of their own. */
function joined(
  node: Node | undefined,
): { readonly parts: readonly [Value, Value]; readonly interleaved: boolean } | undefined {
  const [first, second] = node?.inputs ?? [];
  const rank = first?.type.shape.length ?? 0;
  if (node?.op !== "Concat" || !first || !second || node.inputs.length !== 2 || rank === 0) return undefined;
  if ((integerOf(node, "axis", 1) + rank) % rank !== rank - 1 || !sameShape(first.type.shape, second.type.shape))
    return undefined;
  return { parts: [first, second], interleaved: sameDim(lastOf(first), 1) };
}

/** The part behind a view that only adds an axis of extent 1 at the end. */
function withoutLastAxis(value: Value, context: RewriteContext): Value | undefined {
  const source = producerOf(value, "Reshape", context)?.inputs[0];
  return source && sameShape([...source.type.shape, 1], value.type.shape) ? source : undefined;
}

/** The two values of a Concat, without the axis on which neighbours are put together. */
function joinedSources(node: Node | undefined, context: RewriteContext) {
  const join = joined(node);
  if (!join) return undefined;
  const { parts, interleaved } = join;
  const [first, second] = interleaved ? parts.map((part) => withoutLastAxis(part, context)) : parts;
  return first && second ? { first, second, interleaved } : undefined;
}

/** The x of a part with its pairs on one axis: what leafcutter.RotaryEmbedding takes. */
function rowsOf({ x, split }: Part, context: RewriteContext, name: string): Value {
  const { shape } = x.type;
  return split ? reshape(context, x, [...shape.slice(0, -2), 2 * (shape.at(-2) as number)], name) : x;
}

/** Whether the tables can be read beside x: its element type, and nothing to which x would have to be repeated. */
function fits(x: Value, width: number, tables: readonly Value[]): boolean {
  const rank = x.type.shape.length;
  return (
    x.type.dtype === "float32" &&
    tables.every(({ type: { dtype, shape } }) => {
      const last = shape.at(-1);
      return (
        dtype === "float32" &&
        shape.length <= rank &&
        (last === width || last === width / 2) &&
        shape
          .slice(0, -1)
          .every((dim, axis) => sameDim(dim, 1) || sameDim(dim, x.type.shape[axis + rank - shape.length] as Dim))
      );
    })
  );
}

const emit = (context: RewriteContext, x: Value, cos: Value, sin: Value, interleaved: boolean): Value =>
  context.emit(
    "leafcutter.RotaryEmbedding",
    [x, cos, sin],
    { interleaved: integerAttribute(interleaved ? 1 : 0) },
    { version: 1 },
  );

const samePair = (first: Part | undefined, second: Part | undefined): first is Part =>
  first !== undefined &&
  second !== undefined &&
  first.x === second.x &&
  first.interleaved === second.interleaved &&
  first.split === second.split &&
  !first.second &&
  second.second;

/** x*cos + rotate(x)*sin. */
function wholeRows(node: Node, context: RewriteContext): Value | undefined {
  for (const [direct, turned] of orders(node)) {
    for (const [rotation, sin] of orders(producerOf(turned, "Mul", context))) {
      const view = producerOf(rotation, "Reshape", context);
      const sources = joinedSources(context.producer(view ? (view.inputs[0] as Value) : rotation), context);
      const second = partOf(producerOf(sources?.first, "Neg", context)?.inputs[0], context);
      const first = partOf(sources?.second, context);
      if (!sources || !samePair(first, second) || first.interleaved !== sources.interleaved) continue;
      const width = lastOf(rotation);
      for (const [x, cos] of orders(producerOf(direct, "Mul", context))) {
        // Neighbours that were split into an axis of their own: x is what they were split from.
        const whole = first.split ? producerOf(first.x, "Reshape", context)?.inputs[0] : first.x;
        if (whole !== x || typeof width !== "number" || !sameShape(rotation.type.shape, x.type.shape)) continue;
        if (!fits(x, width, [cos, sin])) continue;
        // A table of half the width would repeat along the row here, not along the pairs.
        if (lastOf(cos) !== width || lastOf(sin) !== width) continue;
        return emit(context, x, cos, sin, first.interleaved);
      }
    }
  }
  return undefined;
}

/** concat(x1*cos - x2*sin, x2*cos + x1*sin). */
function joinedParts(node: Node, context: RewriteContext): Value | undefined {
  const sources = joinedSources(node, context);
  if (!sources) return undefined;
  const { first: real, second: imaginary, interleaved } = sources;
  const [minuend, subtrahend] = producerOf(real, "Sub", context)?.inputs ?? [];
  for (const [x1, cos] of orders(producerOf(minuend, "Mul", context)))
    for (const [x2, sin] of orders(producerOf(subtrahend, "Mul", context))) {
      const first = partOf(x1, context);
      const pairs = lastOf(x1);
      if (!samePair(first, partOf(x2, context)) || first.interleaved !== interleaved || typeof pairs !== "number")
        continue;
      if (!isSumOf(imaginary, [x2, cos], [x1, sin], context)) continue;
      const x = rowsOf(first, context, `${node.name}/rows`);
      if (lastOf(cos) !== pairs || lastOf(sin) !== pairs || !fits(x, 2 * pairs, [cos, sin])) continue;
      return reshape(
        context,
        emit(context, x, cos, sin, interleaved),
        (node.outputs[0] as Value).type.shape,
        `${node.name}/view`,
      );
    }
  return undefined;
}

/** Whether `value` is left[0]*left[1] + right[0]*right[1]. */
function isSumOf(
  value: Value,
  left: readonly [Value, Value],
  right: readonly [Value, Value],
  context: RewriteContext,
): boolean {
  const isProduct = (product: Value, [a, b]: readonly [Value, Value]): boolean =>
    orders(producerOf(product, "Mul", context)).some(([p, q]) => p === a && q === b);
  return orders(producerOf(value, "Add", context)).some(([p, q]) => isProduct(p, left) && isProduct(q, right));
}

/** A Transpose that leaves the rows whole moves behind the embedding. */
function behindTranspose(node: Node, context: RewriteContext): Value | undefined {
  const source = transposedSource(node.inputs[0], context);
  const [, cos, sin] = node.inputs;
  if (!source || !cos || !sin || source.permutation.at(-1) !== source.permutation.length - 1) return undefined;
  const [turnedCos, turnedSin] = [cos, sin].map((table) => turnedTable(table, source.permutation, context, node.name));
  if (!turnedCos || !turnedSin) return undefined;
  const turned = context.emit(node.op, [source.value, turnedCos, turnedSin], node.attributes, {
    version: node.version,
  });
  return restore(context, node, turned, source.permutation);
}

/** A table with its axes renumbered as those of the untransposed x, when that moves no bytes. */
function turnedTable(table: Value, permutation: Permutation, context: RewriteContext, name: string): Value | undefined {
  const inverse = inverseOf(permutation);
  const full = [...new Array<Dim>(permutation.length - table.type.shape.length).fill(1), ...table.type.shape];
  const source = transposedSource(table, context);
  if (source && source.permutation.join() === permutation.join()) return source.value;
  if (!keepsBytes(inverse, full)) return undefined;
  const shape = inverse.map((axis) => full[axis] as Dim);
  return reshape(context, table, shape, `${name}/table`);
}
