/** Vectors of four 32-bit lanes in other orders, and the first lanes of a row's end. */
import type { Expression } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";
import { i8x16, v128 } from "../../assemble/vector.ts";

type Vector = Expression<"v128">;

/** Lanes of `a` (0-3) and `b` (4-7). */
export const lanes = (a: Vector, b: Vector, picks: readonly number[]): Vector =>
  i8x16.shuffle(
    a,
    b,
    picks.flatMap((lane) => [0, 1, 2, 3].map((byte) => lane * 4 + byte)),
  );

/** Each lane's neighbour `distance` (1 or 2) away. */
export const turned = (x: Vector, distance: 1 | 2): Vector => lanes(x, x, distance === 1 ? [1, 0, 3, 2] : [2, 3, 0, 1]);

/** Eight columns in order, as the even and the odd ones. */
export const evenAndOdd = (a: Vector, b: Vector): readonly [Vector, Vector] => [
  lanes(a, b, [0, 2, 4, 6]),
  lanes(a, b, [1, 3, 5, 7]),
];
/** The inverse of `evenAndOdd`. */
export const ordered = (even: Vector, odd: Vector): readonly [Vector, Vector] => [
  lanes(even, odd, [0, 4, 1, 5]),
  lanes(even, odd, [2, 6, 3, 7]),
];

/** The first `count` floats (1 to 3) at `address`, zeros behind them. */
export function firstLanes(address: Expression<"i32">, count: number): Vector {
  if (count === 1) return v128.load32Zero(address);
  const two = v128.load64Zero(address);
  return count === 2 ? two : v128.load32Lane(i32.add(address, 8), two, 2);
}
