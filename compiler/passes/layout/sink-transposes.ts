/**
 * Moves Transposes towards the outputs until they meet their inverse or stop at an operator that cares about the
 * order of axes; what then only moves axes of extent 1 becomes a view. Valid because each operator is rewritten to
 * act on the same axes under their new numbers. The pass that makes NHWC free: after it a convolutional network has
 * a Transpose at its input and seldom another one.
 */
import { elementCount, type Tensor, tensorOf } from "../../../runtime/format/tensor.ts";
import { integerAttribute, integerOf, integersAttribute, stringAttribute, stringOf } from "../../graph/attribute.ts";
import { type Dim, sameDim } from "../../graph/dimension.ts";
import type { Attributes, Node, Value } from "../../graph/graph.ts";
import { type RewriteContext, rewriteNodes } from "../../graph/rewrite.ts";
import { inferNode } from "../../ops/infer.ts";
import { isElementwise } from "../elementwise.ts";
import type { Pass } from "../pass.ts";
import {
  composed,
  inverseOf,
  keepsBytes,
  type Permutation,
  permutationOf,
  restore,
  samePermutation,
  type Transposed,
  toChannelsFirst,
  transpose,
  transposedSource,
} from "../permutation.ts";
import { reshape } from "../reshape.ts";
import { permutedStorage, reshapedStorage } from "../storage.ts";
import { permuted, reshaped, withoutLeadingOnes } from "../tensor-transform.ts";
import { intoWeights, sinkReshape, throughMerge } from "./sink-through-reshape.ts";

export const sinkTransposes: Pass = {
  name: "sink-transposes",
  reason: "transposes meet their inverse and vanish, or become views",
  // Only when no Transpose can sink any more may one become a Reshape: a Reshape does not sink.
  run: (graph) =>
    rewriteNodes(rewriteNodes(graph, inferNode, sink, "sink-transposes"), inferNode, viewOfUnitAxes, "sink-transposes"),
};

function viewOfUnitAxes(node: Node, context: RewriteContext): Value | undefined {
  const [x] = node.inputs;
  if (node.op !== "Transpose" || !x || !keepsBytes(permutationOf(node), x.type.shape)) return undefined;
  return reshape(context, x, (node.outputs[0] as Value).type.shape, node.name);
}

function sink(node: Node, context: RewriteContext): Value | readonly Value[] | undefined {
  if (node.op === "Transpose") {
    const result = throughMerge(node, context);
    if (result) return result;
  }
  if (node.op === "leafcutter.MatMul") return intoWeights(node, context);
  if (node.op === "Concat") return sinkJoin(node, context, node.inputs as readonly Value[]);
  const source = transposedSource(node.inputs[0], context);
  // Neither range nor rounding depends on the order of elements.
  if (source && node.op === "DynamicQuantizeLinear") {
    const [integers, ...range] = context.emitNode(node.op, [source.value], node.attributes, { version: node.version });
    return [restore(context, node, integers as Value, source.permutation), ...range];
  }
  if (source) {
    const rule = rules[node.op];
    const result = rule?.(node, source, context);
    if (result) return result;
  }
  return node.outputs.length === 1 && node.inputs.length > 0 && isElementwise(node, context)
    ? sinkElementwise(node, context)
    : undefined;
}

type Rule = (node: Node, source: Transposed, context: RewriteContext) => Value | undefined;

const rules: Readonly<Record<string, Rule>> = {
  Transpose: (node, source, context) =>
    transpose(context, source.value, composed(source.permutation, permutationOf(node)), node.name),
  Reshape: sinkReshape,
  Softmax: sinkAxis(13),
  LogSoftmax: sinkAxis(13),
  Hardmax: sinkAxis(13),
  LpNormalization: sinkAxis(1),
  Slice: sinkSlice,
  Pad: sinkPad,
  ArgMax: sinkArgument,
  ArgMin: sinkArgument,
  ...Object.fromEntries(
    [
      "ReduceMean",
      "ReduceSum",
      "ReduceMax",
      "ReduceMin",
      "ReduceProd",
      "ReduceL1",
      "ReduceL2",
      "ReduceLogSum",
      "ReduceLogSumExp",
      "ReduceSumSquare",
    ].map((op): [string, Rule] => [op, sinkReduce]),
  ),
  ...Object.fromEntries(
    ["DepthToSpace", "SpaceToDepth", "InstanceNormalization", "GroupNormalization", "LRN"].map((op): [string, Rule] => [
      op,
      sinkSpatial,
    ]),
  ),
  Resize: sinkResize,
  Upsample: sinkResize,
};

