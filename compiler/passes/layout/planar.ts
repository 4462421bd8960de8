/**
 * Spatial operators between the layouts: operands with channels last and two spatial axes on the way in, what the graph
 * expects on the way out, and windows as attributes of both axes.
 */
import { integersAttribute } from "../../graph/attribute.ts";
import { type Dim, sameDim } from "../../graph/dimension.ts";
import type { Attributes, Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import type { WindowAxis } from "../../ops/contraction/window.ts";
import { toChannelsFirst, toChannelsLast, transpose } from "../permutation.ts";
import { reshape } from "../reshape.ts";

/**
 * How many spatial axes the operator works along. A column (width 1) is handled as a row: kernels tile along the width,
 * and for a single column that is only another view.
 */
function isColumn(axes: readonly WindowAxis[]): boolean {
  const [, width] = axes;
  return (
    width !== undefined &&
    sameDim(width.input, 1) &&
    sameDim(width.output, 1) &&
    width.kernel === 1 &&
    sameDim(width.padBefore, 0)
  );
}

/** The operand with channels last and two spatial axes, of which the first is 1 for `row`. */
export function enter(context: RewriteContext, node: Node, x: Value, row: boolean): Value {
  const name = `${node.name}/nhwc`;
  const last = transpose(context, x, toChannelsLast(x.type.shape.length), name);
  const [batch, width] = last.type.shape;
  return row ? reshape(context, last, [batch as Dim, 1, width as Dim, last.type.shape.at(-1) as Dim], name) : last;
}

/** Back to the layout that the rest of the graph expects. */
export function leave(context: RewriteContext, node: Node, y: Value, rank: number, row: boolean): Value {
  const name = `${node.name}/nchw`;
  const [batch, , width, channels] = y.type.shape as readonly [Dim, Dim, Dim, Dim];
  const flat = row ? reshape(context, y, rank === 3 ? [batch, width, channels] : [batch, width, 1, channels], name) : y;
  return transpose(context, flat, toChannelsFirst(rank), name);
}

export interface ResolvedWindow {
  /** Whether the operator works along one axis only, which becomes the width. */
  readonly row: boolean;
  readonly attributes: Attributes;
  readonly kernel: readonly number[];
  readonly output: readonly Dim[];
}

/** strides, dilations and pads of two spatial axes; undefined when the padding depends on symbols. */
export function windowAttributes(axes: readonly WindowAxis[]): ResolvedWindow | undefined {
  const unit: WindowAxis = { input: 1, output: 1, kernel: 1, stride: 1, dilation: 1, padBefore: 0, padAfter: 0 };
  const row = axes.length === 1 || isColumn(axes);
  const both = row ? [unit, axes[0] as WindowAxis] : axes;
  const pads = [...both.map(({ padBefore }) => padBefore), ...both.map(({ padAfter }) => padAfter)];
  const known = pads.filter((pad) => typeof pad === "number");
  if (known.length < pads.length) return undefined;
  return {
    row,
    attributes: {
      strides: integersAttribute(both.map(({ stride }) => stride)),
      dilations: integersAttribute(both.map(({ dilation }) => dilation)),
      pads: integersAttribute(known),
    },
    kernel: both.map(({ kernel }) => kernel),
    output: both.map(({ output }) => output),
  };
}
