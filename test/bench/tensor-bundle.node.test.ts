import { expect, test } from "vitest";
import { decodeRuns, decodeTensors, encodeRuns, encodeTensors, type Tensors } from "../../bench/tensor-bundle.ts";
import { dtypes } from "../../runtime/format/dtype.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { tensorOf, zeros } from "../../runtime/format/tensor.ts";

const every: Tensors = Object.fromEntries(
  dtypes.map((dtype, index) => {
    const tensor = zeros(dtype, [3, index]);
    fillRandom(dtype, tensor.data, index);
    return [`${dtype}/ä`, tensor];
  }),
);

test("tensors of every type, empty ones and scalars survive", () => {
  const tensors: Tensors = { ...every, scalar: tensorOf("int64", [], [-(2n ** 62n)]) };
  expect(decodeTensors(encodeTensors(tensors))).toEqual(tensors);
});

test("also from the middle of a buffer", () => {
  const bytes = encodeTensors(every);
  const shifted = new Uint8Array(bytes.length + 3);
  shifted.set(bytes, 3);
  expect(decodeTensors(shifted.subarray(3))).toEqual(every);
});

test("runs keep their order and their names", () => {
  const runs = Array.from({ length: 12 }, (_, run) => ({ "a/b": tensorOf("float32", [1], [run]) }));
  expect(decodeRuns(encodeRuns(runs))).toEqual(runs);
});
