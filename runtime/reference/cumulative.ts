/** CumSum, CumProd and ReverseSequence. */
import { isBigInteger } from "../format/dtype.ts";
import { elementCount, zeros } from "../format/tensor.ts";
import { axisOf, inputOf, numberOf } from "./call.ts";
import { readerOf, type Scalar, writerOf } from "./element.ts";
import type { Reference } from "./reference.ts";
import { binaryFunction } from "./scalar.ts";
import { picked, stridesOf } from "./strided.ts";

/** Every partial result is rounded to the type. */
const cumulative =
  (operation: "add" | "multiply"): Reference =>
  (call) => {
    const data = inputOf(call, 0);
    const axis = axisOf(Number(inputOf(call, 1).data[0]), data.shape.length);
    const isExclusive = numberOf(call, "exclusive", 0) !== 0;
    const isReverse = numberOf(call, "reverse", 0) !== 0;
    const result = zeros(data.dtype, data.shape);
    const [read, write, combine] = [readerOf(data), writerOf(result), binaryFunction(operation, data.dtype)];
    const extent = data.shape[axis] as number;
    const inner = elementCount(data.shape.slice(axis + 1));
    const neutral = operation === "add" ? 0 : 1;
    const identity: Scalar = isBigInteger(data.dtype) ? BigInt(neutral) : neutral;
    for (let start = 0; start < data.data.length; start += extent * inner)
      for (let k = 0; k < inner; k++) {
        let total = identity;
        for (let i = 0; i < extent; i++) {
          const flat = start + (isReverse ? extent - 1 - i : i) * inner + k;
          if (isExclusive) write(flat, total);
          total = i === 0 ? read(flat) : combine(total, read(flat));
          if (!isExclusive) write(flat, total);
        }
      }
    return [result];
  };

export const cumulativeSum = cumulative("add");
export const cumulativeProduct = cumulative("multiply");

export const reverseSequence: Reference = (call) => {
  const data = inputOf(call, 0);
  const lengths = inputOf(call, 1);
  const rank = data.shape.length;
  const time = axisOf(numberOf(call, "time_axis", 0), rank);
  const batch = axisOf(numberOf(call, "batch_axis", 1), rank);
  const strides = stridesOf(data.shape);
  const at = (flat: number, axis: number): number =>
    Math.floor(flat / (strides[axis] as number)) % (data.shape[axis] as number);
  return [
    picked(data, data.shape, (visit) => {
      for (let flat = 0; flat < data.data.length; flat++) {
        const [position, length] = [at(flat, time), Number(lengths.data[at(flat, batch)])];
        const source = position < length ? length - 1 - position : position;
        visit(flat + (source - position) * (strides[time] as number), flat);
      }
    }),
  ];
};
