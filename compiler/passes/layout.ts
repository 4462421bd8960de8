/**
 * Gives spatial operators the NHWC layout that their kernels are written for, between two Transposes that
 * sink-transposes.ts then moves to the edges of the graph. Valid because the operators treat channels and space
 * alike in either order. Padding, output extents and auto_pad become explicit here; one-dimensional operators become
 * two-dimensional with a height of 1. Three-dimensional ones, and those whose weights are computed, keep their form.
 */
import { dimsAttribute, integerAttribute, integerOf, integersAttribute, stringAttribute } from "../graph/attribute.ts";
import { type Dim, sameDim } from "../graph/dimension.ts";
import type { Attributes, Node, Value } from "../graph/graph.ts";
import type { RewriteContext } from "../graph/rewrite.ts";
import {
  kernelShapeOf,
  resolveTransposedWindow,
  resolveWindow,
  type WindowAxis,
  weightKernelOf,
} from "../ops/contraction/window.ts";
import { operatorContext } from "../ops/infer.ts";
import { rewritePass } from "./pass.ts";
import { toChannelsFirst, toChannelsLast, transpose } from "./permutation.ts";
import { reshape } from "./reshape.ts";
import { reshapedStorage } from "./storage.ts";
import { reshaped } from "./tensor-transform.ts";

export const layout = rewritePass(
  "layout",
  "spatial operators work on NHWC, where a kernel row times its channels is one contiguous run",
  (node, context) => {
    const [x] = node.inputs;
    if (x?.type.dtype !== "float32" || (x.type.shape.length !== 4 && x.type.shape.length !== 3)) return undefined;
    switch (node.op) {
      case "Conv":
        return convolution(node, context, "leafcutter.Conv");
      case "ConvTranspose":
        return convolution(node, context, "leafcutter.ConvTranspose");
      case "MaxPool":
        return node.outputs.length > 1 ? undefined : pool(node, context, "max");
      case "AveragePool":
        return pool(node, context, "average");
      case "LpPool":
        return pool(node, context, "lp");
      default:
        return undefined;
    }
  },
);

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
function enter(context: RewriteContext, node: Node, x: Value, row: boolean): Value {
  const name = `${node.name}/nhwc`;
  const last = transpose(context, x, toChannelsLast(x.type.shape.length), name);
  const [batch, width] = last.type.shape;
  return row ? reshape(context, last, [batch as Dim, 1, width as Dim, last.type.shape.at(-1) as Dim], name) : last;
}

/** Back to the layout that the rest of the graph expects. */
function leave(context: RewriteContext, node: Node, y: Value, rank: number, row: boolean): Value {
  const name = `${node.name}/nchw`;
  const [batch, , width, channels] = y.type.shape as readonly [Dim, Dim, Dim, Dim];
  const flat = row ? reshape(context, y, rank === 3 ? [batch, width, channels] : [batch, width, 1, channels], name) : y;
  return transpose(context, flat, toChannelsFirst(rank), name);
}

interface ResolvedWindow {
  /** Whether the operator works along one axis only, which becomes the width. */
  readonly row: boolean;
  readonly attributes: Attributes;
  readonly kernel: readonly number[];
  readonly output: readonly Dim[];
}

/** strides, dilations and pads of two spatial axes; undefined when the padding depends on symbols. */
function windowAttributes(axes: readonly WindowAxis[]): ResolvedWindow | undefined {
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

function convolution(
  node: Node,
  context: RewriteContext,
  op: "leafcutter.Conv" | "leafcutter.ConvTranspose",
): Value | undefined {
  const [x, weights, bias] = node.inputs;
  const tensor = weights && context.constant(weights);
  if (!x || !weights || !tensor || (bias && !context.constant(bias))) return undefined;
  const operator = operatorContext(node, context);
  const resolve = op === "leafcutter.Conv" ? resolveWindow : resolveTransposedWindow;
  const window = windowAttributes(resolve(operator, x.type.shape.slice(2), weightKernelOf(operator)));
  if (!window) return undefined;
  const planarShape = [...tensor.shape.slice(0, 2), ...window.kernel];
  const planar = window.row
    ? context.addConstant(
        weights.name,
        reshaped(tensor, planarShape),
        reshapedStorage(weights.type.storage, tensor.shape, planarShape),
      )
    : weights;
  const attributes = {
    ...window.attributes,
    group: integerAttribute(integerOf(node, "group", 1)),
    ...(op === "leafcutter.ConvTranspose" ? { outputShape: dimsAttribute(window.output) } : {}),
  };
  const y = context.emit(op, [enter(context, node, x, window.row), planar, bias], attributes);
  return leave(context, node, y, x.type.shape.length, window.row);
}

function pool(node: Node, context: RewriteContext, mode: "max" | "average" | "lp"): Value | undefined {
  const x = node.inputs[0] as Value;
  const operator = operatorContext(node, context);
  const window = windowAttributes(resolveWindow(operator, x.type.shape.slice(2), kernelShapeOf(operator)));
  if (!window) return undefined;
  const attributes: Attributes = {
    ...window.attributes,
    mode: stringAttribute(mode),
    kernelShape: integersAttribute(window.kernel),
    outputShape: dimsAttribute(window.output),
    ...(mode === "average" ? { countIncludePad: integerAttribute(integerOf(node, "count_include_pad", 0)) } : {}),
    ...(mode === "lp" ? { p: integerAttribute(integerOf(node, "p", 2)) } : {}),
  };
  const y = context.emit("leafcutter.Pool", [enter(context, node, x, window.row)], attributes);
  return leave(context, node, y, x.type.shape.length, window.row);
}
