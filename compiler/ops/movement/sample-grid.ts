/** GridSample, AffineGrid and Col2Im, which the host computes, and CenterCropPad, a copy inside a border. */
import { constant } from "../../../runtime/format/expression.ts";
import * as reference from "../../../runtime/reference/sample-grid.ts";
import { integersOf } from "../../graph/attribute.ts";
import { type Dim, productOf } from "../../graph/dimension.ts";
import { closeTolerance, defineOperator, exactTolerance, type OperatorContext, sumTolerance } from "../operator.ts";
import { axisOf, dimsOf, nestOver, nestStep, numberOfDim, numbersOf, only } from "./copy.ts";
import { type Border, withBorder } from "./pad.ts";

export const gridSample = defineOperator({
  op: "GridSample",
  infer: (context) => {
    const [data, grid] = [context.type(0), context.type(1)];
    if (grid.shape.length !== data.shape.length || grid.shape.at(-1) !== data.shape.length - 2)
      context.fail(
        "the grid does not fit the input",
        `rank ${data.shape.length} with ${data.shape.length - 2} coordinates last`,
        `[${grid.shape.join(", ")}]`,
      );
    return [{ dtype: data.dtype, shape: [...data.shape.slice(0, 2), ...grid.shape.slice(1, -1)] }];
  },
  reference: reference.gridSample,
  tolerance: closeTolerance,
});

export const affineGrid = defineOperator({
  op: "AffineGrid",
  infer: (context) => {
    const size = dimsOf(context, "size", 1) ?? context.fail("the size is missing");
    if (size.length < 3) context.fail("the size names no image", "[N, C, …]", `${size.length} extents`);
    return [{ dtype: context.type(0).dtype, shape: [size[0] as Dim, ...size.slice(2), size.length - 2] }];
  },
  reference: reference.affineGrid,
  tolerance: closeTolerance,
});

export const col2Im = defineOperator({
  op: "Col2Im",
  infer: (context) => {
    const { dtype, shape } = context.type(0);
    const image = dimsOf(context, "image_shape", 1) ?? context.fail("the image shape is missing");
    const block = numbersOf(context, "block_shape", 2) ?? context.fail("the block shape is missing");
    const size = Number(productOf(block));
    const rows = numberOfDim(context, "the number of rows", shape[1]);
    if (rows % size !== 0) context.fail("the rows are not whole blocks", `a multiple of ${size}`, String(rows));
    return [{ dtype, shape: [shape[0] as Dim, rows / size, ...image] }];
  },
  reference: reference.col2Im,
  tolerance: sumTolerance,
});

/** Cut or padded around the middle; what is odd goes to the end. */
function bordersOf(context: OperatorContext): readonly Border[] {
  const { shape } = context.type(0);
  const sizes = numbersOf(context, "shape", 1) ?? context.fail("the shape is missing");
  const axes =
    integersOf(context.node, "axes")?.map((axis) => axisOf(context, axis, shape.length)) ??
    shape.map((_, axis) => axis);
  if (sizes.length !== axes.length)
    context.fail("the shape does not match the axes", `${axes.length} extents`, String(sizes.length));
  return shape.map((extent, axis): Border => {
    const size = sizes[axes.indexOf(axis)];
    if (size === undefined) return { before: 0, after: 0 };
    const difference = size - numberOfDim(context, "a cropped or padded extent", extent);
    const before = Math.trunc(difference / 2);
    return { before, after: difference - before };
  });
}

export const centerCropPad = defineOperator({
  op: "CenterCropPad",
  infer: (context) => {
    const { dtype, shape } = context.type(0);
    const borders = bordersOf(context);
    const extentAt = (axis: number): Dim => {
      const { before, after } = borders[axis] as Border;
      return before === 0 && after === 0
        ? (shape[axis] as Dim)
        : (shape[axis] as number) + (before as number) + (after as number);
    };
    return [{ dtype, shape: shape.map((_, axis) => extentAt(axis)) }];
  },
  reference: reference.centerCropPad,
  lower: (context) => {
    const { dtype, shape } = context.type(0);
    const zeros = nestStep(nestOver(only(centerCropPad.infer(context)), [], constant(0, dtype)), []);
    return withBorder(dtype, shape, bordersOf(context), zeros);
  },
  tolerance: exactTolerance,
});
