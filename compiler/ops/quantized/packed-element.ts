/** Reads elements of two, four or eight bits from bytes, the first in the lowest bits. */
import { binary, cast, type Expression, load } from "../../../runtime/format/expression.ts";
import { integerOf } from "../../graph/attribute.ts";
import { integer, over, times } from "../contraction/integer-expression.ts";
import type { OperatorContext } from "../operator.ts";

export function bitsOf(context: OperatorContext): 2 | 4 | 8 {
  const bits = integerOf(context.node, "bits", 4);
  if (bits === 2 || bits === 4 || bits === 8) return bits;
  return context.fail("attribute bits is not known", "2, 4 or 8", String(bits));
}

/** Element `index` (int32) of a row of packed bytes in `operand`, as int32; `place` gives the coordinates of a byte of the row. */
export function packedElement(
  operand: number,
  place: (byte: Expression) => readonly Expression[],
  index: Expression,
  bits: 2 | 4 | 8,
): Expression {
  const perByte = integer(8 / bits);
  const byte = cast("int32", load(operand, place(over(index, perByte))));
  if (bits === 8) return byte;
  const shift = times(binary("remainder", index, perByte), integer(bits));
  return binary("bitAnd", binary("shiftRight", byte, shift), integer(2 ** bits - 1));
}
