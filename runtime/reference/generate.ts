/** Operators that make a tensor from parameters: ConstantOfShape, Range, EyeLike, OneHot, and Trilu, which keeps a part of one. */
import { isBigInteger } from "../format/dtype.ts";
import { elementCount, type Tensor, zeros } from "../format/tensor.ts";
import { inputOf, integersOf, numberOf, refuse } from "./call.ts";
import { dtypeOfNumber } from "./data-type.ts";
import { readerOf, type Scalar, writerOf } from "./element.ts";
import type { Reference } from "./reference.ts";
import { binaryFunction, castFunction } from "./scalar.ts";
import { picked } from "./strided.ts";

const isTensor = (value: unknown): value is Tensor =>
  typeof value === "object" && value !== null && "dtype" in value && "data" in value;

export const constantOfShape: Reference = (call) => {
  const shape = integersOf(call, "shape", 0) ?? refuse("the shape is missing");
  const { value } = call.attributes;
  if (!isTensor(value)) return [zeros("float32", shape)];
  return [
    picked(value, shape, (visit) => {
      for (let i = 0; i < elementCount(shape); i++) visit(0, i);
    }),
  ];
};

/** Number of elements of start, start + delta, … before limit. */
export const rangeLength = (start: number, limit: number, delta: number): number =>
  Math.max(0, Math.ceil((limit - start) / delta));

/** start + i * delta, each operation rounded to the type. */
export const range: Reference = (call) => {
  const start = inputOf(call, 0);
  const { dtype } = start;
  const [first, limit, delta] = [0, 1, 2].map((index) => readerOf(inputOf(call, index))(0)) as [Scalar, Scalar, Scalar];
  const count = isBigInteger(dtype)
    ? bigLength(first as bigint, limit as bigint, delta as bigint)
    : rangeLength(Number(first), Number(limit), Number(delta));
  const result = zeros(dtype, [count]);
  const write = writerOf(result);
  const [add, multiply, convert] = [
    binaryFunction("add", dtype),
    binaryFunction("multiply", dtype),
    castFunction("int32", dtype),
  ];
  for (let i = 0; i < count; i++) write(i, add(first, multiply(convert(i), delta)));
  return [result];
};

function bigLength(start: bigint, limit: bigint, delta: bigint): number {
  const [distance, step] = delta > 0n ? [limit - start, delta] : [start - limit, -delta];
  if (step === 0n) refuse("the step of a range is 0");
  return distance <= 0n ? 0 : Number((distance + step - 1n) / step);
}

export const eyeLike: Reference = (call) => {
  const { dtype, shape } = inputOf(call, 0);
  const number = numberOf(call, "dtype", 0);
  const result = zeros(
    number === 0 ? dtype : (dtypeOfNumber(number) ?? refuse("the element type is not supported")),
    shape,
  );
  const write = writerOf(result);
  const [rows = 0, columns = 0] = shape;
  const offset = numberOf(call, "k", 0);
  const one: Scalar = isBigInteger(result.dtype) ? 1n : 1;
  for (let row = 0; row < rows; row++)
    if (row + offset >= 0 && row + offset < columns) write(row * columns + row + offset, one);
  return [result];
};

/** Keeps column - row >= k (upper) or <= k (lower). */
export const trilu: Reference = (call) => {
  const data = inputOf(call, 0);
  const [rows, columns] = data.shape.slice(-2) as [number, number];
  const isUpper = numberOf(call, "upper", 1) !== 0;
  const offset = Number(call.inputs[1]?.data[0] ?? 0);
  return [
    picked(data, data.shape, (visit) => {
      for (let flat = 0; flat < data.data.length; flat++) {
        const distance = (flat % columns) - (Math.floor(flat / columns) % rows);
        if (isUpper ? distance >= offset : distance <= offset) visit(flat, flat);
      }
    }),
  ];
};

/** values[1] where the new axis equals the index (counted from the end when negative), values[0] elsewhere. */
export const oneHot: Reference = (call) => {
  const indices = inputOf(call, 0);
  const depth = Number(readerOf(inputOf(call, 1))(0));
  const values = inputOf(call, 2);
  const rank = indices.shape.length + 1;
  const named = numberOf(call, "axis", -1);
  const axis = named < 0 ? named + rank : named;
  const shape = [...indices.shape.slice(0, axis), depth, ...indices.shape.slice(axis)];
  const inner = elementCount(indices.shape.slice(axis));
  const read = readerOf(indices);
  return [
    picked(values, shape, (visit) => {
      for (let flat = 0; flat < elementCount(shape); flat++) {
        const place = Math.floor(flat / inner) % depth;
        const index = Math.trunc(Number(read(Math.floor(flat / (inner * depth)) * inner + (flat % inner))));
        visit((index < 0 ? index + depth : index) === place ? 1 : 0, flat);
      }
    }),
  ];
};
