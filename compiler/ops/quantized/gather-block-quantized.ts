/**
 * com.microsoft.GatherBlockQuantized: rows of a table in blocks, dequantised as they are read. Data of uint8 hold several elements
 * a byte along the last axis; int8 data are elements that import has unpacked (attribute data_type says so for uint8).
 */
import { axis, binary, cast, type Expression, load } from "../../../runtime/format/expression.ts";
import { gatherBlockQuantized } from "../../../runtime/reference/block-quantized.ts";
import { integerOf } from "../../graph/attribute.ts";
import { ceilDivideDims, type Dim, multiplyDims, sameShape } from "../../graph/dimension.ts";
import { along, identityAccess } from "../../loop/loop.ts";
import { integer, over, Parameters } from "../contraction/integer-expression.ts";
import { firstOutput, hasGeneratedCode, inputOperand, stepsOf } from "../contraction/operands.ts";
import { axisOf } from "../movement/copy.ts";
import { checkIndexType, wrapIndex } from "../movement/index-expression.ts";
import { closeTolerance, type Lowering, type Operator, type OperatorContext } from "../operator.ts";
import { bitsOf, packedElement } from "./packed-element.ts";

interface Form {
  /** Shape of the table, elements unpacked. */
  readonly table: readonly Dim[];
  readonly gatherAxis: number;
  readonly quantizeAxis: number;
  readonly blockSize: number;
  readonly bits: 2 | 4 | 8;
  readonly isPacked: boolean;
  readonly output: readonly Dim[];
}

function formOf(context: OperatorContext): Form {
  const { dtype, shape } = context.type(0);
  if (dtype !== "uint8" && dtype !== "int8")
    context.fail("the data are not quantised", "uint8, int8, or four bits", dtype);
  checkIndexType(context, 1);
  const bits = bitsOf(context);
  const isPacked = dtype === "uint8" && integerOf(context.node, "data_type", 0) === 0;
  const last = shape.length - 1;
  const table = shape.map((extent, at) => (isPacked && at === last ? multiplyDims(extent, 8 / bits) : extent));
  const gatherAxis = axisOf(context, integerOf(context.node, "gather_axis", 0), shape.length);
  const quantizeAxis = axisOf(context, integerOf(context.node, "quantize_axis", 1), shape.length);
  const blockSize = integerOf(context.node, "block_size", 128);
  if (isPacked && gatherAxis === last)
    context.fail("packed data cannot be gathered along their last axis", "another gather_axis", String(gatherAxis));
  const blocks = table.map((extent, at) => (at === quantizeAxis ? ceilDivideDims(extent, blockSize) : extent));
  const scales = context.type(2).shape;
  if (!sameShape(scales, blocks)) context.fail("the scales do not fit the data", blocks.join(), scales.join());
  if (context.has(3)) {
    const zeros = context.type(3).shape;
    const expected = blocks.map((extent, at) =>
      isPacked && at === last ? ceilDivideDims(multiplyDims(extent, bits), 8) : extent,
    );
    if (!sameShape(zeros, expected)) context.fail("the zero points do not fit", expected.join(), zeros.join());
  }
  const output = [...table.slice(0, gatherAxis), ...context.type(1).shape, ...table.slice(gatherAxis + 1)];
  return { table, gatherAxis, quantizeAxis, blockSize, bits, isPacked, output };
}

function lower(context: OperatorContext): Lowering | undefined {
  const { table, gatherAxis, quantizeAxis, blockSize, bits, isPacked, output } = formOf(context);
  const [data, indices, scales] = [context.type(0), context.type(1), context.type(2)];
  if (!hasGeneratedCode(scales.dtype)) return undefined;
  const rank = indices.shape.length;
  const parameters = new Parameters();
  const row = wrapIndex(1, indices.dtype, parameters.of(table[gatherAxis] ?? 1));
  const at = table.map((_, i): Expression => {
    if (i === gatherAxis) return row;
    return axis(i < gatherAxis ? i : i - 1 + rank);
  });
  const block = at.map((index, i) => (i === quantizeAxis ? over(index, integer(blockSize)) : index));
  /** The element of `operand` at `place`, from bytes or from a number of its own. */
  const element = (operand: number, place: readonly Expression[]): Expression =>
    isPacked
      ? packedElement(operand, (byte) => [...place.slice(0, -1), byte], place[place.length - 1]!, bits)
      : cast("int32", load(operand, place));
  const zero = context.has(3) ? element(3, block) : integer(isPacked ? 2 ** (bits - 1) : 0);
  const value = cast(scales.dtype, binary("subtract", element(0, at), zero));
  return stepsOf({
    kind: "nest",
    nest: {
      extents: output,
      reductions: 0,
      operands: [
        { dtype: data.dtype, access: "indexed" },
        { dtype: indices.dtype, access: indices.shape.map((_, i) => along(gatherAxis + i)) },
        { dtype: scales.dtype, access: "indexed" },
        ...(context.has(3) ? [{ dtype: context.type(3).dtype, access: "indexed" } as const] : []),
      ],
      parameters: parameters.values,
      body: binary("multiply", value, load(2, block)),
      output: { dtype: scales.dtype, access: identityAccess(output.length) },
    },
    operands: (context.has(3) ? [0, 1, 2, 3] : [0, 1, 2]).map(inputOperand),
    output: firstOutput,
  });
}

export const gatherBlockQuantizedOperator: Operator = {
  op: "com.microsoft.GatherBlockQuantized",
  infer: (context) => [{ dtype: context.type(2).dtype, shape: formOf(context).output }],
  reference: gatherBlockQuantized,
  lower,
  tolerance: closeTolerance,
};
