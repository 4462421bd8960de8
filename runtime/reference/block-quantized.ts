/**
 * Weights in blocks that share a scale, as com.microsoft has them: MatMulNBits (B as [N, blocks, bytes], the first element in
 * the lowest bits) and GatherBlockQuantized. value = (q - zero) * scale, in float32.
 */
import { elementCount, type Tensor } from "../format/tensor.ts";
import { axisOf, inputOf, numberOf, refuse } from "./call.ts";
import { gather } from "./gather.ts";
import { matmul, transposed } from "./matmul.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import type { Reference, ReferenceCall } from "./reference.ts";

/** Element `index` of a row of packed bytes that begins at byte `start`. */
function packedElement(bytes: ArrayLike<number>, start: number, index: number, bits: number): number {
  const perByte = 8 / bits;
  return (bytes[start + Math.floor(index / perByte)]! >>> ((index % perByte) * bits)) & (2 ** bits - 1);
}

function bitsOf(call: ReferenceCall): number {
  const bits = numberOf(call, "bits", 4);
  return bits === 2 || bits === 4 || bits === 8 ? bits : refuse("attribute bits is not known", "2, 4 or 8", `${bits}`);
}

/** The matrix [N, K] of a MatMulNBits. Zero points are packed row by row, or one number each when they are floats. */
function weightsOf(call: ReferenceCall): Tensor {
  const [columns, inner] = [numberOf(call, "N", 0), numberOf(call, "K", 0)];
  const [bits, blockSize] = [bitsOf(call), numberOf(call, "block_size", 32)];
  const blocks = Math.ceil(inner / blockSize);
  const packed = numbersOf(inputOf(call, 1));
  const scales = numbersOf(inputOf(call, 2));
  const zeros = call.inputs[3];
  const zeroValues = zeros && numbersOf(zeros);
  const groups = call.inputs[4] && numbersOf(call.inputs[4]);
  const zeroOf = (row: number, block: number): number => {
    if (!zeros || !zeroValues) return 2 ** (bits - 1);
    if (zeros.dtype !== "uint8") return zeroValues[row * blocks + block]!;
    return packedElement(zeroValues, row * Math.ceil((blocks * bits) / 8), block, bits);
  };
  const result = new Float64Array(columns * inner);
  const rowBytes = (blocks * blockSize * bits) / 8;
  for (let row = 0; row < columns; row++)
    for (let k = 0; k < inner; k++) {
      const block = groups ? groups[k]! : Math.floor(k / blockSize);
      const q = packedElement(packed, row * rowBytes, k, bits);
      result[row * inner + k] = Math.fround(Math.fround(q - zeroOf(row, block)) * scales[row * blocks + block]!);
    }
  return tensorOfNumbers("float32", [columns, inner], result);
}

export const matmulNBits: Reference = (call) => {
  const a = inputOf(call, 0);
  const wide = tensorOfNumbers("float32", a.shape, numbersOf(a));
  const [product] = matmul({ ...call, inputs: [wide, transposed(weightsOf(call))], outputCount: 1 });
  const bias = call.inputs[5] && numbersOf(call.inputs[5]);
  const columns = numberOf(call, "N", 0);
  const values = Float64Array.from(numbersOf(product!), (value, at) => value + (bias ? bias[at % columns]! : 0));
  return [tensorOfNumbers(a.dtype, product!.shape, values)];
};

/** The whole table dequantised, then Gather along gather_axis. Data of bytes hold several elements, along the last axis. */
export const gatherBlockQuantized: Reference = (call) => {
  const data = inputOf(call, 0);
  const scales = inputOf(call, 2);
  const zeros = call.inputs[3];
  const bits = bitsOf(call);
  const isPacked = data.dtype === "uint8" && numberOf(call, "data_type", 0) === 0;
  const perByte = isPacked ? 8 / bits : 1;
  const shape = data.shape.map((extent, axis) => (axis === data.shape.length - 1 ? extent * perByte : extent));
  const axis = axisOf(numberOf(call, "quantize_axis", 1), shape.length);
  const blockSize = numberOf(call, "block_size", 128);
  const inner = elementCount(shape.slice(axis + 1));
  const blocks = scales.shape[axis] ?? 1;
  const [values, factors] = [numbersOf(data), numbersOf(scales)];
  const zeroValues = zeros && numbersOf(zeros);
  const zeroRow = zeros?.shape[zeros.shape.length - 1] ?? 1;
  const lastBlocks = scales.shape[scales.shape.length - 1] ?? 1;
  const zeroOf = (at: number): number => {
    if (!zeroValues) return isPacked ? 2 ** (bits - 1) : 0;
    if (!isPacked) return zeroValues[at]!;
    return packedElement(zeroValues, Math.floor(at / lastBlocks) * zeroRow, at % lastBlocks, bits);
  };
  const extent = shape[axis] ?? 1;
  const result = Float64Array.from({ length: elementCount(shape) }, (_, flat) => {
    const row = Math.floor(flat / inner);
    const block = Math.floor((row % extent) / blockSize);
    const at = (Math.floor(row / extent) * blocks + block) * inner + (flat % inner);
    const q = isPacked ? packedElement(values, 0, flat, bits) : values[flat]!;
    return Math.fround((q - zeroOf(at)) * factors[at]!);
  });
  const table = tensorOfNumbers(scales.dtype, shape, result);
  const attributes = { axis: numberOf(call, "gather_axis", 0) };
  return gather({ ...call, inputs: [table, inputOf(call, 1)], attributes, outputCount: 1 });
};
