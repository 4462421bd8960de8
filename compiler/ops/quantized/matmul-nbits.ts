/**
 * com.microsoft.MatMulNBits by the nest of its definition: every element of B is dequantised where it is multiplied. Import of
 * constant weights as blocks (Storage) is a pass of its own.
 */
import { axis, binary, cast, constant, type Expression, input, load } from "../../../runtime/format/expression.ts";
import { matmulNBits } from "../../../runtime/reference/block-quantized.ts";
import { integerOf } from "../../graph/attribute.ts";
import { type Dim, productOf, sameDim } from "../../graph/dimension.ts";
import { along, identityAccess } from "../../loop/loop.ts";
import { integer, over, plus, times } from "../contraction/integer-expression.ts";
import { firstOutput, inputOperand, stepsOf } from "../contraction/operands.ts";
import { type Lowering, type Operator, type OperatorContext, sumTolerance } from "../operator.ts";
import { bitsOf, packedElement } from "./packed-element.ts";

interface Form {
  readonly leading: readonly Dim[];
  readonly columns: number;
  readonly inner: number;
  readonly bits: 2 | 4 | 8;
  readonly blockSize: number;
  readonly blocks: number;
}

function formOf(context: OperatorContext): Form {
  const { shape } = context.type(0);
  const [columns, inner] = [integerOf(context.node, "N", 0), integerOf(context.node, "K", 0)];
  const [bits, blockSize] = [bitsOf(context), integerOf(context.node, "block_size", 32)];
  if (blockSize < 16 || !Number.isInteger(Math.log2(blockSize)))
    context.fail("attribute block_size is not valid", "a power of two from 16", String(blockSize));
  const depth = shape.at(-1) ?? 1;
  if (shape.length === 0 || (typeof depth === "number" && depth !== inner))
    context.fail("the last axis of A is not attribute K", String(inner), String(depth));
  const blocks = Math.ceil(inner / blockSize);
  const expectSize = (index: number, what: string, size: number): void => {
    if (!context.has(index)) return;
    const received = productOf(context.type(index).shape);
    if (!sameDim(received, size)) context.fail(`${what} have the wrong size`, String(size), String(received));
  };
  expectSize(1, "the weights", (columns * blocks * blockSize * bits) / 8);
  expectSize(2, "the scales", columns * blocks);
  if (context.has(3)) {
    const isPacked = context.type(3).dtype === "uint8";
    expectSize(3, "the zero points", columns * (isPacked ? Math.ceil((blocks * bits) / 8) : blocks));
  }
  expectSize(4, "the group indices", inner);
  expectSize(5, "the biases", columns);
  if (context.type(1).dtype !== "uint8")
    context.fail("the weights are not packed in bytes", "uint8", context.type(1).dtype);
  return { leading: shape.slice(0, -1), columns, inner, bits, blockSize, blocks };
}

/** Iteration axes: those of A, its last one replaced by the column, then the reduced k. */
function lower(context: OperatorContext): Lowering | undefined {
  const form = formOf(context);
  const { leading, columns, inner, bits, blockSize, blocks } = form;
  const { dtype } = context.type(0);
  if (dtype !== "float32" || context.type(2).dtype !== "float32") return undefined;
  const rank = leading.length;
  const [column, k] = [axis(rank), axis(rank + 1)];
  const present = [0, 1, 2, 3, 4, 5].filter((index) => context.has(index));
  const operand = (index: number): number => present.indexOf(index);
  const block = context.has(4) ? cast("int32", load(operand(4), [k])) : over(k, integer(blockSize));
  /** Entry `at` of row `column` in a parameter of `width` entries a row, whatever shape it was given. */
  const entry = (index: number, at: Expression, width: number): readonly Expression[] => {
    const { shape } = context.type(index);
    if (shape.length === 1) return [plus(times(column, integer(width)), at)];
    return [column, at, ...shape.slice(2).map(() => integer(0))];
  };
  const bytesPerBlock = integer((blockSize * bits) / 8);
  const place = (byte: Expression): readonly Expression[] =>
    context.type(1).shape.length === 3
      ? [column, over(byte, bytesPerBlock), binary("remainder", byte, bytesPerBlock)]
      : entry(1, byte, (blocks * blockSize * bits) / 8);
  const zero = (): Expression => {
    if (!context.has(3)) return constant(2 ** (bits - 1));
    if (context.type(3).dtype !== "uint8") return load(operand(3), entry(3, block, blocks));
    const width = Math.ceil((blocks * bits) / 8);
    return cast(
      "float32",
      packedElement(operand(3), (byte) => entry(3, byte, width), block, bits),
    );
  };
  const q = packedElement(operand(1), place, k, bits);
  const weight = binary(
    "multiply",
    binary("subtract", cast("float32", q), zero()),
    load(operand(2), entry(2, block, blocks)),
  );
  const bias = context.has(5) ? input(operand(5) + 1) : undefined;
  return stepsOf({
    kind: "nest",
    nest: {
      extents: [...leading, columns, inner],
      reductions: 1,
      operands: present.map((index) => {
        const { dtype } = context.type(index);
        if (index === 0) return { dtype, access: [...leading.map((_, at) => along(at)), along(rank + 1)] };
        return { dtype, access: index === 5 ? [along(rank)] : "indexed" };
      }),
      parameters: [],
      body: binary("multiply", input(0), weight),
      combine: "add",
      ...(bias ? { finish: binary("add", input(0), bias) } : {}),
      output: { dtype, access: identityAccess(rank + 1) },
    },
    operands: present.map(inputOperand),
    output: firstOutput,
  });
}

export const matmulNBitsOperator: Operator = {
  op: "com.microsoft.MatMulNBits",
  infer: (context) => {
    const { leading, columns } = formOf(context);
    return [{ dtype: context.type(0).dtype, shape: [...leading, columns] }];
  },
  reference: matmulNBits,
  lower,
  tolerance: sumTolerance,
};
