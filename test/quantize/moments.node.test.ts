import { expect, test } from "vitest";
import { MomentSums, momentMeans } from "../../compiler/quantize/moments.ts";
import { fillRandom } from "../../runtime/format/random.ts";

test.each([1, 4, 11])("second moments of %i rows at once and one more are the means of products", (rows) => {
  const size = 5;
  const data = new Float32Array((rows + 1) * size);
  fillRandom("float32", data, 6);
  const sums = new MomentSums(size);
  sums.add(data.subarray(0, rows * size));
  sums.add(data.subarray(rows * size));
  const { triangle, triangleRows } = sums.finish();
  expect([...triangleRows]).toEqual([rows + 1]);
  const means = momentMeans(Float64Array.from(triangle), rows + 1, size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      let sum = 0;
      for (let row = 0; row <= rows; row++) sum += (data[row * size + i] ?? 0) * (data[row * size + j] ?? 0);
      expect(means[i * size + j]).toBeCloseTo(sum / (rows + 1), 5);
    }
  }
});
