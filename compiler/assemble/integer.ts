/**
 * Division of i32 that never traps: by zero it gives 0, and -2^31 / -1 wraps. Both operands are used more
 * than once, so they are locals or constants.
 */
import { type Expression, select } from "./expression.ts";
import { i32 } from "./scalar.ts";

type Integer = Expression<"i32">;

/** Truncated towards zero. */
export function divideS(a: Integer, b: Integer): Integer {
  // Dividing by -1 is negation; 0 and -1 are replaced by 1 before the instruction sees them.
  const special = i32.ltU(i32.add(b, 1), 2);
  const quotient = i32.divS(a, select("i32", special, 1, b));
  return select("i32", special, i32.mul(a, b), quotient);
}

/** Sign of the dividend. */
export function remainderS(a: Integer, b: Integer): Integer {
  const zero = i32.eqz(b);
  return select("i32", zero, 0, i32.remS(a, select("i32", zero, 1, b)));
}

/** Floored: the remainder has the sign of the divisor. */
export function floorDivideS(a: Integer, b: Integer): Integer {
  const rest = remainderS(a, b);
  const wraps = i32.and(i32.ne(rest, 0), i32.ltS(i32.xor(a, b), 0));
  return i32.sub(divideS(a, b), wraps);
}

/** Sign of the divisor. */
export function moduloS(a: Integer, b: Integer): Integer {
  const rest = remainderS(a, b);
  const wraps = i32.and(i32.ne(rest, 0), i32.ltS(i32.xor(a, b), 0));
  return i32.add(rest, select("i32", wraps, b, 0));
}

export function divideU(a: Integer, b: Integer): Integer {
  const zero = i32.eqz(b);
  return select("i32", zero, 0, i32.divU(a, select("i32", zero, 1, b)));
}

export function remainderU(a: Integer, b: Integer): Integer {
  const zero = i32.eqz(b);
  return select("i32", zero, 0, i32.remU(a, select("i32", zero, 1, b)));
}
