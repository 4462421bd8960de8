/**
 * Gives spatial operators the NHWC layout that their kernels are written for, between two Transposes that
 * sink-transposes.ts then moves to the edges of the graph. Valid because the operators treat channels and space
 * alike in either order. Padding, output extents and auto_pad become explicit here; one-dimensional operators become
 * two-dimensional with a height of 1. Three-dimensional ones, and those whose weights are computed, keep their form.
 */
import { dimsAttribute, integerAttribute, integerOf, integersAttribute, stringAttribute } from "../graph/attribute.ts";
import type { Dim } from "../graph/dimension.ts";
import type { Attributes, Node, Value } from "../graph/graph.ts";
import type { RewriteContext } from "../graph/rewrite.ts";
import { kernelShapeOf, resolveTransposedWindow, resolveWindow, weightKernelOf, type WindowAxis } from "../ops/contraction/window.ts";
import { operatorContext } from "../ops/infer.ts";
import { rewritePass } from "./pass.ts";
import { toChannelsFirst, toChannelsLast, transpose } from "./permutation.ts";
import { reshape } from "./reshape.ts";
import { reshaped } from "./tensor-transform.ts";

export const layout = rewritePass(
  "layout",
  "spatial operators work on NHWC, where a kernel row times its channels is one contiguous run",
  (node, context) => {
    const [x] = node.inputs;
    if (!x || x.type.dtype !== "float32" || (x.type.shape.length !== 4 && x.type.shape.length !== 3)) return undefined;
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
      case "GlobalAveragePool":
        return globalPool(node, context, "ReduceMean");
      case "GlobalMaxPool":
        return globalPool(node, context, "ReduceMax");
      case "GlobalLpPool":
        return integerOf(node, "p", 2) === 2 ? globalPool(node, context, "ReduceL2") : undefined;
      default:
        return undefined;
    }
  },
);

/** The operand with channels last and two spatial axes. */
function enter(context: RewriteContext, node: Node, x: Value): Value {
  const last = transpose(context, x, toChannelsLast(x.type.shape.length), `${node.name}/nhwc`);
  const [batch, width, channels] = last.type.shape;
  return last.type.shape.length === 3 ? reshape(context, last, [batch as Dim, 1, width as Dim, channels as Dim], `${node.name}/nhwc`) : last;
}

/** Back to the layout that the rest of the graph expects. */
function leave(context: RewriteContext, node: Node, y: Value, rank: number): Value {
  const [batch, , width, channels] = y.type.shape;
  const flat = rank === 3 ? reshape(context, y, [batch as Dim, width as Dim, channels as Dim], `${node.name}/nchw`) : y;
  return transpose(context, flat, toChannelsFirst(rank), `${node.name}/nchw`);
}

interface ResolvedWindow {
  readonly attributes: Attributes;
  readonly kernel: readonly number[];
  readonly output: readonly Dim[];
}

/** strides, dilations and pads of two spatial axes; undefined when the padding depends on symbols. */
function windowAttributes(axes: readonly WindowAxis[]): ResolvedWindow | undefined {
  const unit: WindowAxis = { input: 1, output: 1, kernel: 1, stride: 1, dilation: 1, padBefore: 0, padAfter: 0 };
  const both = axes.length === 1 ? [unit, ...axes] : axes;
  const pads = [...both.map(({ padBefore }) => padBefore), ...both.map(({ padAfter }) => padAfter)];
  const known = pads.filter((pad) => typeof pad === "number");
  if (known.length < pads.length) return undefined;
  return {
    attributes: {
      strides: integersAttribute(both.map(({ stride }) => stride)),
      dilations: integersAttribute(both.map(({ dilation }) => dilation)),
      pads: integersAttribute(known),
    },
    kernel: both.map(({ kernel }) => kernel),
    output: both.map(({ output }) => output),
  };
}

function convolution(node: Node, context: RewriteContext, op: "leafcutter.Conv" | "leafcutter.ConvTranspose"): Value | undefined {
  const [x, weights, bias] = node.inputs;
  const tensor = weights && context.constant(weights);
  if (!x || !weights || !tensor || (bias && !context.constant(bias))) return undefined;
  const rank = x.type.shape.length;
  const operator = operatorContext(node, context);
  const resolve = op === "leafcutter.Conv" ? resolveWindow : resolveTransposedWindow;
  const window = windowAttributes(resolve(operator, x.type.shape.slice(2), weightKernelOf(operator)));
  if (!window) return undefined;
  const planar =
    rank === 4
      ? weights
      : context.addConstant(weights.name, reshaped(tensor, [...tensor.shape.slice(0, 2), 1, ...tensor.shape.slice(2)]), weights.type.storage);
  const attributes = {
    ...window.attributes,
    group: integerAttribute(integerOf(node, "group", 1)),
    ...(op === "leafcutter.ConvTranspose" ? { outputShape: dimsAttribute(window.output) } : {}),
  };
  return leave(context, node, context.emit(op, [enter(context, node, x), planar, bias], attributes), rank);
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
  return leave(context, node, context.emit("leafcutter.Pool", [enter(context, node, x)], attributes), x.type.shape.length);
}

function globalPool(node: Node, context: RewriteContext, op: string): Value {
  const x = node.inputs[0] as Value;
  const axes = { axes: integersAttribute([1, 2]), keepdims: integerAttribute(1) };
  return leave(context, node, context.emit(op, [enter(context, node, x)], axes, { version: 13 }), x.type.shape.length);
}
