/**
 * leafcutter.IntegerConv and leafcutter.IntegerMatMul: products of 8-bit integers as they are stored, summed in int32 with an
 * int32 bias; the epilogue sees the sum as input 0 and operand k as input k. Outside the image stands `padValue`.
 */
import type { Tensor } from "../format/tensor.ts";
import { inputOf, isExpression, numberOf } from "./call.ts";
import { channelsFirst, channelsLast } from "./channels-last.ts";
import { conv } from "./conv.ts";
import { mapNumbers } from "./elementwise.ts";
import { evaluateElementwise } from "./expression.ts";
import { matmul, transposed } from "./matmul.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import type { Reference, ReferenceCall } from "./reference.ts";

const widened = (tensor: Tensor, zero = 0): Tensor => mapNumbers(tensor, (value) => value - zero, "int32");

/** Adds to every element what `addend` gives for its channel (the last axis), then applies the epilogue. */
function finished(call: ReferenceCall, sum: Tensor, addend: (channel: number) => number): readonly Tensor[] {
  const channels = sum.shape[sum.shape.length - 1] ?? 1;
  const values = Float64Array.from(numbersOf(sum), (value, at) => value + addend(at % channels));
  const total = tensorOfNumbers("int32", sum.shape, values);
  const epilogue = call.attributes.epilogue;
  return [isExpression(epilogue) ? evaluateElementwise(epilogue, [total, ...call.inputs.slice(3)]) : total];
}

/** The padding value is moved to zero for the convolution; what that takes from every sum is the same for a filter. */
export const integerConv: Reference = (call) => {
  const padValue = numberOf(call, "padValue", 0);
  const weights = widened(inputOf(call, 1));
  const inputs = [channelsFirst(widened(inputOf(call, 0), padValue)), weights];
  const [sum] = conv({ ...call, inputs, outputCount: 1 });
  const bias = call.inputs[2] && numbersOf(call.inputs[2]);
  const taps = weights.data.length / (weights.shape[0] ?? 1);
  return finished(call, channelsLast(sum as Tensor), (filter) => {
    let total = 0;
    for (let tap = 0; tap < taps; tap++) total += Number(weights.data[filter * taps + tap]);
    return padValue * total + (bias?.[filter] ?? 0);
  });
};

export const integerMatmul: Reference = (call) => {
  const b = widened(inputOf(call, 1));
  const inputs = [widened(inputOf(call, 0)), numberOf(call, "transposeB", 0) === 1 ? transposed(b) : b];
  const [sum] = matmul({ ...call, inputs, outputCount: 1 });
  const bias = call.inputs[2] && numbersOf(call.inputs[2]);
  return finished(call, sum as Tensor, (column) => bias?.[column] ?? 0);
};
