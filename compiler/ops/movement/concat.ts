/** Concat and Split: copies with an offset along one axis. */
import * as reference from "../../../runtime/reference/rearrange.ts";
import { integerOf } from "../../graph/attribute.ts";
import {
  addDims,
  ceilDivideDims,
  type Dim,
  divideDims,
  formatDim,
  maximumDim,
  minimumDim,
  multiplyDims,
  sameDim,
  subtractDims,
} from "../../graph/dimension.ts";
import type { TensorType } from "../../graph/graph.ts";
import { along, identityAccess } from "../../loop/loop.ts";
import { defineOperator, exactTolerance, type LoweredStep, type OperatorContext } from "../operator.ts";
import { axisOf, copyNest, dimsOf, inputOperand, isAtLeast, nestStep, outputOperand, steps, view } from "./copy.ts";

const concatAxis = (context: OperatorContext): number =>
  axisOf(context, integerOf(context.node, "axis", 1), context.type(0).shape.length);

/** Types of the members; the exporter may leave out nothing in between. */
const members = (context: OperatorContext): readonly TensorType[] =>
  context.node.inputs.map((_, index) => context.type(index));

export const concat = defineOperator({
  op: "Concat",
  infer: (context) => {
    const { dtype, shape } = context.type(0);
    const axis = concatAxis(context);
    const parts = members(context);
    parts.forEach((part, index) => {
      const fits =
        part.shape.length === shape.length &&
        part.shape.every(
          (extent, i) =>
            i === axis || typeof extent !== "number" || typeof shape[i] !== "number" || extent === shape[i],
        );
      if (part.dtype !== dtype || !fits)
        context.fail(
          `input ${index} does not fit the others`,
          `${dtype}[${shape.map(formatDim).join(", ")}] but for axis ${axis}`,
          `${part.dtype}[${part.shape.map(formatDim).join(", ")}]`,
        );
    });
    // A constant extent says more than a symbolic one.
    const extentAt = (i: number): Dim =>
      parts.find((part) => typeof part.shape[i] === "number")?.shape[i] ?? (shape[i] as Dim);
    const total = addDims(...parts.map((part) => part.shape[axis] as Dim));
    return [{ dtype, shape: shape.map((_, i) => (i === axis ? total : extentAt(i))) }];
  },
  elements: (context) => {
    if (context.type(0).shape.length !== 1) return undefined;
    const lists = context.node.inputs.map((_, index) => context.elements(index));
    return lists.every((list) => list !== undefined) ? lists.flat() : undefined;
  },
  reference: reference.concat,
  lower: (context) => {
    const parts = members(context);
    if (parts.length === 1) return view;
    const axis = concatAxis(context);
    let offset: Dim = 0;
    const list: LoweredStep[] = [];
    parts.forEach(({ dtype, shape }, index) => {
      const start = offset;
      offset = addDims(offset, shape[axis] as Dim);
      if (shape.includes(0)) return;
      const target = shape.map((_, i) => along(i, 1, i === axis ? start : 0));
      list.push(nestStep(copyNest(dtype, shape, identityAccess(shape.length), target), [inputOperand(index)]));
    });
    return steps(...list);
  },
  tolerance: exactTolerance,
});

interface Part {
  readonly start: Dim;
  readonly length: Dim;
}

function partsOf(context: OperatorContext): { readonly axis: number; readonly parts: readonly Part[] } {
  const { node } = context;
  const { shape } = context.type(0);
  const axis = axisOf(context, integerOf(node, "axis", 0), shape.length);
  const extent = shape[axis] as Dim;
  const given = dimsOf(context, "split", 1);
  if (given) {
    if (given.length !== node.outputs.length)
      context.fail("split does not match the number of outputs", `${node.outputs.length} lengths`, `${given.length}`);
    const total = addDims(...given);
    if (typeof total === "number" && typeof extent === "number" && total !== extent)
      context.fail("the lengths in split do not add up to the axis", String(extent), String(total));
    let start: Dim = 0;
    const parts = given.map((length) => {
      const part = { start, length };
      start = addDims(start, length);
      return part;
    });
    return { axis, parts };
  }
  const count = integerOf(node, "num_outputs", node.outputs.length);
  const even = multiplyDims(divideDims(extent, count), count);
  if (sameDim(even, extent)) {
    const length = divideDims(extent, count);
    return { axis, parts: Array.from({ length: count }, (_, i) => ({ start: multiplyDims(length, i), length })) };
  }
  const length = ceilDivideDims(extent, count);
  const parts = Array.from({ length: count }, (_, i) => {
    const start = multiplyDims(length, i);
    const rest = subtractDims(extent, start);
    return { start, length: isAtLeast(rest, length) ? length : maximumDim(0, minimumDim(length, rest)) };
  });
  return { axis, parts };
}

export const split = defineOperator({
  op: "Split",
  infer: (context) => {
    const { dtype, shape } = context.type(0);
    const { axis, parts } = partsOf(context);
    return parts.map(({ length }) => ({ dtype, shape: shape.map((extent, i) => (i === axis ? length : extent)) }));
  },
  elements: (context) => {
    const length = partsOf(context).parts[0]?.length;
    return context.type(0).shape.length === 1 && typeof length === "number"
      ? context.elements(0)?.slice(0, length)
      : undefined;
  },
  reference: reference.split,
  lower: (context) => {
    const { dtype, shape } = context.type(0);
    const { axis, parts } = partsOf(context);
    if (parts.length === 1) return view;
    const list = parts.flatMap(({ start, length }, index) => {
      if (length === 0) return [];
      const extents = shape.map((extent, i) => (i === axis ? length : extent));
      const access = shape.map((_, i) => along(i, 1, i === axis ? start : 0));
      return [nestStep(copyNest(dtype, extents, access), undefined, outputOperand(index))];
    });
    return steps(...list);
  },
  tolerance: exactTolerance,
});
