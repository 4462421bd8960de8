/**
 * ConvInteger with constant weights as leafcutter.IntegerConv. A zero point that only the run knows stands around the image by a
 * Pad, and is corrected in the epilogue.
 */
import { tensorOf } from "../../../runtime/format/tensor.ts";
import { expressionAttribute, integerAttribute, integerOf, integersAttribute } from "../../graph/attribute.ts";
import type { Attributes, Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import { resolveWindow, weightKernelOf } from "../../ops/contraction/window.ts";
import { operatorContext } from "../../ops/infer.ts";
import { centredWeights, correctionFor } from "../integer-weights.ts";
import { reshaped } from "../tensor-transform.ts";
import { enter, leave, windowAttributes } from "./planar.ts";

export function integerConvolution(node: Node, context: RewriteContext): Value | undefined {
  const [x, weights, zero, weightZero] = node.inputs;
  const rank = x?.type.shape.length;
  if (!x || !weights || (rank !== 3 && rank !== 4)) return undefined;
  const operator = operatorContext(node, context);
  const window = windowAttributes(resolveWindow(operator, x.type.shape.slice(2), weightKernelOf(operator)));
  const centred = window && centredWeights(weights, weightZero, 0, context);
  const correction = centred && correctionFor(zero, centred.sums, weights.name, context);
  if (!correction) return undefined;
  const { tensor } = centred;
  const kernel = context.addConstant(weights.name, reshaped(tensor, [...tensor.shape.slice(0, 2), ...window.kernel]));
  const { sum, offsets, operands } = correction;
  const image = enter(context, node, x, window.row);
  const source = sum && zero ? bordered(image, zero, window.attributes, node, context) : image;
  const known = zero && context.constant(zero);
  const y = context.emit("leafcutter.IntegerConv", [source, kernel, offsets, ...operands], {
    ...window.attributes,
    ...(source === image ? {} : { pads: integersAttribute([0, 0, 0, 0]) }),
    group: integerAttribute(integerOf(node, "group", 1)),
    padValue: integerAttribute(Number(known?.data[0] ?? 0)),
    ...(sum ? { epilogue: expressionAttribute(sum) } : {}),
  });
  return leave(context, node, y, rank, window.row);
}

/** The image [N, H, W, C] with `zero` around it, as wide as attribute pads of `window` says. */
function bordered(image: Value, zero: Value, window: Attributes, node: Node, context: RewriteContext): Value {
  const pads = window.pads?.value as readonly number[];
  if (pads.every((pad) => pad === 0)) return image;
  const [top = 0, left = 0, bottom = 0, right = 0] = pads;
  const name = `${node.name}/border`;
  const borders = context.addConstant(`${name}s`, tensorOf("int64", [8], [0, top, left, 0, 0, bottom, right, 0]));
  return context.emit("Pad", [image, borders, zero], {}, { name, version: 13 });
}
