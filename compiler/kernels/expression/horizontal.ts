/** Combines the four lanes of a vector, always in the same order: (0+2)+(1+3). */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression as Code, Local } from "../../assemble/expression.ts";
import { i8x16 } from "../../assemble/vector.ts";

type Vector = Code<"v128">;

const swapHalves = [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7];
const swapPairs = [4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11];

/** A vector whose lanes are all the combination of the lanes of `value`. */
export function allLanes(
  body: BodyBuilder,
  value: Local<"v128">,
  combine: (left: Vector, right: Vector) => Vector,
): Vector {
  const halves = body.local("v128", combine(value, i8x16.shuffle(value, value, swapHalves)));
  return combine(halves, i8x16.shuffle(halves, halves, swapPairs));
}
