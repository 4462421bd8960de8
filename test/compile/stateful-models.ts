/** Small models with states, for the tests of every engine: sums and delay lines of one shape, and two caches that grow. */
import type { CompileOptions } from "../../compiler/compile.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import type { ModelFields } from "../import/onnx-writer.ts";

export const row = (...values: readonly number[]): Tensor => tensorOf("float32", [1, values.length], values);

/** A running sum, and a delay line of two: its second state is its first one's old value. */
export const sums: ModelFields = {
  nodes: [
    { op: "Add", inputs: ["sum", "x"], outputs: ["next sum"] },
    { op: "Mul", inputs: ["next sum", "next sum"], outputs: ["square"] },
    { op: "Add", inputs: ["older", "square"], outputs: ["y"] },
    { op: "Identity", inputs: ["x"], outputs: ["next newer"] },
    { op: "Identity", inputs: ["newer"], outputs: ["next older"] },
  ],
  inputs: ["x", "sum", "newer", "older"].map((name) => ({ name, dims: [1, 3] })),
  outputs: ["y", "next sum", "next newer", "next older"],
};
export const sumStates = { sum: "next sum", newer: "next newer", older: "next older" };

/** Appends relu(x) to two caches and reads them back whole, at a place that the mask's length has to match. */
export const caches: ModelFields = {
  nodes: [
    { op: "Relu", inputs: ["x"], outputs: ["new"] },
    { op: "Concat", inputs: ["past.key", "new"], outputs: ["present.key"], attributes: { axis: { i: 1 } } },
    { op: "Concat", inputs: ["past.value", "x"], outputs: ["present.value"], attributes: { axis: { i: 1 } } },
    { op: "Add", inputs: ["present.key", "mask"], outputs: ["keys"] },
    { op: "Reshape", inputs: ["present.value", "flat"], outputs: ["values"] },
  ],
  initializers: [{ name: "flat", dims: [1], type: 7, int64s: [-1] }],
  inputs: [
    { name: "x", dims: [2, "seq", 2] },
    { name: "mask", dims: [1, "total", 1] },
    { name: "past.key", dims: [2, "s1", 2] },
    { name: "past.value", dims: [2, "s2", 2] },
  ],
  outputs: ["keys", "values", "present.key", "present.value", "new"],
};
export const cacheOptions: CompileOptions = {
  states: { "past.*": "present.*" },
  dims: { "past.*:1": { lower: 0, upper: 4 }, seq: { lower: 1, upper: 2 }, total: "s1 + seq" },
};
/** Rows `first`.. of x: the first batch counts up, the second is its negative. */
export function rows(first: number, count: number): Tensor {
  const values = Array.from({ length: 2 * count }, (_, i) => 2 * first + i + 1);
  return tensorOf("float32", [2, count, 2], [...values, ...values.map((value) => -value)]);
}
export const zeros = (length: number): Tensor => tensorOf("float32", [1, length, 1], new Array<number>(length).fill(0));
