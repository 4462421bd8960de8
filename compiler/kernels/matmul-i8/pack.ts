/** A constant int8 B in panels of columns (tile/panel-i8.ts): k is one run. */
import type { Tensor } from "../../../runtime/format/tensor.ts";
import type { Packed } from "../contract.ts";
import type { IntegerMatmulProblem } from "../problem.ts";
import { packBytePanels } from "../tile/panel-i8.ts";

export function packIntegerMatmul(
  problem: IntegerMatmulProblem,
  width: number,
  b: Tensor,
  bias: Tensor | undefined,
): Packed {
  const [first = 1, second = 1] = b.shape;
  const [inner, columns] = problem.transposeB ? [second, first] : [first, second];
  const values = b.data as Int8Array;
  return packBytePanels({
    panels: Math.ceil(columns / width),
    width,
    runs: 1,
    length: inner,
    channel: (panel, column) => (panel * width + column < columns ? panel * width + column : undefined),
    weight: (channel, _, k) => values[problem.transposeB ? channel * inner + k : k * columns + channel] ?? 0,
    bias: (channel) => Number(bias?.data[channel] ?? 0),
  });
}
