/**
 * The loops that elementwise references share: one function applied to each element, with numpy broadcasting.
 * Floats are computed in float64 and rounded once; integers wrap around.
 */
import { type DType, isBigInteger, isFloat } from "../format/dtype.ts";
import { elementCount, type Tensor, zeros } from "../format/tensor.ts";
import { broadcastIndex, broadcastShapes } from "./broadcast.ts";
import { inputOf, refuse } from "./call.ts";
import { readerOf, type Scalar, writerOf } from "./element.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import type { Reference } from "./reference.ts";

/** A function on each kind of number; a kind that is missing is refused. `integer` serves all types up to 32 bits and bool. */
export interface Meaning<F, B> {
  readonly float?: F;
  readonly integer?: F;
  readonly big?: B;
}

export type UnaryMeaning = Meaning<(x: number) => number, (x: bigint) => Scalar>;
export type BinaryMeaning = Meaning<(a: number, b: number) => number, (a: bigint, b: bigint) => Scalar>;

function choose<F, B>(meaning: Meaning<F, B>, dtype: DType): F | B {
  const chosen = isFloat(dtype) ? meaning.float : isBigInteger(dtype) ? meaning.big : meaning.integer;
  return chosen ?? refuse("the operator does not exist for this element type", undefined, dtype);
}

/** Applies a function of numbers to every element; for types where numbers suffice. */
export function mapNumbers(x: Tensor, f: (x: number) => number, dtype: DType = x.dtype): Tensor {
  const values = numbersOf(x);
  const result = new Float64Array(values.length);
  for (let i = 0; i < values.length; i++) result[i] = f(values[i] as number);
  return tensorOfNumbers(dtype, x.shape, result);
}

/** Applies `meaning` to every element of `x`. */
export function mapTensor(x: Tensor, meaning: UnaryMeaning, dtype: DType = x.dtype): Tensor {
  const f = choose(meaning, x.dtype) as (x: Scalar) => Scalar;
  const result = zeros(dtype, x.shape);
  const read = readerOf(x);
  const write = writerOf(result);
  for (let i = 0; i < result.data.length; i++) write(i, f(read(i)));
  return result;
}

/** Applies `meaning` to every pair of elements of `left` and `right`, broadcast against each other. */
export function zipTensors(left: Tensor, right: Tensor, meaning: BinaryMeaning, dtype: DType = left.dtype): Tensor {
  const f = choose(meaning, left.dtype) as (a: Scalar, b: Scalar) => Scalar;
  const shape = broadcastShapes(left.shape, right.shape);
  const result = zeros(dtype, shape);
  const [readLeft, readRight] = [readerOf(left), readerOf(right)];
  const [leftIndex, rightIndex] = [broadcastIndex(left.shape, shape), broadcastIndex(right.shape, shape)];
  const write = writerOf(result);
  for (let i = 0, count = elementCount(shape); i < count; i++)
    write(i, f(readLeft(leftIndex(i)), readRight(rightIndex(i))));
  return result;
}

/** References of whole operators. */
export const unaryNumbers =
  (f: (x: number) => number): Reference =>
  (call) => [mapNumbers(inputOf(call, 0), f)];

export const unaryReference =
  (meaning: UnaryMeaning, dtype?: DType): Reference =>
  (call) => [mapTensor(inputOf(call, 0), meaning, dtype)];

export const binaryReference =
  (meaning: BinaryMeaning, dtype?: DType): Reference =>
  (call) => [zipTensors(inputOf(call, 0), inputOf(call, 1), meaning, dtype)];

/** Any number of inputs combined from left to right. */
export const variadicReference =
  (meaning: BinaryMeaning): Reference =>
  (call) => {
    const [first, ...others] = call.inputs.map((_, index) => inputOf(call, index));
    return [others.reduce((result, next) => zipTensors(result, next, meaning), first ?? inputOf(call, 0))];
  };
