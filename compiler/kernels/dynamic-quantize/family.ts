/**
 * A tensor to uint8 by its own range, in one step: smallest and largest element with 0, scale and zero point, then the
 * elements. Words: addresses of input, elements, scale and zero point; count of elements. The range is 1.
 */
import { addDims, multiplyDims } from "../../graph/dimension.ts";
import type { BoundStep, Family, Kernel, View } from "../contract.ts";
import type { DynamicQuantizeProblem } from "../problem.ts";
import { dynamicQuantizeVariants } from "./variants.ts";
import { emitDynamicQuantize } from "./wasm.ts";
import { dynamicQuantizeWgsl } from "./wgsl.ts";

const kernel: Kernel = {
  key: "dynamic-quantize",
  name: "dynamic-quantize",
  emitWasm: emitDynamicQuantize,
  emitWgsl: dynamicQuantizeWgsl,
};

function bind({ elements }: DynamicQuantizeProblem, input: View, outputs: readonly View[]): BoundStep {
  return {
    kernel,
    arguments: [
      { kind: "address", buffer: input.buffer, offset: input.offset, access: "read" },
      ...outputs.map(({ buffer, offset }) => ({ kind: "address", buffer, offset, access: "write" }) as const),
      { kind: "integer", value: elements },
    ],
    range: 1,
    granule: 0,
    flops: multiplyDims(elements, 4),
    bytes: addDims(multiplyDims(elements, 9), 5),
    invocations: 1,
  };
}

export const dynamicQuantizeFamily: Family<DynamicQuantizeProblem> = {
  name: "dynamic-quantize",
  variants: dynamicQuantizeVariants,
  strided: false,
  accepts: () => true,
  work: (_, { elements }, extent) => extent(elements),
  packedOperands: () => [],
  bind: (_, problem, operands, outputs) => bind(problem, operands[0] as View, outputs),
};
