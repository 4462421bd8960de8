/**
 * DepthToSpace and SpaceToDepth: one copy whose iteration axes are the factors of the output's axes, in output order.
 * With the attribute layout="NHWC" input and output are [N, H, W, C].
 */
import * as reference from "../../../runtime/reference/rearrange.ts";
import { integerOf, stringOf } from "../../graph/attribute.ts";
import { type Dim, divideDims, multiplyDims } from "../../graph/dimension.ts";
import type { AffineIndex } from "../../loop/loop.ts";
import { defineOperator, exactTolerance, type OperatorContext } from "../operator.ts";
import { copyNest, nestStep, only, steps } from "./copy.ts";

interface Blocks {
  readonly last: boolean;
  readonly block: number;
  readonly batch: Dim;
  readonly channels: Dim;
  readonly height: Dim;
  readonly width: Dim;
}

function blocksOf(context: OperatorContext): Blocks {
  const { shape } = context.type(0);
  if (shape.length !== 4) context.fail("the input must have four axes", "rank 4", `rank ${shape.length}`);
  const [a, b, c, d] = shape as readonly [Dim, Dim, Dim, Dim];
  const last = stringOf(context.node, "layout", "NCHW") === "NHWC";
  const block = integerOf(context.node, "blocksize", 0);
  if (!(block >= 1)) context.fail("blocksize must be positive", "a positive integer", String(block));
  return last
    ? { last, block, batch: a, channels: d, height: b, width: c }
    : { last, block, batch: a, channels: b, height: c, width: d };
}

const arrange = (last: boolean, batch: Dim, channels: Dim, height: Dim, width: Dim): readonly Dim[] =>
  last ? [batch, height, width, channels] : [batch, channels, height, width];

/** Coordinate made of several axes, the last term running fastest. */
const joined = (...terms: readonly (readonly [axis: number, coefficient: Dim])[]): AffineIndex => ({
  offset: 0,
  terms: terms.map(([axis, coefficient]) => ({ axis, coefficient })),
});

export const depthToSpace = defineOperator({
  op: "DepthToSpace",
  infer: (context) => {
    const { last, block, batch, channels, height, width } = blocksOf(context);
    if (typeof channels === "number" && channels % (block * block) !== 0)
      context.fail("the channels cannot be split into blocks", `a multiple of ${block * block}`, String(channels));
    const depth = divideDims(channels, block * block);
    return [
      {
        dtype: context.type(0).dtype,
        shape: arrange(last, batch, depth, multiplyDims(height, block), multiplyDims(width, block)),
      },
    ];
  },
  reference: reference.depthToSpace,
  lower: (context) => {
    const { last, block, batch, channels, height, width } = blocksOf(context);
    const depth = divideDims(channels, block * block);
    const columnFirst = stringOf(context.node, "mode", "DCR") === "CRD";
    // Iteration axes in output order: n, [d,] h, row, w, column, [d].
    const [d, h, row, w, column] = last ? [5, 1, 2, 3, 4] : [1, 2, 3, 4, 5];
    const extents = last ? [batch, height, block, width, block, depth] : [batch, depth, height, block, width, block];
    const channel = columnFirst
      ? joined([d, block * block], [row, block], [column, 1])
      : joined([row, multiplyDims(depth, block)], [column, depth], [d, 1]);
    const [n, y, x] = [joined([0, 1]), joined([h, 1]), joined([w, 1])];
    const source = last ? [n, y, x, channel] : [n, channel, y, x];
    const [Y, X] = [joined([h, block], [row, 1]), joined([w, block], [column, 1])];
    const target = last ? [n, Y, X, joined([d, 1])] : [n, joined([d, 1]), Y, X];
    return steps(nestStep(copyNest(context.type(0).dtype, extents, source, target)));
  },
  tolerance: exactTolerance,
});

export const spaceToDepth = defineOperator({
  op: "SpaceToDepth",
  infer: (context) => {
    const { last, block, batch, channels, height, width } = blocksOf(context);
    for (const extent of [height, width])
      if (typeof extent === "number" && extent % block !== 0)
        context.fail("height and width cannot be split into blocks", `multiples of ${block}`, String(extent));
    const depth = multiplyDims(channels, block * block);
    return [
      {
        dtype: context.type(0).dtype,
        shape: arrange(last, batch, depth, divideDims(height, block), divideDims(width, block)),
      },
    ];
  },
  reference: reference.spaceToDepth,
  lower: (context) => {
    const { last, block, batch, channels } = blocksOf(context);
    const { dtype, shape } = only(spaceToDepth.infer(context));
    const [rows, columns] = (last ? [shape[1], shape[2]] : [shape[2], shape[3]]) as readonly [Dim, Dim];
    const [row, column, c, h, w] = last ? [3, 4, 5, 1, 2] : [1, 2, 3, 4, 5];
    const extents = last
      ? [batch, rows, columns, block, block, channels]
      : [batch, block, block, channels, rows, columns];
    const n = joined([0, 1]);
    const [Y, X] = [joined([h, block], [row, 1]), joined([w, block], [column, 1])];
    const source = last ? [n, Y, X, joined([c, 1])] : [n, joined([c, 1]), Y, X];
    const depth = joined([row, multiplyDims(channels, block)], [column, channels], [c, 1]);
    const target = last ? [n, joined([h, 1]), joined([w, 1]), depth] : [n, depth, joined([h, 1]), joined([w, 1])];
    return steps(nestStep(copyNest(dtype, extents, source, target)));
  },
  tolerance: exactTolerance,
});
