/** Expand and Tile: elements repeated by affine coordinates. */
import * as reference from "../../../runtime/reference/rearrange.ts";
import {
  type Dim,
  formatDim,
  maximumDim,
  minimumDim,
  multiplyDims,
  sameDim,
  subtractDims,
} from "../../graph/dimension.ts";
import { type AffineIndex, along, fixed } from "../../loop/loop.ts";
import { defineOperator, exactTolerance, type OperatorContext } from "../operator.ts";
import { copyNest, dimsOf, isAtLeast, nestStep, only, steps, view } from "./copy.ts";

/** One axis of the result; a symbolic extent may turn out to be 1. */
function joinExtents(context: OperatorContext, own: Dim, wanted: Dim): Dim {
  if (wanted === 1 || sameDim(own, wanted)) return own;
  if (own === 1) return wanted;
  if (typeof own === "number" && typeof wanted === "number")
    return context.fail("the shapes do not broadcast", `1 or ${formatDim(wanted)}`, formatDim(own));
  if (isAtLeast(own, wanted)) return own;
  return isAtLeast(wanted, own) ? wanted : maximumDim(own, wanted);
}

function expandedShape(context: OperatorContext): readonly Dim[] {
  const { shape } = context.type(0);
  const wanted = dimsOf(context, "shape", 1) ?? context.fail("the target shape is missing");
  const rank = Math.max(shape.length, wanted.length);
  const at = (list: readonly Dim[], axis: number): Dim => list[axis - rank + list.length] ?? 1;
  return Array.from({ length: rank }, (_, axis) => joinExtents(context, at(shape, axis), at(wanted, axis)));
}

/** Numbers repeated, when both the elements and the result's shape are short and known. */
function repeated(context: OperatorContext, shape: readonly Dim[]): readonly Dim[] | undefined {
  const elements = context.elements(0);
  const [length] = shape;
  if (elements?.length !== 1 || shape.length > 1) return undefined;
  if (length === undefined) return elements;
  return typeof length === "number" ? Array.from({ length }, () => elements[0] as Dim) : undefined;
}

export const expand = defineOperator({
  op: "Expand",
  infer: (context) => [{ dtype: context.type(0).dtype, shape: expandedShape(context) }],
  elements: (context) => repeated(context, expandedShape(context)),
  reference: reference.expand,
  lower: (context) => {
    const { dtype, shape } = context.type(0);
    const { shape: extents } = only(expand.infer(context));
    const missing = extents.length - shape.length;
    const access = shape.map((own, axis): AffineIndex => {
      if (own === 1) return fixed(0);
      // The coefficient is 0 where a symbolic extent turns out to be 1.
      const repeats = !sameDim(own, extents[axis + missing] as Dim);
      return along(axis + missing, repeats ? minimumDim(subtractDims(own, 1), 1) : 1);
    });
    const isSame = shape.every((own, axis) => sameDim(own, extents[axis + missing] as Dim));
    if (isSame && extents.slice(0, missing).every((extent) => extent === 1)) return view;
    return steps(nestStep(copyNest(dtype, extents, access)));
  },
  tolerance: exactTolerance,
});

function repeatsOf(context: OperatorContext): readonly Dim[] {
  const { shape } = context.type(0);
  const repeats = dimsOf(context, "repeats", 1) ?? context.fail("the repeats are missing");
  if (repeats.length !== shape.length)
    context.fail("repeats does not match the axes", `${shape.length} values`, String(repeats.length));
  return repeats;
}

export const tile = defineOperator({
  op: "Tile",
  infer: (context) => {
    const { dtype, shape } = context.type(0);
    const repeats = repeatsOf(context);
    return [{ dtype, shape: shape.map((extent, axis) => multiplyDims(extent, repeats[axis] as Dim)) }];
  },
  elements: (context) => repeated(context, only(tile.infer(context)).shape),
  reference: reference.tile,
  lower: (context) => {
    const { dtype, shape } = context.type(0);
    const repeats = repeatsOf(context);
    if (repeats.every((count) => count === 1)) return view;
    const extents: Dim[] = [];
    const target = shape.map((extent, axis): AffineIndex => {
      const count = repeats[axis] as Dim;
      if (count === 1) return along(extents.push(extent) - 1);
      const outer = extents.push(count, extent) - 2;
      return {
        offset: 0,
        terms: [
          { axis: outer, coefficient: extent },
          { axis: outer + 1, coefficient: 1 },
        ],
      };
    });
    const source = target.map(({ terms }): AffineIndex => along(terms.at(-1)?.axis ?? 0));
    return steps(nestStep(copyNest(dtype, extents, source, target)));
  },
  tolerance: exactTolerance,
});
