/** A constant B in panels of eight columns (tile/panel.ts), or, when B is computed at run time, the bias alone. */
import { binary, constant, type Expression } from "../../../runtime/format/expression.ts";
import type { Tensor } from "../../../runtime/format/tensor.ts";
import type { Storage } from "../../graph/graph.ts";
import type { Buffer, Packed, PackedReading } from "../contract.ts";
import type { MatmulProblem } from "../problem.ts";
import { elementBytes, packPanels, panelBytes, panelFront } from "../tile/panel.ts";
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

/** B where it lies: panel, step of k, column of the panel. */
export function readPackedMatmul(problem: MatmulProblem, packed: Buffer): PackedReading {
  const { inner, transposeB, storage } = problem;
  const depth = inner as number;
  const unit = panelBytes(storage, matmulWidth, depth);
  const panels = (packed.bytes as number) / unit;
  const element = elementBytes[storage];
  const width = constant(matmulWidth, "int32");
  const place = (coordinates: readonly Expression[]): { column: Expression; k: Expression } => {
    const [first, second] = coordinates as readonly [Expression, Expression];
    return transposeB ? { column: first, k: second } : { column: second, k: first };
  };
  const panelOf = (column: Expression): Expression => binary("divide", column, width);
  const within = (column: Expression): Expression => binary("remainder", column, width);
  return {
    view: {
      buffer: packed,
      offset: panelFront(storage, matmulWidth),
      dtype: storage,
      shape: [panels, depth, matmulWidth],
      strides: [unit, matmulWidth * element, element],
    },
    scales:
      storage === "int8"
        ? {
            buffer: packed,
            offset: matmulWidth * 4,
            dtype: "float32",
            shape: [panels, matmulWidth],
            strides: [unit, 4],
          }
        : undefined,
    at: (coordinates) => {
      const { column, k } = place(coordinates);
      return [panelOf(column), k, within(column)];
    },
    scaleAt: (coordinates) => {
      const { column } = place(coordinates);
      return [panelOf(column), within(column)];
    },
  };
}
