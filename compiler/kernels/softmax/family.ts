/** Softmax and log-softmax of dense [outer, length, inner]. Words: addresses of input and output, length, inner. */
import { multiplyDims } from "../../graph/dimension.ts";
import type { BoundStep, Family, View } from "../contract.ts";
import type { SoftmaxProblem } from "../problem.ts";
import { type SoftmaxVariant, softmaxVariants } from "./variants.ts";
import { emitSoftmaxColumns, emitSoftmaxRows } from "./wasm.ts";
import { softmaxWgsl } from "./wgsl.ts";

/** Operations of one element: a comparison, an exponential of about 16, a sum and a product. */
const operationsPerElement = 20;

function bind(variant: SoftmaxVariant, problem: SoftmaxProblem, input: View, output: View): BoundStep {
  const { logarithm, outer, length, inner } = problem;
  const elements = multiplyDims(outer, length, inner);
  const name = logarithm ? "log-softmax" : "softmax";
  return {
    kernel: {
      key: `${name} ${variant.name}`,
      name: variant.vectorised === "length" ? name : `${name} ${variant.name}`,
      emitWasm: (context) =>
        (variant.vectorised === "length" ? emitSoftmaxRows : emitSoftmaxColumns)(context, logarithm),
      emitWgsl: () => softmaxWgsl(logarithm),
    },
    arguments: [
      { kind: "address", buffer: input.buffer, offset: input.offset, access: "read" },
      { kind: "address", buffer: output.buffer, offset: output.offset, access: "write" },
      { kind: "integer", value: length },
      { kind: "integer", value: inner },
    ],
    range: outer,
    flops: multiplyDims(elements, operationsPerElement),
    bytes: multiplyDims(elements, 8),
    invocations: multiplyDims(outer, inner),
  };
}

export const softmaxFamily: Family<SoftmaxProblem, SoftmaxVariant> = {
  name: "softmax",
  variants: softmaxVariants,
  strided: false,
  accepts: ({ vectorised }, { inner }) => vectorised === "inner" || inner === 1,
  work({ vectorised }, { outer, length, inner }, extent) {
    const ragged = (dim: number): number => Math.ceil(dim / 4) * 4;
    return vectorised === "length"
      ? extent(outer) * ragged(extent(length))
      : extent(outer) * extent(length) * ragged(extent(inner));
  },
  overheads: ({ vectorised }, { outer, inner }, extent) => ({
    rows: extent(outer) * (vectorised === "length" ? 1 : Math.ceil(extent(inner) / 4)),
  }),
  packedOperands: () => [],
  bind: (variant, problem, operands, outputs) => bind(variant, problem, operands[0] as View, outputs[0] as View),
};
