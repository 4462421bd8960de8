/**
 * Reduction of dense [outer, reduced, inner] to [outer, inner]. Words: addresses of input and output, reduced,
 * inner, blocks of columns per outer index.
 */
import { addDims, ceilDivideDims, multiplyDims } from "../../graph/dimension.ts";
import type { BoundStep, Family, View } from "../contract.ts";
import { isApplicable } from "../expression/apply.ts";
import { keyOf } from "../expression/memo.ts";
import type { ReduceProblem } from "../problem.ts";
import { columnBlock, type ReduceVariant, reduceVariants } from "./variants.ts";
import { emitReduce, type ReduceShape } from "./wasm.ts";
import { reduceWgsl } from "./wgsl.ts";

function bind(variant: ReduceVariant, problem: ReduceProblem, input: View, output: View): BoundStep {
  const { outer, reduced, inner, combine, map, finish } = problem;
  const shape: ReduceShape = { vectorised: variant.vectorised, combine, map, finish };
  const elements = multiplyDims(outer, reduced, inner);
  const results = multiplyDims(outer, inner);
  const blocks = ceilDivideDims(inner, columnBlock);
  return {
    kernel: {
      key: `reduce ${keyOf(shape)}`,
      name: `reduce ${combine}${variant.vectorised === "inner" ? " columns" : ""}`,
      emitWasm: (context) => emitReduce(context, shape),
      emitWgsl: () => reduceWgsl(shape),
    },
    arguments: [
      { kind: "address", buffer: input.buffer, offset: input.offset, access: "read" },
      { kind: "address", buffer: output.buffer, offset: output.offset, access: "write" },
      { kind: "integer", value: reduced },
      { kind: "integer", value: inner },
      { kind: "integer", value: blocks },
    ],
    range: variant.vectorised === "reduced" ? outer : multiplyDims(outer, blocks),
    flops: elements,
    bytes: multiplyDims(addDims(elements, results), 4),
    invocations: results,
  };
}

export const reduceFamily: Family<ReduceProblem, ReduceVariant> = {
  name: "reduce",
  variants: reduceVariants,
  strided: false,
  accepts: ({ vectorised }, { inner, map, finish }) =>
    (vectorised === "inner" || inner === 1) && isApplicable(map, 1) && isApplicable(finish, 2),
  work({ vectorised }, { outer, reduced, inner }, extent) {
    const ragged = (dim: number): number => Math.ceil(dim / 4) * 4;
    return vectorised === "reduced"
      ? extent(outer) * ragged(extent(reduced))
      : extent(outer) * extent(reduced) * ragged(extent(inner));
  },
  overheads: ({ vectorised }, { outer, inner }, extent) => ({
    outputs: extent(outer) * (vectorised === "reduced" ? 1 : extent(inner)),
  }),
  packedOperands: () => [],
  bind: (variant, problem, operands, outputs) => bind(variant, problem, operands[0] as View, outputs[0] as View),
};
