/** Comparisons, logic on bools, operations on bits, tests for special values, choice. */
import { byteSize } from "../format/dtype.ts";
import { elementCount, type Tensor, zeros } from "../format/tensor.ts";
import { broadcastIndex, broadcastShapes } from "./broadcast.ts";
import { inputOf, numberOf, textOf } from "./call.ts";
import { binaryReference, mapTensor, unaryReference, zipTensors } from "./elementwise.ts";
import type { Reference } from "./reference.ts";

const comparison = (numbers: (a: number, b: number) => boolean, bigs: (a: bigint, b: bigint) => boolean): Reference => {
  const test = (a: number, b: number): number => Number(numbers(a, b));
  return binaryReference({ float: test, integer: test, big: (a, b) => Number(bigs(a, b)) }, "bool");
};

export const equal = comparison(
  (a, b) => a === b,
  (a, b) => a === b,
);
export const less = comparison(
  (a, b) => a < b,
  (a, b) => a < b,
);
export const lessOrEqual = comparison(
  (a, b) => a <= b,
  (a, b) => a <= b,
);
export const greater = comparison(
  (a, b) => a > b,
  (a, b) => a > b,
);
export const greaterOrEqual = comparison(
  (a, b) => a >= b,
  (a, b) => a >= b,
);

export const not = unaryReference({ integer: (x) => (x ? 0 : 1) });
export const and = binaryReference({ integer: (a, b) => (a && b ? 1 : 0) });
export const or = binaryReference({ integer: (a, b) => (a || b ? 1 : 0) });
export const xor = binaryReference({ integer: (a, b) => (Boolean(a) === Boolean(b) ? 0 : 1) });

export const bitwiseNot = unaryReference({ integer: (x) => ~x, big: (x) => ~x });
export const bitwiseAnd = binaryReference({ integer: (a, b) => a & b, big: (a, b) => a & b });
export const bitwiseOr = binaryReference({ integer: (a, b) => a | b, big: (a, b) => a | b });
export const bitwiseXor = binaryReference({ integer: (a, b) => a ^ b, big: (a, b) => a ^ b });

/** Shifts of unsigned integers; every bit leaves when the count reaches the width. */
export const bitShift: Reference = (call) => {
  const [x, count] = [inputOf(call, 0), inputOf(call, 1)];
  const width = byteSize[x.dtype] * 8;
  const left = textOf(call, "direction", "") === "LEFT";
  return [
    zipTensors(x, count, {
      integer: (a, b) => (b >= width ? 0 : left ? a << b : a >>> b),
      big: (a, b) => (b >= BigInt(width) ? 0n : left ? a << b : a >> b),
    }),
  ];
};

export const isNotANumber = unaryReference({ float: (x) => Number(Number.isNaN(x)) }, "bool");

export const isInfinite: Reference = (call) => {
  const positive = numberOf(call, "detect_positive", 1) !== 0;
  const negative = numberOf(call, "detect_negative", 1) !== 0;
  const test = (x: number): number => Number((positive && x === Infinity) || (negative && x === -Infinity));
  return [mapTensor(inputOf(call, 0), { float: test }, "bool")];
};

/** Elements of input 1 where input 0 holds, of input 2 elsewhere. */
export const where: Reference = (call) => {
  const [condition, yes, no] = [inputOf(call, 0), inputOf(call, 1), inputOf(call, 2)];
  const shape = broadcastShapes(condition.shape, yes.shape, no.shape);
  const result: Tensor = zeros(yes.dtype, shape);
  const [at, atYes, atNo] = [condition, yes, no].map((tensor) => broadcastIndex(tensor.shape, shape)) as [
    (flat: number) => number,
    (flat: number) => number,
    (flat: number) => number,
  ];
  for (let i = 0, count = elementCount(shape); i < count; i++) {
    result.data[i] = (condition.data[at(i)] ? yes.data[atYes(i)] : no.data[atNo(i)]) as never;
  }
  return [result];
};
