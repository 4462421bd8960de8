/**
 * Averages of windows of 8-bit integers are summed in integers: a depthwise leafcutter.IntegerConv whose weights are 1, and whose
 * epilogue divides. Valid where every window has as many elements: what stands outside the image is either counted (it is the
 * zero point) or never in a window. Large windows would need many ones, and means of whole images are short beside the rest.
 */
import { binary, cast, constant, input } from "../../../runtime/format/expression.ts";
import { tensorOf } from "../../../runtime/format/tensor.ts";
import {
  expressionAttribute,
  expressionOf,
  integerAttribute,
  integerOf,
  integersOf,
  stringOf,
} from "../../graph/attribute.ts";
import type { Node } from "../../graph/graph.ts";
import { substitute } from "../elementwise.ts";
import { rewritePass } from "../pass.ts";
import { dequantisedBy } from "../quantisation.ts";

const mostTaps = 16;

export const integerPools = rewritePass(
  "integer-pools",
  "averages of 8-bit numbers are summed in integers",
  (node, context) => {
    if (node.op !== "leafcutter.Pool" || stringOf(node, "mode", "") !== "average") return undefined;
    const from = dequantisedBy(node.inputs[0], context);
    const [height, width] = integersOf(node, "kernelShape") ?? [];
    const channels = from?.source.type.shape[3];
    if (!from || !height || !width || height * width > mostTaps || typeof channels !== "number") return undefined;
    if (!hasEqualWindows(node)) return undefined;
    const { scale, zero } = from.quantisation;
    const taps = height * width;
    const { strides, dilations, pads } = node.attributes;
    const ones = tensorOf("int8", [channels, 1, height, width], new Array<number>(channels * taps).fill(1));
    const offsets = tensorOf("int32", [channels], new Array<number>(channels).fill(-zero * taps));
    const mean = binary("multiply", cast("float32", input(0)), constant(Math.fround(scale / taps)));
    return context.emit(
      "leafcutter.IntegerConv",
      [
        from.source,
        context.addConstant(`${node.name}/ones`, ones),
        zero === 0 ? undefined : context.addConstant(`${node.name}/offsets`, offsets),
      ],
      {
        ...(strides ? { strides } : {}),
        ...(dilations ? { dilations } : {}),
        ...(pads ? { pads } : {}),
        group: integerAttribute(channels),
        padValue: integerAttribute(zero),
        epilogue: expressionAttribute(substitute(expressionOf(node, "epilogue") ?? input(0), () => mean)),
      },
    );
  },
);

/** Whether all windows are whole: inside the image, or with padding that counts, and as many as the convolution's. */
function hasEqualWindows(node: Node): boolean {
  const pads = integersOf(node, "pads") ?? [0, 0, 0, 0];
  if (pads.some((pad) => pad !== 0) && integerOf(node, "countIncludePad", 0) === 0) return false;
  const shape = node.inputs[0]?.type.shape ?? [];
  const kernel = integersOf(node, "kernelShape") ?? [];
  return [0, 1].every((axis) => {
    const [extent, outputs] = [shape[1 + axis], node.outputs[0]?.type.shape[1 + axis]];
    const stride = integersOf(node, "strides")?.[axis] ?? 1;
    const reach = ((kernel[axis] ?? 1) - 1) * (integersOf(node, "dilations")?.[axis] ?? 1) + 1;
    if (typeof extent !== "number" || typeof outputs !== "number") return false;
    const padded = extent + (pads[axis] ?? 0) + (pads[2 + axis] ?? 0);
    return outputs === Math.floor((padded - reach) / stride) + 1;
  });
}
