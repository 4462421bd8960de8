/** ScatterElements and ScatterND: a copy of the data with updates stored, or combined, at indices given as data; later ones win. */

import type { BinaryOperation } from "../format/expression.ts";
import { elementCount, type Tensor } from "../format/tensor.ts";
import { axisOf, inputOf, numberOf, refuse, textOf } from "./call.ts";
import { readerOf, type Scalar, writerOf } from "./element.ts";
import { indexAt, rowStart } from "./gather.ts";
import type { Reference, ReferenceCall } from "./reference.ts";
import { binaryFunction } from "./scalar.ts";
import { reshaped, stridesOf } from "./strided.ts";

const combinations: Readonly<Record<string, BinaryOperation>> = {
  add: "add",
  mul: "multiply",
  max: "maximum",
  min: "minimum",
};

/** Stores update `from` at element `to` of the result. */
function storeOf(call: ReferenceCall, result: Tensor): (to: number, from: number) => void {
  const updates = inputOf(call, 2);
  const name = textOf(call, "reduction", "none");
  const [read, readUpdate, write] = [readerOf(result), readerOf(updates), writerOf(result)];
  if (name === "none") return (to, from) => write(to, readUpdate(from));
  const operation = combinations[name] ?? refuse("the reduction is not known", "none, add, mul, min or max", name);
  const combine = binaryFunction(operation, result.dtype === "bool" ? "uint8" : result.dtype);
  // Sums of bools are "or", products "and".
  const settle = (value: Scalar): Scalar => (result.dtype === "bool" && value ? 1 : value);
  return (to, from) => write(to, settle(combine(read(to), readUpdate(from))));
}

export const scatterElements: Reference = (call) => {
  const data = inputOf(call, 0);
  const indices = inputOf(call, 1);
  const axis = axisOf(numberOf(call, "axis", 0), data.shape.length);
  const result = reshaped(data, data.shape);
  const store = storeOf(call, result);
  const [own, strides] = [stridesOf(indices.shape), stridesOf(data.shape)];
  for (let flat = 0; flat < indices.data.length; flat++) {
    let to = 0;
    for (let i = 0; i < own.length; i++) {
      const position = Math.floor(flat / (own[i] as number)) % (indices.shape[i] as number);
      to += (i === axis ? indexAt(indices, flat, data.shape[axis] as number) : position) * (strides[i] as number);
    }
    store(to, flat);
  }
  return [result];
};

export const scatterND: Reference = (call) => {
  const data = inputOf(call, 0);
  const indices = inputOf(call, 1);
  const block = elementCount(data.shape.slice(indices.shape.at(-1) ?? 0));
  const rows = elementCount(indices.shape.slice(0, -1));
  const result = reshaped(data, data.shape);
  const store = storeOf(call, result);
  for (let row = 0; row < rows; row++) {
    const start = rowStart(data.shape, indices, row, 0, 0);
    for (let k = 0; k < block; k++) store(start + k, row * block + k);
  }
  return [result];
};