const normalAxis = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

const without = (attributes: Attributes, ...names: readonly string[]): Attributes =>
  Object.fromEntries(Object.entries(attributes).filter(([name]) => !names.includes(name)));

/** What an operand of a broadcast or a Concat becomes when the result's axes are renumbered by the inverse of `permutation`. */
function unsink(
  value: Value,
  permutation: Permutation,
  context: RewriteContext,
  name: string,
  broadcast: boolean,
): Value | undefined {
  const source = transposedSource(value, context);
  if (source && samePermutation(source.permutation, permutation)) return source.value;
  const rank = permutation.length;
  const { shape } = value.type;
  if (broadcast && shape.every((dim) => sameDim(dim, 1)))
    return shape.length <= 1 ? value : reshape(context, value, [], name);
  if (!broadcast && shape.length !== rank) return undefined;
  const full = [...new Array<Dim>(rank - shape.length).fill(1), ...shape];
  const inverse = inverseOf(permutation);
  const tensor = context.constant(value);
  if (tensor) {
    const extents = full as readonly number[];
    const moved = permuted(reshaped(tensor, extents), inverse);
    const trimmed = broadcast ? reshaped(moved, withoutLeadingOnes(moved.shape)) : moved;
    const storage = permutedStorage(reshapedStorage(value.type.storage, tensor.shape, extents), extents, inverse);
    return context.addConstant(value.name, trimmed, reshapedStorage(storage, moved.shape, trimmed.shape));
  }
  if (keepsBytes(inverse, full))
    return reshape(
      context,
      value,
      inverse.map((axis) => full[axis] as Dim),
      name,
    );
  return undefined;
}

/** Values of the result's rank that come from a Transpose, by permutation; the most frequent one leads. */
function leadingPermutation(
  inputs: readonly (Value | undefined)[],
  rank: number,
  context: RewriteContext,
): Permutation | undefined {
  let best: { readonly permutation: Permutation; readonly count: number } | undefined;
  const counts = new Map<string, number>();
  for (const value of new Set(inputs)) {
    const source = transposedSource(value, context);
    if (source?.permutation.length !== rank) continue;
    const key = source.permutation.join();
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    if (!best || count > best.count) best = { permutation: source.permutation, count };
  }
  return best?.permutation;
}

/**
 * All operands renumbered. An operand that is neither transposed, constant nor small gets a Transpose of its own when the
 * others outweigh it and the permutation is that of a spatial operator, whose neighbours will want NHWC too.
 */
function renumbered(
  inputs: readonly (Value | undefined)[],
  permutation: Permutation,
  context: RewriteContext,
  node: Node,
  broadcast: boolean,
): readonly (Value | undefined)[] | undefined {
  let inserted = 0;
  let removed = 0;
  const known = new Map<Value, Value>();
  const results = inputs.map((value) => {
    if (!value) return undefined;
    const earlier = known.get(value);
    if (earlier) return earlier;
    const direct = unsink(value, permutation, context, `${node.name}/operand`, broadcast);
    if (direct && transposedSource(value, context)) removed++;
    if (!direct) inserted++;
    const result =
      direct ??
      (value.type.shape.length === permutation.length
        ? transpose(context, value, inverseOf(permutation), `${node.name}/operand`)
        : undefined);
    if (result) known.set(value, result);
    return result;
  });
  if (results.some((result, index) => inputs[index] && !result)) return undefined;
  if (
    inserted > 0 &&
    (inserted > removed || permutation.length < 4 || !samePermutation(permutation, toChannelsFirst(permutation.length)))
  )
    return undefined;
  return results;
}

function sinkElementwise(node: Node, context: RewriteContext): Value | undefined {
  const rank = (node.outputs[0] as Value).type.shape.length;
  const permutation = leadingPermutation(node.inputs, rank, context);
  const inputs = permutation && renumbered(node.inputs, permutation, context, node, true);
  return inputs && restore(context, node, context.emit(node.op, inputs, node.attributes), permutation);
}

