/**
 * Normalisation of dense rows. Words: addresses of input, output, scale and shift (the input again where absent),
 * length, channels, epsilon.
 */
import { addDims, multiplyDims } from "../../graph/dimension.ts";
import type { Argument, BoundStep, Family, View } from "../contract.ts";
import { keyOf } from "../expression/memo.ts";
import type { NormProblem } from "../problem.ts";
import { normVariants } from "./variants.ts";
import { emitNorm, type NormShape } from "./wasm.ts";
import { normWgsl } from "./wgsl.ts";

/** Operations of one element: two sums, a difference, a square, a product; two more with scale and shift. */
const operationsPerElement = 8;

function bind(problem: NormProblem, operands: readonly (View | undefined)[], output: View): BoundStep {
  const { outer, length, centered, epsilon, affine, channels } = problem;
  const [input, scale, shift] = operands as readonly [View, View | undefined, View | undefined];
  const shape: NormShape = {
    centered,
    affine: scale || shift ? affine : "none",
    scale: scale !== undefined,
    shift: shift !== undefined,
  };
  const elements = multiplyDims(outer, length);
  const read = (view: View): Argument => ({
    kind: "address",
    buffer: view.buffer,
    offset: view.offset,
    access: "read",
  });
  return {
    kernel: {
      key: `norm ${keyOf(shape)}`,
      name: centered ? "layer norm" : "rms norm",
      emitWasm: (context) => emitNorm(context, shape),
      emitWgsl: () => normWgsl(shape),
    },
    arguments: [
      read(input),
      { kind: "address", buffer: output.buffer, offset: output.offset, access: "write" },
      read(scale ?? input),
      read(shift ?? input),
      { kind: "integer", value: length },
      { kind: "integer", value: channels },
      { kind: "float", value: epsilon },
    ],
    range: outer,
    flops: multiplyDims(elements, operationsPerElement),
    bytes: multiplyDims(addDims(elements, elements), 4),
    invocations: outer,
  };
}

export const normFamily: Family<NormProblem> = {
  name: "norm",
  variants: normVariants,
  strided: false,
  accepts: () => true,
  work: (_, { outer, length }, extent) => extent(outer) * Math.ceil(extent(length) / 4) * 4,
  overheads: (_, { outer }, extent) => ({ rows: extent(outer) }),
  packedOperands: () => [],
  bind: (_, problem, operands, outputs) => bind(problem, operands, outputs[0] as View),
};
