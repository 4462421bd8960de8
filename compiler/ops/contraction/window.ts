/**
 * Geometry of sliding windows: strides, dilations, auto_pad, ceil_mode and output_shape of a node resolved to
 * explicit padding and output extents, one entry per spatial axis. Used by inference, lowering and the layout pass.
 */
import { integerOf, integersOf, stringOf } from "../../graph/attribute.ts";
import {
  addDims,
  ceilDivideDims,
  type Dim,
  divideDims,
  maximumDim,
  minimumDim,
  multiplyDims,
  subtractDims,
} from "../../graph/dimension.ts";
import type { OperatorContext } from "../operator.ts";

/** One spatial axis. Padding is symbolic only when auto_pad meets a symbolic extent and a stride above 1. */
export interface WindowAxis {
  readonly input: Dim;
  readonly output: Dim;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly padBefore: Dim;
  readonly padAfter: Dim;
}

/** A list attribute with one entry per axis, checked for its length. */
function perAxis(
  context: OperatorContext,
  name: string,
  count: number,
  fallback: number,
  least: number,
): readonly number[] {
  const values = integersOf(context.node, name) ?? [];
  if (values.length === 0) return new Array<number>(count).fill(fallback);
  if (values.length !== count)
    context.fail(`attribute ${name} has the wrong length`, String(count), String(values.length));
  if (values.some((value) => value < least))
    context.fail(`attribute ${name} is out of range`, `at least ${least}`, values.join(", "));
  return values;
}

/** Number of elements a dilated window spans. */
const spanOf = (kernel: number, dilation: number): number => (kernel - 1) * dilation + 1;

/** Windows of Conv, DeformConv and the pools over `spatial`. `padBefore` and `padAfter` of SAME are those of the ONNX standard. */
export function resolveWindow(
  context: OperatorContext,
  spatial: readonly Dim[],
  kernel: readonly number[],
): readonly WindowAxis[] {
  const count = spatial.length;
  if (kernel.length !== count) context.fail("the kernel has the wrong rank", String(count), String(kernel.length));
  const strides = perAxis(context, "strides", count, 1, 1);
  const dilations = perAxis(context, "dilations", count, 1, 1);
  const pads = perAxis(context, "pads", 2 * count, 0, Number.NEGATIVE_INFINITY);
  const mode = stringOf(context.node, "auto_pad", "NOTSET");
  const ceil = integerOf(context.node, "ceil_mode", 0) !== 0;
  return spatial.map((input, axis) => {
    const stride = strides[axis]!;
    const dilation = dilations[axis]!;
    const window = { input, kernel: kernel[axis]!, stride, dilation };
    const span = spanOf(window.kernel, dilation);
    switch (mode) {
      case "SAME_UPPER":
      case "SAME_LOWER": {
        const output = ceilDivideDims(input, stride);
        // With stride 1 the total does not depend on the extent.
        const needed =
          stride === 1 ? span - 1 : addDims(multiplyDims(addDims(output, -1), stride), span, multiplyDims(input, -1));
        const total = maximumDim(0, needed);
        const small = divideDims(total, 2);
        const large = subtractDims(total, small);
        const upper = mode === "SAME_UPPER";
        return { ...window, output, padBefore: upper ? small : large, padAfter: upper ? large : small };
      }
      case "VALID":
        return { ...window, output: extentOf(context, input, span, stride), padBefore: 0, padAfter: 0 };
      case "NOTSET":
      case "": {
        const padBefore = pads[axis]!;
        const padAfter = pads[axis + count]!;
        const padded = addDims(input, padBefore, padAfter);
        if (!ceil) return { ...window, output: extentOf(context, padded, span, stride), padBefore, padAfter };
        // The last window must start inside the input or the padding before it.
        const all = addDims(ceilDivideDims(addDims(padded, -span), stride), 1);
        const starting = addDims(divideDims(addDims(input, padBefore, -1), stride), 1);
        return { ...window, output: minimumDim(all, starting), padBefore, padAfter };
      }
      default:
        return context.fail("attribute auto_pad is not known", "NOTSET, SAME_UPPER, SAME_LOWER or VALID", mode);
    }
  });
}

function extentOf(context: OperatorContext, padded: Dim, span: number, stride: number): Dim {
  const output = addDims(divideDims(addDims(padded, -span), stride), 1);
  if (typeof output === "number" && output < 0)
    context.fail("the window is larger than the padded input", `at least ${span}`, String(padded));
  return output;
}

/** Windows of ConvTranspose: `output` is the extent of the result, `kernel` slides over it. */
export function resolveTransposedWindow(
  context: OperatorContext,
  spatial: readonly Dim[],
  kernel: readonly number[],
): readonly WindowAxis[] {
  const count = spatial.length;
  if (kernel.length !== count) context.fail("the kernel has the wrong rank", String(count), String(kernel.length));
  const strides = perAxis(context, "strides", count, 1, 1);
  const dilations = perAxis(context, "dilations", count, 1, 1);
  const pads = perAxis(context, "pads", 2 * count, 0, Number.NEGATIVE_INFINITY);
  const extra = perAxis(context, "output_padding", count, 0, 0);
  const shape = (integersOf(context.node, "output_shape") ?? []).slice(-count);
  const mode = stringOf(context.node, "auto_pad", "NOTSET");
  const same = mode === "SAME_UPPER" || mode === "SAME_LOWER";
  return spatial.map((input, axis) => {
    const stride = strides[axis]!;
    const dilation = dilations[axis]!;
    const window = { input, kernel: kernel[axis]!, stride, dilation };
    const full = addDims(multiplyDims(addDims(input, -1), stride), extra[axis]!, spanOf(window.kernel, dilation));
    const requested = shape[axis] ?? (same ? multiplyDims(input, stride) : undefined);
    if (requested === undefined) {
      const padBefore = mode === "VALID" ? 0 : pads[axis]!;
      const padAfter = mode === "VALID" ? 0 : pads[axis + count]!;
      return { ...window, output: addDims(full, -padBefore, -padAfter), padBefore, padAfter };
    }
    const total = maximumDim(0, subtractDims(full, requested));
    const small = divideDims(total, 2);
    const large = subtractDims(total, small);
    const upper = mode === "SAME_UPPER";
    return { ...window, output: requested, padBefore: upper ? small : large, padAfter: upper ? large : small };
  });
}

/** The kernel extents of a pooling node. */
export function kernelShapeOf(context: OperatorContext): readonly number[] {
  return integersOf(context.node, "kernel_shape") ?? context.fail("attribute kernel_shape is missing");
}

/** The kernel extents of a convolution's weights [.., .., k…], which must be known. */
export function weightKernelOf(context: OperatorContext): readonly number[] {
  const declared = integersOf(context.node, "kernel_shape");
  const actual = context
    .type(1)
    .shape.slice(2)
    .map((dim) => (typeof dim === "number" ? dim : context.fail("the weights have a symbolic kernel extent")));
  if (declared && declared.length > 0 && declared.join() !== actual.join())
    context.fail("attribute kernel_shape contradicts the weights", actual.join(", "), declared.join(", "));
  return actual;
}
