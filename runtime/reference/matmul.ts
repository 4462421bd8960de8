/** MatMul by the numpy rules (one-dimensional operands gain and lose an axis), leafcutter.MatMul and Gemm. */
import { isBigInteger } from "../format/dtype.ts";
import { elementCount, type Tensor, zeros } from "../format/tensor.ts";
import { broadcastIndex, broadcastShapes } from "./broadcast.ts";
import { inputOf, isExpression, numberOf, refuse } from "./call.ts";
import { evaluateElementwise } from "./expression.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import type { Reference } from "./reference.ts";

/** Matrices of both operands as [batch…, rows, inner] and [batch…, inner, columns]. */
function multiply(a: Tensor, b: Tensor): Tensor {
  const left = a.shape.length === 1 ? [1, ...a.shape] : a.shape;
  const right = b.shape.length === 1 ? [...b.shape, 1] : b.shape;
  const [rows, inner] = [left[left.length - 2]!, left[left.length - 1]!];
  const [depth, columns] = [right[right.length - 2]!, right[right.length - 1]!];
  if (inner !== depth) refuse("the inner extents differ", String(inner), String(depth));
  const batch = broadcastShapes(left.slice(0, -2), right.slice(0, -2));
  const leftIndex = broadcastIndex(left.slice(0, -2), batch);
  const rightIndex = broadcastIndex(right.slice(0, -2), batch);
  const shape = [...batch, ...(a.shape.length === 1 ? [] : [rows]), ...(b.shape.length === 1 ? [] : [columns])];
  const at = (matrix: number, row: number, k: number): number => (leftIndex(matrix) * rows + row) * inner + k;
  const bt = (matrix: number, k: number, column: number): number => (rightIndex(matrix) * inner + k) * columns + column;
  const result = zeros(a.dtype, shape);
  if (isBigInteger(a.dtype)) {
    const [x, y, z] = [a.data as BigInt64Array, b.data as BigInt64Array, result.data as BigInt64Array];
    forEachCell(elementCount(batch), rows, columns, (matrix, row, column, cell) => {
      let sum = 0n;
      for (let k = 0; k < inner; k++) sum += x[at(matrix, row, k)]! * y[bt(matrix, k, column)]!;
      z[cell] = sum;
    });
    return result;
  }
  const [x, y] = [numbersOf(a), numbersOf(b)];
  const integer = /int/.test(a.dtype);
  const sums = new Float64Array(elementCount(shape));
  forEachCell(elementCount(batch), rows, columns, (matrix, row, column, cell) => {
    let sum = 0;
    for (let k = 0; k < inner; k++) {
      const [p, q] = [x[at(matrix, row, k)]!, y[bt(matrix, k, column)]!];
      // Integers wrap around at 32 bits.
      sum = integer ? (sum + Math.imul(p, q)) | 0 : sum + p * q;
    }
    sums[cell] = sum;
  });
  return tensorOfNumbers(a.dtype, shape, sums);
}

function forEachCell(
  batch: number,
  rows: number,
  columns: number,
  visit: (matrix: number, row: number, column: number, cell: number) => void,
): void {
  let cell = 0;
  for (let matrix = 0; matrix < batch; matrix++)
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) visit(matrix, row, column, cell++);
}

/** The last two axes exchanged. */
export function transposed(matrix: Tensor): Tensor {
  const rows = matrix.shape[matrix.shape.length - 2] ?? 1;
  const columns = matrix.shape[matrix.shape.length - 1] ?? 1;
  const result = zeros(matrix.dtype, [...matrix.shape.slice(0, -2), columns, rows]);
  forEachCell(elementCount(matrix.shape.slice(0, -2)), rows, columns, (index, row, column, cell) => {
    result.data[(index * columns + column) * rows + row] = matrix.data[cell] as never;
  });
  return result;
}

export const matmul: Reference = (call) => [multiply(inputOf(call, 0), inputOf(call, 1))];

/** A [batch…, M, K], B [K, N] ([N, K] with transposeB) or batched, bias [N] or none, epilogue operands. */
export const leafcutterMatmul: Reference = (call) => {
  const b = inputOf(call, 1);
  const product = multiply(inputOf(call, 0), numberOf(call, "transposeB", 0) === 1 ? transposed(b) : b);
  const bias = call.inputs[2];
  const columns = product.shape[product.shape.length - 1] ?? 1;
  const biasValues = bias && numbersOf(bias);
  const sum = biasValues
    ? tensorOfNumbers(
        product.dtype,
        product.shape,
        Array.from(numbersOf(product), (value, i) => value + biasValues[i % columns]!),
      )
    : product;
  const epilogue = call.attributes.epilogue;
  return [isExpression(epilogue) ? evaluateElementwise(epilogue, [sum, ...call.inputs.slice(3)]) : sum];
};

/** alpha * A' * B' + beta * C, C broadcast to the result. */
export const gemm: Reference = (call) => {
  const a = inputOf(call, 0);
  const b = inputOf(call, 1);
  const left = numberOf(call, "transA", 0) === 1 ? transposed(a) : a;
  const right = numberOf(call, "transB", 0) === 1 ? transposed(b) : b;
  const alpha = numberOf(call, "alpha", 1);
  const beta = numberOf(call, "beta", 1);
  const wide = (tensor: Tensor): Tensor =>
    tensor.dtype === "float16" || tensor.dtype === "bfloat16"
      ? tensorOfNumbers("float64", tensor.shape, numbersOf(tensor))
      : tensor;
  const product = multiply(wide(left), wide(right));
  const c = call.inputs[2];
  if (!c && alpha === 1) return [tensorOfNumbers(a.dtype, product.shape, numbersOf(product))];
  const index = c && broadcastIndex(c.shape, product.shape);
  const addend = c && numbersOf(c);
  const scaled = Float64Array.from(
    numbersOf(product),
    (value, i) => alpha * value + (addend && index ? beta * addend[index(i)]! : 0),
  );
  return [tensorOfNumbers(a.dtype, product.shape, isBigInteger(a.dtype) ? scaled.map(Math.trunc) : scaled)];
};
