/** Cases of operators with constants in blocks of four bits. */
import { tensorOf } from "../../../runtime/format/tensor.ts";
import { type AttentionCase, ints, make } from "./attention-operators.ts";
import { random } from "./window.ts";

/** Every byte occurs. */
const bytes = (shape: readonly number[], first = 0) =>
  tensorOf(
    "uint8",
    shape,
    Array.from({ length: shape.reduce((product, extent) => product * extent, 1) }, (_, i) => (first + i * 37) % 256),
  );

const product = make("com.microsoft.MatMulNBits", 1);
const rows = make("com.microsoft.GatherBlockQuantized", 1);
const dequantise = make("DequantizeLinear", 21);

/** N = 20, K = 48: two blocks of 32 in a row, the second one padded. */
const form = { N: 20, K: 48, bits: 4, block_size: 32 };
const weights = bytes([20, 2, 16]);
const scales = random([40], 5);
const zeros = bytes([20], 11);

export const blockCases: readonly AttentionCase[] = [
  product("symmetric, one row", [random([1, 48], 1), weights, scales], form, { constants: [1, 2] }),
  product("zeros, many rows", [random([2, 4, 48], 1), weights, scales, zeros], form, { constants: [1, 2, 3] }),
  product("a bias", [random([3, 48], 1), weights, scales, zeros, undefined, random([20], 4)], form, {
    constants: [1, 2, 3, 5],
  }),
  product(
    "blocks of 16",
    [random([1, 48], 1), bytes([20, 3, 8]), random([60], 5), bytes([40], 7)],
    {
      ...form,
      block_size: 16,
    },
    { constants: [1, 2, 3] },
  ),
  rows(
    "symmetric",
    [bytes([9, 32]), ints([0, 8, 3], [1, 3]), random([9, 4], 5)],
    { block_size: 16 },
    { constants: [0, 2], oracle: "none" },
  ),
  rows(
    "zeros",
    [bytes([9, 32]), ints([2, 7], [2]), random([9, 4], 5), bytes([9, 2], 9)],
    { block_size: 16 },
    { constants: [0, 2, 3], oracle: "none" },
  ),
  dequantise(
    "blocks of a constant",
    [
      tensorOf(
        "int8",
        [3, 32],
        Array.from({ length: 96 }, (_, i) => (i % 16) - 8),
      ),
      random([3, 2], 5),
    ],
    { axis: 1, block_size: 16 },
    { constants: [0, 1], oracle: "none" },
  ),
];