function sinkJoin(node: Node, context: RewriteContext, inputs: readonly Value[]): Value | undefined {
  const rank = (node.outputs[0] as Value).type.shape.length;
  const permutation = leadingPermutation(inputs, rank, context);
  const operands = permutation && renumbered(inputs, permutation, context, node, false);
  if (!operands) return undefined;
  const axis = permutation[normalAxis(integerOf(node, "axis", 1), rank)] as number;
  return restore(
    context,
    node,
    context.emit(node.op, operands, { ...node.attributes, axis: integerAttribute(axis) }),
    permutation,
  );
}

/** Operators with one `axis` that stands for itself from version `since` on. */
function sinkAxis(since: number): Rule {
  return (node, { value, permutation }, context) => {
    if (node.version < since) return undefined;
    const axis = permutation[normalAxis(integerOf(node, "axis", -1), permutation.length)] as number;
    const attributes = { ...node.attributes, axis: integerAttribute(axis) };
    return restore(context, node, context.emit(node.op, [value, ...node.inputs.slice(1)], attributes), permutation);
  };
}

/** Reduced axes keep their place as extents of 1 or drop out of the permutation. */
function afterReduction(permutation: Permutation, reduced: ReadonlySet<number>, keep: boolean): Permutation {
  if (keep) return permutation;
  const left = permutation.filter((axis) => !reduced.has(axis));
  const ordered = [...left].sort((a, b) => a - b);
  return left.map((axis) => ordered.indexOf(axis));
}

function sinkReduce(node: Node, { value, permutation }: Transposed, context: RewriteContext): Value | undefined {
  const axesInput = node.inputs[1];
  const given = axesInput
    ? context.elements(axesInput)
    : node.attributes.axes?.kind === "integers"
      ? node.attributes.axes.value
      : [];
  if (!given || given.some((axis) => typeof axis !== "number")) return undefined;
  if (given.length === 0 && integerOf(node, "noop_with_empty_axes", 0) !== 0) return undefined;
  const rank = permutation.length;
  const axes =
    given.length === 0
      ? [...permutation]
      : given.map((axis) => permutation[normalAxis(axis as number, rank)] as number);
  axes.sort((a, b) => a - b);
  const keep = integerOf(node, "keepdims", 1) !== 0;
  const result = axesInput
    ? context.emit(node.op, [value, axesConstant(context, node, axes)], node.attributes)
    : context.emit(node.op, [value], { ...node.attributes, axes: integersAttribute(axes) });
  return restore(context, node, result, afterReduction(permutation, new Set(axes), keep));
}

const axesConstant = (context: RewriteContext, node: Node, axes: readonly number[]): Value =>
  context.addConstant(`${node.name}/axes`, tensorOf("int64", [axes.length], axes));

function sinkArgument(node: Node, { value, permutation }: Transposed, context: RewriteContext): Value | undefined {
  const axis = permutation[normalAxis(integerOf(node, "axis", 0), permutation.length)] as number;
  const result = context.emit(node.op, [value], { ...node.attributes, axis: integerAttribute(axis) });
  return restore(
    context,
    node,
    result,
    afterReduction(permutation, new Set([axis]), integerOf(node, "keepdims", 1) !== 0),
  );
}

function sinkSlice(node: Node, { value, permutation }: Transposed, context: RewriteContext): Value | undefined {
  const rank = permutation.length;
  const starts = node.inputs[1] ? node.inputs[1].type.shape[0] : listLength(node, "starts");
  const given = node.inputs[3] ? context.elements(node.inputs[3]) : listOf(node, "axes");
  if (typeof starts !== "number" || (node.inputs[3] && !given)) return undefined;
  const axes = Array.from(
    { length: starts },
    (_, index) => permutation[normalAxis((given?.[index] ?? index) as number, rank)] as number,
  );
  const result = node.inputs[1]
    ? context.emit(
        node.op,
        [value, node.inputs[1], node.inputs[2], axesConstant(context, node, axes), node.inputs[4]],
        without(node.attributes, "axes"),
      )
    : context.emit(node.op, [value], { ...node.attributes, axes: integersAttribute(axes) });
  return restore(context, node, result, permutation);
}

