/** Arithmetic of two or more tensors with numpy broadcasting, and signs. */
import { isBigInteger, isFloat } from "../format/dtype.ts";
import type { Tensor } from "../format/tensor.ts";
import { broadcastIndex, broadcastShapes } from "./broadcast.ts";
import { inputOf, numberOf } from "./call.ts";
import { type BinaryMeaning, binaryReference, unaryReference, variadicReference, zipTensors } from "./elementwise.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import type { Reference, ReferenceCall } from "./reference.ts";
import { power } from "./special.ts";

export const add = binaryReference({ float: (a, b) => a + b, integer: (a, b) => a + b, big: (a, b) => a + b });
export const sub = binaryReference({ float: (a, b) => a - b, integer: (a, b) => a - b, big: (a, b) => a - b });
export const mul = binaryReference({ float: (a, b) => a * b, integer: Math.imul, big: (a, b) => a * b });

/** Integers truncate towards zero; by zero gives 0. */
export const div = binaryReference({
  float: (a, b) => a / b,
  integer: (a, b) => (b === 0 ? 0 : Math.trunc(a / b)),
  big: (a, b) => (b === 0n ? 0n : a / b),
});

const remainder: BinaryMeaning = {
  float: (a, b) => a % b,
  integer: (a, b) => (b === 0 ? 0 : a % b),
  big: (a, b) => (b === 0n ? 0n : a % b),
};

const floorRemainder: BinaryMeaning = {
  float: (a, b) => a - Math.floor(a / b) * b,
  integer: (a, b) => (b === 0 ? 0 : a - Math.floor(a / b) * b),
  big: (a, b) => (b === 0n ? 0n : ((a % b) + b) % b),
};

/** The sign of the divisor, or with `fmod` that of the dividend. */
export const mod: Reference = (call) => [
  zipTensors(inputOf(call, 0), inputOf(call, 1), numberOf(call, "fmod", 0) === 0 ? floorRemainder : remainder),
];

/** The result has the type of the base. Whole powers of integers are exact modulo the type; other powers go through float64. */
export const pow: Reference = (call) => {
  const [base, exponent] = [inputOf(call, 0), inputOf(call, 1)];
  if (isBigInteger(base.dtype) && base.dtype === exponent.dtype) {
    return [
      zipTensors(base, exponent, { big: (a, b) => (b < 0n ? BigInt(Math.trunc(Number(a) ** Number(b))) : a ** b) }),
    ];
  }
  const shape = broadcastShapes(base.shape, exponent.shape);
  const [baseIndex, exponentIndex] = [broadcastIndex(base.shape, shape), broadcastIndex(exponent.shape, shape)];
  const [bases, exponents] = [numbersOf(base), numbersOf(exponent)];
  const result = new Float64Array(shape.reduce((product, extent) => product * extent, 1));
  for (let i = 0; i < result.length; i++) {
    const value = power(bases[baseIndex(i)] as number, exponents[exponentIndex(i)] as number);
    result[i] = isFloat(base.dtype) ? value : Math.trunc(value);
  }
  return [tensorOfNumbers(base.dtype, shape, result)];
};

function leastOf(a: bigint, b: bigint): bigint {
  if (b < a) return b;
  return a;
}

function greatestOf(a: bigint, b: bigint): bigint {
  if (b > a) return b;
  return a;
}

export const min = variadicReference({ float: Math.min, integer: Math.min, big: leastOf });
export const max = variadicReference({ float: Math.max, integer: Math.max, big: greatestOf });

/** All inputs added up in float64, divided by `divisor`, rounded once. */
function total(call: ReferenceCall, divisor: number): Tensor {
  const tensors = call.inputs.map((_, index) => inputOf(call, index));
  const shape = broadcastShapes(...tensors.map((tensor) => tensor.shape));
  const result = new Float64Array(shape.reduce((product, extent) => product * extent, 1));
  for (const tensor of tensors) {
    const values = numbersOf(tensor);
    const index = broadcastIndex(tensor.shape, shape);
    for (let i = 0; i < result.length; i++) result[i] = (result[i] as number) + (values[index(i)] as number);
  }
  return tensorOfNumbers(
    inputOf(call, 0).dtype,
    shape,
    result.map((value) => value / divisor),
  );
}

export const sum: Reference = (call) => [total(call, 1)];
export const mean: Reference = (call) => [total(call, call.inputs.length)];

export const neg = unaryReference({ float: (x) => -x, integer: (x) => -x, big: (x) => -x });
export const abs = unaryReference({ float: Math.abs, integer: Math.abs, big: (x) => (x < 0n ? -x : x) });
export const sign = unaryReference({
  float: Math.sign,
  integer: Math.sign,
  big: (x) => (x === 0n ? 0n : x < 0n ? -1n : 1n),
});
