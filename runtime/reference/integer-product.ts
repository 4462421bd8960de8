/**
 * Products of quantised operands: MatMulInteger, ConvInteger (int32 sums of differences from the zero points), QLinearMatMul,
 * QLinearConv, QGemm (sums times the combined scale, quantised again), and com.microsoft's products that end in float32.
 */
import type { DType } from "../format/dtype.ts";
import type { Tensor } from "../format/tensor.ts";
import { broadcastIndex } from "./broadcast.ts";
import { inputOf, numberOf } from "./call.ts";
import { conv } from "./conv.ts";
import { matmul, transposed } from "./matmul.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import { dynamicQuantizeLinear, saturated } from "./quantize.ts";
import { quantizedTypeOf } from "./quantized-type.ts";
import type { Reference, ReferenceCall } from "./reference.ts";

type Optional = Tensor | undefined;

/** A parameter of a matrix as it broadcasts to it: one value, one for each row (axis -2) or column (axis -1), or a whole shape. */
function alongAxis(parameter: Tensor, axis: -1 | -2): Tensor {
  if (axis === -1 || parameter.shape.length !== 1) return parameter;
  return { ...parameter, shape: [parameter.shape[0] ?? 1, 1] };
}

/** x - zero as int32. */
function centred(x: Tensor, zero: Optional, axis: -1 | -2): Tensor {
  const values = numbersOf(x);
  const parameter = zero && alongAxis(zero, axis);
  const zeros = parameter && numbersOf(parameter);
  // A vector is one row, or one column.
  const at = parameter && (parameter.data.length === 1 ? () => 0 : broadcastIndex(parameter.shape, x.shape));
  return tensorOfNumbers(
    "int32",
    x.shape,
    Float64Array.from(values, (value, index) => value - (zeros && at ? zeros[at(index)]! : 0)),
  );
}

const only = (outputs: readonly Tensor[]): Tensor => outputs[0]!;

const product = (call: ReferenceCall, a: Tensor, b: Tensor): Tensor =>
  only(matmul({ ...call, inputs: [a, b], outputCount: 1 }));

export const matmulInteger: Reference = (call) => [
  product(call, centred(inputOf(call, 0), call.inputs[2], -2), centred(inputOf(call, 1), call.inputs[3], -1)),
];

/** int32 sums of a convolution; a zero point of the weights for all filters or for each. Outside the image x is its zero point. */
function convolved(call: ReferenceCall, x: Tensor, xZero: Optional, w: Tensor, wZero: Optional): Tensor {
  const perFilter = wZero && { ...wZero, shape: [wZero.data.length, ...w.shape.slice(1).map(() => 1)] };
  return only(conv({ ...call, inputs: [centred(x, xZero, -1), centred(w, perFilter, -1)], outputCount: 1 }));
}

export const convInteger: Reference = (call) => [
  convolved(call, inputOf(call, 0), call.inputs[2], inputOf(call, 1), call.inputs[3]),
];

/** An int32 sum, element by element: `multiplier` in float32, then quantised or left as it is. */
interface Finish {
  readonly addend: (flat: number) => number;
  readonly multiplier: (flat: number) => number;
  readonly zero?: Tensor | undefined;
  readonly dtype: DType;
}

function finished(sum: Tensor, { addend, multiplier, zero, dtype }: Finish): Tensor {
  const target = quantizedTypeOf(dtype);
  const offset = zero ? Number(zero.data[0]) : 0;
  const result = Float64Array.from(numbersOf(sum), (value, flat) => {
    const scaled = Math.fround(Math.fround((value + addend(flat)) | 0) * multiplier(flat));
    return target ? saturated(scaled, offset, target) : scaled;
  });
  return tensorOfNumbers(dtype, sum.shape, result);
}

/** Elements of `tensor` broadcast to `shape` in float32. */
function spread(tensor: Tensor, shape: readonly number[]): (flat: number) => number {
  const values = numbersOf(tensor);
  const at = tensor.data.length === 1 ? () => 0 : broadcastIndex(tensor.shape, shape);
  return (flat) => Math.fround(values[at(flat)]!);
}

const nothing = (): number => 0;

/** left * right / result, in float32. */
const ratio =
  (left: (flat: number) => number, right: (flat: number) => number, result: (flat: number) => number) =>
  (flat: number): number =>
    Math.fround(Math.fround(left(flat) * right(flat)) / result(flat));

