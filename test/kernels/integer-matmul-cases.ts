/** Products of 8-bit integer matrices: rows, batches, tails of k and columns, epilogues and their operands. */
import type { IntegerMatmulProblem } from "../../compiler/kernels/problem.ts";
import { binary, cast, type Expression, input, unary } from "../../runtime/format/expression.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { quantized, scaled, scalesOf } from "./integer-conv-cases.ts";
import { type IntegerCase, integers } from "./integer-product.ts";

interface Product {
  /** Leading axes of A. */
  readonly batch?: readonly number[];
  readonly extents: readonly [rows: number, inner: number, columns: number];
  readonly transposed?: boolean;
  readonly bias?: boolean;
  readonly input?: "int8" | "uint8";
  readonly bits?: 7;
  readonly output?: IntegerMatmulProblem["outputType"];
  readonly epilogue?: Expression;
  readonly operands?: readonly Tensor[];
  /** All of A and of B. */
  readonly values?: readonly [a: number, b: number];
}

const filled = (tensor: Tensor, value: number): Tensor => ({
  ...tensor,
  data: tensor.data.map(() => value as never) as never,
});

function integerMatmulCase(product: Product): IntegerCase<IntegerMatmulProblem> {
  const { batch = [], extents, transposed = false, operands = [], epilogue, values } = product;
  const { input: inputType = "uint8", bits = 8 } = product;
  const [rows, inner, columns] = extents;
  const a = integers(inputType, [...batch, rows, inner], 1, bits);
  const b = integers("int8", transposed ? [columns, inner] : [inner, columns], 2);
  const problem: IntegerMatmulProblem = {
    family: "matmul-i8",
    batch: batch.reduce((total, extent) => total * extent, 1),
    rows,
    inner,
    columns,
    transposeB: transposed,
    inputType,
    inputBits: bits,
    epilogue,
    operandTypes: operands.map(({ dtype }) => dtype as IntegerMatmulProblem["outputType"]),
    outputType: product.output ?? (epilogue ? "uint8" : "int32"),
  };
  return {
    problem,
    tensors: [
      values ? filled(a, values[0]) : a,
      values ? filled(b, values[1]) : b,
      product.bias === false ? undefined : integers("int32", [columns], 3),
      ...operands,
    ],
    outputShape: [...batch, rows, columns],
  };
}

const toUint8 = quantized(scaled, 7, "uint8");
const silu = binary("multiply", scaled, unary("sigmoid", scaled));
const plus = (k: number): Expression => binary("add", scaled, cast("float32", input(k)));
const floats = (
  operands: readonly Tensor[],
  epilogue: Expression,
): Pick<Product, "output" | "epilogue" | "operands"> => ({
  output: "float32",
  epilogue,
  operands,
});

const products: Readonly<Record<string, Product>> = {
  one: { extents: [1, 1, 1] },
  tiles: { extents: [12, 16, 16], epilogue: toUint8, operands: [scalesOf(16)] },
  ragged: { extents: [13, 19, 21], input: "int8", epilogue: quantized(silu, 4, "uint8"), operands: [scalesOf(21)] },
  "seven rows": { extents: [7, 5, 9], bias: false },
  transposed: { extents: [9, 11, 10], transposed: true, input: "int8" },
  batch: { batch: [2, 3], extents: [5, 8, 12] },
  long: { extents: [90, 800, 9] },
  "many rows": { extents: [700, 200, 24], epilogue: toUint8, operands: [scalesOf(24)] },
  "to float32": { extents: [6, 32, 16], ...floats([scalesOf(16)], scaled) },
  "operand of the output's shape": {
    batch: [2],
    extents: [7, 6, 11],
    ...floats([scalesOf(11), integers("uint8", [2, 7, 11], 5)], plus(2)),
  },
  "operand of every batch": {
    batch: [2, 3],
    extents: [4, 6, 11],
    ...floats([scalesOf(11), integers("int8", [3, 4, 11], 5)], plus(2)),
  },
  "operand of every row": {
    batch: [2],
    extents: [7, 6, 11],
    ...floats([scalesOf(11), integers("int32", [2, 7, 1], 5)], plus(2)),
  },
  "operand of one value": {
    batch: [2],
    extents: [7, 6, 11],
    ...floats([scalesOf(11), integers("int32", [1, 1], 5)], plus(2)),
  },
  "zero point at run time": {
    extents: [5, 64, 16],
    output: "float32",
    epilogue: cast("float32", binary("subtract", input(0), binary("multiply", cast("int32", input(1)), input(2)))),
    operands: [integers("uint8", [1], 5), integers("int32", [16], 6)],
  },
  vector: { extents: [1, 37, 43], epilogue: toUint8, operands: [scalesOf(43)] },
  "vector of int8": { extents: [1, 64, 40], input: "int8", transposed: true, ...floats([scalesOf(40)], scaled) },
  "vector of a batch": { batch: [1, 1], extents: [1, 8, 16] },
  "vector, residual": { extents: [1, 96, 13], ...floats([scalesOf(13), integers("uint8", [1, 13], 5)], plus(2)) },
  "two rows": { batch: [2], extents: [1, 37, 43] },
  "two rows of int8": { batch: [2], extents: [1, 130, 24], input: "int8", ...floats([scalesOf(24)], scaled) },
  "three rows": { extents: [3, 6, 9] },
  "four rows": { extents: [4, 33, 17], ...floats([scalesOf(17), integers("uint8", [1, 17], 5)], plus(2)) },
  "five rows": { extents: [5, 9, 24] },
  "7 bits": { extents: [13, 20, 21], bits: 7, epilogue: toUint8, operands: [scalesOf(21)] },
  "7 bits, k of no quads": { extents: [13, 19, 21], bits: 7 },
  "7 bits, vector": { extents: [1, 64, 43], bits: 7, epilogue: toUint8, operands: [scalesOf(43)] },
  "7 bits, two rows": { extents: [2, 68, 24], bits: 7, input: "int8" },
  "255 by -128": { extents: [5, 4096, 9], values: [255, -128] },
  "-128 by -128": { extents: [1, 4096, 9], input: "int8", values: [-128, -128] },
  "127 by -128, 7 bits": { extents: [5, 4096, 9], bits: 7, values: [127, -128] },
  "127 by -128, vector of 7 bits": { extents: [1, 4096, 9], bits: 7, values: [127, -128] },
};

export const integerMatmulCases: Readonly<Record<string, IntegerCase<IntegerMatmulProblem>>> = Object.fromEntries(
  Object.entries(products).map(([name, product]) => [name, integerMatmulCase(product)]),
);
