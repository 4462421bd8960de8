/**
 * Transposes and Reshapes past each other, by groups of axes: a Reshape that splits and merges within groups acts the
 * same wherever the groups stand, as long as the axes of each stay together. Part of sink-transposes.ts.
 */
import { integerOf } from "../../graph/attribute.ts";
import { type Dim, multiplyDims, sameDim } from "../../graph/dimension.ts";
import type { Node, Value } from "../../graph/graph.ts";
import { alongAxis } from "../../graph/int8-storage.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import {
  composed,
  inverseOf,
  isIdentity,
  permutationOf,
  restore,
  type Transposed,
  transpose,
  transposedSource,
} from "../permutation.ts";
import { reshape } from "../reshape.ts";
import { placelessStorage } from "../storage.ts";
import { permuted, reshaped } from "../tensor-transform.ts";

/** Moves past a Reshape that only splits or merges axes which stay neighbours. */
export function sinkReshape(
  node: Node,
  { value, permutation }: Transposed,
  context: RewriteContext,
): Value | undefined {
  const from = (node.inputs[0] as Value).type.shape;
  const to = (node.outputs[0] as Value).type.shape;
  const groups = matchingGroups(from, to);
  if (!groups) return undefined;
  // Every group must be a run of consecutive axes of the source.
  const runs: { readonly first: number; readonly length: number; readonly to: readonly number[] }[] = [];
  for (const group of groups) {
    const axes = group.from
      .map((axis) => permutation[axis] as number)
      .filter((axis) => !sameDim(value.type.shape[axis] as Dim, 1));
    if (axes.some((axis, index) => index > 0 && axis < (axes[index - 1] as number))) return undefined;
    const [first] = axes;
    const last = axes[axes.length - 1];
    if (first === undefined || last === undefined) {
      runs.push({
        first: group.from.length > 0 ? (permutation[group.from[0] as number] as number) : -1,
        length: 0,
        to: group.to,
      });
      continue;
    }
    for (let axis = first + 1; axis < last; axis++)
      if (!axes.includes(axis) && !sameDim(value.type.shape[axis] as Dim, 1)) return undefined;
    runs.push({ first, length: axes.length, to: group.to });
  }
  const ordered = [...runs].sort((a, b) => a.first - b.first);
  const order = ordered.flatMap((run) => run.to);
  const viewed = reshape(
    context,
    value,
    order.map((axis) => to[axis] as Dim),
    node.name,
  );
  const after = inverseOf(order);
  // Splitting axes pays only when the Transpose then vanishes, joins another one, or moves on.
  const consumers = context.consumers(node.outputs[0] as Value);
  const joins = consumers.length > 0 && consumers.every(({ op }) => passes.has(op));
  return isIdentity(after) || to.length <= from.length || joins ? restore(context, node, viewed, after) : undefined;
}

/** A Transpose after a Reshape that only merges axes, itself after a Transpose: both Transposes become one, before the Reshape. */
export function throughMerge(node: Node, context: RewriteContext): Value | undefined {
  const merged = node.inputs[0] as Value;
  const merge = context.producer(merged);
  const operand = merge?.op === "Reshape" && context.isOnlyUse(merged, node) ? merge.inputs[0] : undefined;
  const source = transposedSource(operand, context);
  const groups = operand && matchingGroups(operand.type.shape, merged.type.shape);
  if (!source || !groups?.every(({ from, to }) => to.length === 1 && from.length > 0)) return undefined;
  const order = permutationOf(node).flatMap((axis) => groups[axis]?.from ?? []);
  const moved = transpose(context, source.value, composed(source.permutation, order), `${node.name}/transpose`);
  return reshape(context, moved, (node.outputs[0] as Value).type.shape, node.name);
}

/** A flattened operand of constant weights: the rows of the weights change places instead. */
export function intoWeights(node: Node, context: RewriteContext): Value | undefined {
  const [flat, weights, ...rest] = node.inputs;
  const flatten = flat && context.producer(flat);
  const operand = flatten?.op === "Reshape" ? flatten.inputs[0] : undefined;
  const source = transposedSource(operand, context);
  const tensor = weights && context.constant(weights);
  if (!flat || !operand || !source || !tensor || tensor.shape.length !== 2) return undefined;
  const last = matchingGroups(operand.type.shape, flat.type.shape)?.at(-1);
  const [firstMerged] = last?.from ?? [];
  if (
    !last ||
    firstMerged === undefined ||
    last.to.length !== 1 ||
    source.permutation.some((axis, index) => index < firstMerged && axis !== index)
  )
    return undefined;
  const inner = last.from.map((axis) => operand.type.shape[axis] as number);
  // Axis i of the rows as they are -> its place in the order of the source.
  const back = inverseOf(source.permutation.slice(firstMerged).map((axis) => axis - firstMerged));
  const transposed = integerOf(node, "transposeB", 0) !== 0;
  const columns = tensor.shape[transposed ? 0 : 1] as number;
  const moved = transposed
    ? permuted(reshaped(tensor, [columns, ...inner]), [0, ...back.map((axis) => axis + 1)])
    : permuted(reshaped(tensor, [...inner, columns]), [...back, inner.length]);
  // Only rows move: scales by row have no place afterwards, unless they are all one.
  const { storage } = weights.type;
  const kept = storage?.kind === "int8" ? alongAxis(storage, transposed ? 0 : 1, columns) : placelessStorage(storage);
  const rows = context.addConstant(weights.name, reshaped(moved, tensor.shape), kept);
  return context.emit(
    node.op,
    [reshape(context, source.value, flat.type.shape, `${node.name}/flat`), rows, ...rest],
    node.attributes,
  );
}

/** Operators behind a split that a Transpose meets or moves past. */
const passes: ReadonlySet<string> = new Set(["Transpose", "Resize", "Upsample", "Concat"]);

interface Group {
  readonly from: readonly number[];
  readonly to: readonly number[];
}

/** The smallest groups of axes with equal products, in order. */
function matchingGroups(from: readonly Dim[], to: readonly Dim[]): readonly Group[] | undefined {
  if (from.includes(0) || to.includes(0)) return undefined;
  const groups: Group[] = [];
  let [i, j] = [0, 0];
  while (i < from.length || j < to.length) {
    const group = { from: [] as number[], to: [] as number[] };
    let [left, right]: [Dim, Dim] = [1, 1];
    const takeLeft = (): void => {
      left = multiplyDims(left, from[i] as Dim);
      group.from.push(i++);
    };
    const takeRight = (): void => {
      right = multiplyDims(right, to[j] as Dim);
      group.to.push(j++);
    };
    if (i < from.length) takeLeft();
    if (j < to.length) takeRight();
    while (!sameDim(left, right)) {
      const growLeft =
        i < from.length &&
        (j >= to.length ||
          (typeof left === "number" && typeof right === "number"
            ? left < right
            : group.from.length <= group.to.length));
      if (growLeft) takeLeft();
      else if (j < to.length) takeRight();
      else return undefined;
    }
    groups.push(group);
  }
  return groups;
}
