/** A constant B in panels of eight columns (tile/panel.ts), or, when B is computed at run time, the bias alone. */
import type { Tensor } from "../../../runtime/format/tensor.ts";
import type { Storage } from "../../graph/graph.ts";
import type { Packed } from "../contract.ts";
import type { MatmulProblem } from "../problem.ts";
import { packPanels } from "../tile/panel.ts";
import { matmulWidth } from "./variants.ts";

export function packMatmul(
  problem: MatmulProblem,
  b: Tensor,
  bias: Tensor | undefined,
  storage: Storage | undefined,
): Packed {
  const [first = 1, second = 1] = b.shape;
  const [inner, columns] = problem.transposeB ? [second, first] : [first, second];
  const values = b.data as Float32Array;
  const scales = storage?.kind === "int8" ? storage.scales : undefined;
  return packPanels({
    panels: Math.ceil(columns / matmulWidth),
    width: matmulWidth,
    depth: inner,
    storage: problem.storage,
    channel: (panel, column) => {
      const channel = panel * matmulWidth + column;
      return channel < columns ? channel : undefined;
    },
    weight: (channel, k) => values[problem.transposeB ? channel * inner + k : k * columns + channel] ?? 0,
    bias: (channel) => Number(bias?.data[channel] ?? 0),
    scale: (channel) => scales?.[channel] ?? 1,
  });
}

/** The bias padded to whole panels; a single panel of zeros, for all panels, when there is none. */
export function packBias(bias: Tensor | undefined): Packed {
  const count = bias?.data.length ?? 0;
  const floats = new Float32Array(Math.max(1, Math.ceil(count / matmulWidth)) * matmulWidth);
  for (let i = 0; i < count; i++) floats[i] = Number(bias?.data[i] ?? 0);
  return { bytes: new Uint8Array(floats.buffer), unit: matmulWidth * 4 };
}
