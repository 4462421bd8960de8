/**
 * Sliding windows over up to three spatial axes: attributes resolved to numbers, missing leading axes filled
 * with extent 1, so that one set of loops serves ranks 1 to 3.
 */
import { listOf, numberOf, refuse, textOf } from "./call.ts";
import type { ReferenceCall } from "./reference.ts";

/** Depth, height, width. */
export type Triple = readonly [number, number, number];

export interface Spatial {
  /** Number of spatial axes the node really has. */
  readonly rank: number;
  readonly input: Triple;
  readonly kernel: Triple;
  readonly output: Triple;
  readonly stride: Triple;
  readonly dilation: Triple;
  readonly before: Triple;
  readonly after: Triple;
}

export function tripled(values: readonly number[], fill: number): Triple {
  if (values.length > 3) refuse("more than three spatial axes", "at most 3", String(values.length));
  const [depth = fill, height = fill, width = fill] = [...new Array<number>(3 - values.length).fill(fill), ...values];
  return [depth, height, width];
}

interface Axis {
  readonly output: number;
  readonly before: number;
  readonly after: number;
}

function build(
  call: ReferenceCall,
  input: readonly number[],
  kernel: readonly number[],
  resolve: (axis: number, stride: number, span: number) => Axis,
): Spatial {
  const rank = input.length;
  const stride = strided(call, "strides", rank);
  const dilation = strided(call, "dilations", rank);
  const axes = input.map((_, axis) =>
    resolve(axis, stride[axis] ?? 1, ((kernel[axis] ?? 1) - 1) * (dilation[axis] ?? 1) + 1),
  );
  return {
    rank,
    input: tripled(input, 1),
    kernel: tripled(kernel, 1),
    output: tripled(
      axes.map(({ output }) => output),
      1,
    ),
    stride: tripled(stride, 1),
    dilation: tripled(dilation, 1),
    before: tripled(
      axes.map(({ before }) => before),
      0,
    ),
    after: tripled(
      axes.map(({ after }) => after),
      0,
    ),
  };
}

function strided(call: ReferenceCall, name: string, rank: number): readonly number[] {
  const values = listOf(call, name) ?? [];
  return values.length === 0 ? new Array<number>(rank).fill(1) : values;
}

/** Windows of convolutions and pools over an input of spatial extents `input`. */
export function slidingWindow(call: ReferenceCall, input: readonly number[], kernel: readonly number[]): Spatial {
  const pads = listOf(call, "pads") ?? [];
  const mode = textOf(call, "auto_pad", "NOTSET");
  const ceil = numberOf(call, "ceil_mode", 0) !== 0;
  return build(call, input, kernel, (axis, stride, span) => {
    const extent = input[axis] ?? 1;
    if (mode === "SAME_UPPER" || mode === "SAME_LOWER") {
      const output = Math.ceil(extent / stride);
      const total = Math.max(0, (output - 1) * stride + span - extent);
      const before = mode === "SAME_UPPER" ? Math.floor(total / 2) : Math.ceil(total / 2);
      return { output, before, after: total - before };
    }
    if (mode === "VALID") return { output: Math.floor((extent - span) / stride) + 1, before: 0, after: 0 };
    const before = pads[axis] ?? 0;
    const after = pads[axis + input.length] ?? 0;
    const steps = (extent + before + after - span) / stride;
    let output = (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1;
    if (ceil && (output - 1) * stride >= extent + before) output--;
    return { output, before, after };
  });
}

/** Windows of transposed convolutions: `output` is the extent of the result. */
export function transposedWindow(call: ReferenceCall, input: readonly number[], kernel: readonly number[]): Spatial {
  const rank = input.length;
  const pads = listOf(call, "pads") ?? [];
  const extra = listOf(call, "output_padding") ?? [];
  const shape = (listOf(call, "output_shape") ?? []).slice(-rank);
  const mode = textOf(call, "auto_pad", "NOTSET");
  return build(call, input, kernel, (axis, stride, span) => {
    const extent = input[axis] ?? 1;
    const full = (extent - 1) * stride + span + (extra[axis] ?? 0);
    const output = shape[axis] ?? (mode.startsWith("SAME") ? extent * stride : undefined);
    if (output !== undefined) {
      const total = Math.max(0, full - output);
      const before = mode === "SAME_UPPER" ? Math.floor(total / 2) : Math.ceil(total / 2);
      return { output, before, after: total - before };
    }
    const before = mode === "VALID" ? 0 : (pads[axis] ?? 0);
    const after = mode === "VALID" ? 0 : (pads[axis + rank] ?? 0);
    return { output: full - before - after, before, after };
  });
}

/** The spatial output extents without the filled axes. */
export const outputExtents = (spatial: Spatial): readonly number[] => spatial.output.slice(3 - spatial.rank);