export const qlinearMatmul: Reference = (call) => {
  const [a, aScale, aZero, b, bScale, bZero, yScale, yZero] = Array.from({ length: 8 }, (_, i) => inputOf(call, i));
  const sum = product(call, centred(a!, aZero, -2), centred(b!, bZero, -1));
  const [left, right] = [spread(alongAxis(aScale!, -2), sum.shape), spread(bScale!, sum.shape)];
  const multiplier = ratio(left, right, spread(yScale!, sum.shape));
  return [finished(sum, { addend: nothing, multiplier, zero: yZero, dtype: yZero!.dtype })];
};

export const qlinearConv: Reference = (call) => {
  const [x, xScale, xZero, w, wScale, wZero, yScale, yZero] = Array.from({ length: 8 }, (_, i) => inputOf(call, i));
  const sum = convolved(call, x!, xZero, w!, wZero);
  const perFilter = (tensor: Tensor): Tensor => ({
    ...tensor,
    shape: [tensor.data.length, ...sum.shape.slice(2).map(() => 1)],
  });
  const multiplier = ratio(spread(xScale!, []), spread(perFilter(wScale!), sum.shape), spread(yScale!, []));
  const bias = call.inputs[8];
  const addend = bias ? spreadIntegers(perFilter(bias), sum.shape) : nothing;
  return [finished(sum, { addend, multiplier, zero: yZero, dtype: yZero!.dtype })];
};

function spreadIntegers(tensor: Tensor, shape: readonly number[]): (flat: number) => number {
  const values = numbersOf(tensor);
  const at = broadcastIndex(tensor.shape, shape);
  return (flat) => values[at(flat)]!;
}

/** A', B' and an int32 C; without a scale of the result it is float32. */
export const quantizedGemm: Reference = (call) => {
  const side = (index: number, flag: string, axis: -1 | -2): Tensor => {
    const matrix = inputOf(call, index);
    const straight = numberOf(call, flag, 0) === 1 ? transposed(matrix) : matrix;
    return centred(straight, call.inputs[index + 2], axis);
  };
  const sum = product(call, side(0, "transA", -2), side(3, "transB", -1));
  const c = call.inputs[6];
  const addend = c ? spreadIntegers(c, sum.shape) : nothing;
  const alpha = Math.fround(numberOf(call, "alpha", 1));
  const [left, right] = [spread(inputOf(call, 1), []), spread(inputOf(call, 4), sum.shape)];
  const scale = (flat: number): number => Math.fround(Math.fround(alpha * left(flat)) * right(flat));
  const yScale = call.inputs[7];
  if (!yScale) return [finished(sum, { addend, multiplier: scale, dtype: "float32" })];
  const result = spread(yScale, []);
  const multiplier = (flat: number): number => Math.fround(scale(flat) / result(flat));
  const zero = call.inputs[8];
  return [finished(sum, { addend, multiplier, zero, dtype: zero?.dtype ?? inputOf(call, 0).dtype })];
};

/** (A - zero)(B - zero) * (scale of A * scale of B) + bias. */
function floatProduct(
  call: ReferenceCall,
  a: readonly [values: Tensor, scale: Tensor, zero: Optional],
  b: readonly [values: Tensor, scale: Tensor, zero: Optional],
  bias: Optional,
): Tensor {
  const sum = product(call, centred(a[0], a[2], -2), centred(b[0], b[2], -1));
  const [left, right] = [spread(alongAxis(a[1], -2), sum.shape), spread(b[1], sum.shape)];
  const multiplier = (flat: number): number => Math.fround(left(flat) * right(flat));
  const scaled = finished(sum, { addend: nothing, multiplier, dtype: "float32" });
  const addend = bias ? spread(bias, sum.shape) : nothing;
  return tensorOfNumbers(
    a[1].dtype,
    sum.shape,
    Float64Array.from(numbersOf(scaled), (value, flat) => value + addend(flat)),
  );
}

export const matmulIntegerToFloat: Reference = (call) => {
  const [a, b, aScale, bScale] = Array.from({ length: 4 }, (_, i) => inputOf(call, i));
  return [floatProduct(call, [a!, aScale!, call.inputs[4]], [b!, bScale!, call.inputs[5]], call.inputs[6])];
};

export const dynamicQuantizeMatmul: Reference = (call) => {
  const [a, scale, zero] = dynamicQuantizeLinear({ ...call, inputs: [inputOf(call, 0)], outputCount: 3 });
  return [floatProduct(call, [a!, scale!, zero], [inputOf(call, 1), inputOf(call, 2), call.inputs[3]], call.inputs[4])];
};
