/** One weight of an int4 or nf4 block as a scalar expression, for loop nests that read a constant where it lies. */
import { binary, cast, constant, type Expression, select } from "../../../runtime/format/expression.ts";
import { symmetricZero } from "../../graph/blocks.ts";
import { nf4Code } from "../../graph/nf4.ts";

const integer = (value: number): Expression => constant(value, "int32");

/** The nibble of `byte` that `place` (int32) picks: the lower one when it is even. */
export const nibbleOf = (byte: Expression, place: Expression): Expression =>
  binary(
    "bitAnd",
    binary("shiftRight", cast("int32", byte), binary("shiftLeft", binary("bitAnd", place, integer(1)), integer(2))),
    integer(15),
  );

/** nf4Code[q] by the bits of q, from the highest. */
function codeOf(q: Expression, first = 0, count = nf4Code.length): Expression {
  if (count === 1) return constant(nf4Code[first] as number);
  const half = count / 2;
  const upper = binary("greaterOrEqual", binary("bitAnd", q, integer(count - 1)), integer(half));
  return select(upper, codeOf(q, first + half, half), codeOf(q, first, half));
}

/** float32; `q` and `zero` are int32, `scale` a float. Without a zero the block is symmetric. */
export function blockValue(
  kind: "int4" | "nf4",
  q: Expression,
  zero: Expression | undefined,
  scale: Expression,
): Expression {
  const step = kind === "nf4" ? codeOf(q) : cast("float32", binary("subtract", q, zero ?? integer(symmetricZero)));
  return binary("multiply", step, cast("float32", scale));
}
