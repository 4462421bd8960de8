/**
 * Gives spatial operators the NHWC layout that their kernels are written for, between two Transposes that
 * sink-transposes.ts then moves to the edges of the graph. Valid because the operators treat channels and space
 * alike in either order. Padding, output extents and auto_pad become explicit here; one-dimensional operators become
 * two-dimensional with a height of 1. Three-dimensional ones, and those whose weights are computed, keep their form.
 */
import {
  dimsAttribute,
  integerAttribute,
  integerOf,
  integersAttribute,
  stringAttribute,
} from "../../graph/attribute.ts";
import type { Attributes, Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import { kernelShapeOf, resolveTransposedWindow, resolveWindow, weightKernelOf } from "../../ops/contraction/window.ts";
import { operatorContext } from "../../ops/infer.ts";
import { rewritePass } from "../pass.ts";
import { reshapedStorage } from "../storage.ts";
import { reshaped } from "../tensor-transform.ts";
import { integerConvolution } from "./integer.ts";
import { enter, leave, windowAttributes } from "./planar.ts";

export const layout = rewritePass(
  "layout",
  "spatial operators work on NHWC, where a kernel row times its channels is one contiguous run",
  (node, context) => {
    const [x] = node.inputs;
    if (node.op === "ConvInteger") return integerConvolution(node, context);
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