function listOf(node: Node, name: string): readonly Dim[] | undefined {
  const attribute = node.attributes[name];
  return attribute?.kind === "integers" || attribute?.kind === "dims" ? attribute.value : undefined;
}

const listLength = (node: Node, name: string): number | undefined => listOf(node, name)?.length;

function sinkPad(node: Node, { value, permutation }: Transposed, context: RewriteContext): Value | undefined {
  const rank = permutation.length;
  const pads = node.inputs[1] ? context.elements(node.inputs[1]) : listOf(node, "pads");
  const axes = node.inputs[3] ? context.elements(node.inputs[3]) : undefined;
  if (!pads || (node.inputs[3] && !axes) || pads.some((pad) => typeof pad !== "number")) return undefined;
  const full = new Array<number>(2 * rank).fill(0);
  const count = pads.length / 2;
  for (let index = 0; index < count; index++) {
    const axis = permutation[normalAxis((axes?.[index] ?? index) as number, rank)] as number;
    full[axis] = pads[index] as number;
    full[axis + rank] = pads[index + count] as number;
  }
  const result = node.inputs[1]
    ? context.emit(
        node.op,
        [value, context.addConstant(`${node.name}/pads`, tensorOf("int64", [2 * rank], full)), node.inputs[2]],
        node.attributes,
      )
    : context.emit(node.op, [value], { ...node.attributes, pads: integersAttribute(full) });
  return restore(context, node, result, permutation);
}

/** Operators whose record knows both layouts by their attribute `layout`. */
function sinkSpatial(node: Node, { value, permutation }: Transposed, context: RewriteContext): Value | undefined {
  if (stringOf(node, "layout", "NCHW") !== "NCHW" || !samePermutation(permutation, toChannelsFirst(permutation.length)))
    return undefined;
  const result = context.emit(node.op, [value, ...node.inputs.slice(1)], {
    ...node.attributes,
    layout: stringAttribute("NHWC"),
  });
  return restore(context, node, result, permutation);
}

/** Resize treats every axis by its own scale or size: the lists are put in the new order. */
function sinkResize(node: Node, { value, permutation }: Transposed, context: RewriteContext): Value | undefined {
  if (listOf(node, "axes")) {
    const axes = (listOf(node, "axes") as readonly number[]).map(
      (axis) => permutation[normalAxis(axis, permutation.length)] as number,
    );
    const result = context.emit(node.op, [value, ...node.inputs.slice(1)], {
      ...node.attributes,
      axes: integersAttribute(axes),
    });
    return restore(context, node, result, permutation);
  }
  const inverse = inverseOf(permutation);
  const lists = node.inputs.slice(1).map((list) => (list ? permutedList(list, inverse, context) : undefined));
  if (lists.some((list, index) => node.inputs[index + 1] && !list)) return undefined;
  const attributes = Object.fromEntries(
    Object.entries(node.attributes).map(([name, attribute]) => {
      const { kind, value: list } = attribute;
      const listed =
        (kind === "floats" || kind === "dims" || kind === "integers") && list.length === permutation.length;
      return [name, listed ? { kind, value: inverse.map((axis) => list[axis]) } : attribute] as const;
    }),
  ) as Attributes;
  return restore(context, node, context.emit(node.op, [value, ...lists], attributes), permutation);
}

/** A constant list with one entry per axis (or two, as roi) in another order. */
function permutedList(list: Value, inverse: Permutation, context: RewriteContext): Value | undefined {
  const tensor = context.constant(list);
  if (!tensor) return undefined;
  const rank = inverse.length;
  const order = tensor.data.length === 2 * rank ? [...inverse, ...inverse.map((axis) => axis + rank)] : inverse;
  if (elementCount(tensor.shape) === 0) return list;
  return tensor.data.length === order.length ? context.addConstant(list.name, gathered(tensor, order)) : undefined;
}

const gathered = (tensor: Tensor, order: readonly number[]): Tensor =>
  tensorOf(
    tensor.dtype,
    tensor.shape,
    order.map((index) => tensor.data[index] as number | bigint),
  );
