/** A constant B in panels of eight columns (tile/panel.ts, tile/block-layout.ts), or, when B is computed at run time, the bias alone. */
import { binary, cast, constant, type Expression } from "../../../runtime/format/expression.ts";
import type { Tensor } from "../../../runtime/format/tensor.ts";
import type { Storage } from "../../graph/graph.ts";
import type { Buffer, Packed, PackedReading, View } from "../contract.ts";
import type { MatmulProblem, StoredWeights } from "../problem.ts";
import { blockValue, nibbleOf } from "../tile/block-element.ts";
import { type BlockWeights, blockFront, blockLayout, weightForm, weightPanelBytes } from "../tile/block-layout.ts";
import { packWeights } from "../tile/pack.ts";
import { elementBytes, panelFront } from "../tile/panel.ts";
import { halvesBytes, halvesFront, placeOfHalf, quadBytes } from "./halves.ts";
import { matmulWidth } from "./variants.ts";

export function packMatmul(
  problem: MatmulProblem,
  b: Tensor,
  bias: Tensor | undefined,
  storage: Storage | undefined,
): Packed {
  const [first = 1, second = 1] = b.shape;
  const [inner, columns] = problem.transposeB ? [second, first] : [first, second];
  const source = {
    values: b.data as Float32Array,
    shape: b.shape,
    panels: Math.ceil(columns / matmulWidth),
    width: matmulWidth,
    depth: inner,
    run: inner,
    channel: (panel: number, column: number): number | undefined => {
      const channel = panel * matmulWidth + column;
      return channel < columns ? channel : undefined;
    },
    index: (channel: number, k: number): number => (problem.transposeB ? channel * inner + k : k * columns + channel),
    bias: (channel: number): number => Number(bias?.data[channel] ?? 0),
  };
  const order = problem.storage === "float16" ? { bytes: halvesBytes(inner), place: placeOfHalf } : undefined;
  return packWeights(source, problem, storage, undefined, order);
}

/** Bytes of one panel of a constant B. */
export const matmulPanelBytes = (weights: StoredWeights, depth: number): number =>
  weights.storage === "float16" ? halvesBytes(depth) : weightPanelBytes(weights, matmulWidth, depth, depth);

/** The bias padded to whole panels; a single panel of zeros, for all panels, when there is none. */
export function packBias(bias: Tensor | undefined): Packed {
  const count = bias?.data.length ?? 0;
  const floats = new Float32Array(Math.max(1, Math.ceil(count / matmulWidth)) * matmulWidth);
  for (let i = 0; i < count; i++) floats[i] = Number(bias?.data[i] ?? 0);
  return { bytes: new Uint8Array(floats.buffer), unit: matmulWidth * 4 };
}

const width = constant(matmulWidth, "int32");

/** B where it lies: panel, step of k, column of the panel. */
export function readPackedMatmul(problem: MatmulProblem, packed: Buffer): PackedReading {
  const { inner, transposeB } = problem;
  const depth = inner as number;
  const unit = matmulPanelBytes(problem, depth);
  const panels = (packed.bytes as number) / unit;
  const form = weightForm(problem);
  const place: Place = (coordinates) => {
    const [first, second] = coordinates as readonly [Expression, Expression];
    const [column, k] = transposeB ? [first, second] : [second, first];
    return { panel: binary("divide", column, width), column: binary("remainder", column, width), k };
  };
  if (typeof form !== "string") return readBlocks(form, packed, unit, panels, place);
  if (form === "float16") return readHalves(packed, unit, panels, place);
  const element = elementBytes[form];
  const weights = {
    buffer: packed,
    offset: panelFront(form, matmulWidth),
    dtype: form,
    shape: [panels, depth, matmulWidth],
    strides: [unit, matmulWidth * element, element],
  };
  const scales = {
    buffer: packed,
    offset: matmulWidth * 4,
    dtype: "float32" as const,
    shape: [panels, matmulWidth],
    strides: [unit, 4],
  };
  return {
    views: form === "int8" ? [weights, scales] : [weights],
    value: (coordinates, load) => {
      const { panel, column, k } = place(coordinates);
      const stored = load(0, [panel, k, column]);
      const value = form === "float32" ? stored : cast("float32", stored);
      return form === "int8" ? binary("multiply", value, load(1, [panel, column])) : value;
    },
  };
}

type Place = (coordinates: readonly Expression[]) => { panel: Expression; column: Expression; k: Expression };

function readHalves(packed: Buffer, unit: number, panels: number, place: Place): PackedReading {
  const quads = (unit - halvesFront) / quadBytes;
  const [one, three, two] = [1, 3, 2].map((value) => constant(value, "int32")) as [Expression, Expression, Expression];
  return {
    views: [
      {
        buffer: packed,
        offset: halvesFront,
        dtype: "float16",
        shape: [panels, quads, matmulWidth / 2, 4, 2],
        strides: [unit, quadBytes, 16, 4, 2],
      },
    ],
    value: (coordinates, load) => {
      const { panel, column, k } = place(coordinates);
      const [quad, pair] = [binary("shiftRight", k, two), binary("shiftRight", column, one)];
      return cast("float32", load(0, [panel, quad, pair, binary("bitAnd", k, three), binary("bitAnd", column, one)]));
    },
  };
}

function readBlocks(form: BlockWeights, packed: Buffer, unit: number, panels: number, place: Place): PackedReading {
  const { scaleBytes, zeros, head, stepBytes, bytes } = blockLayout(form, matmulWidth);
  const front = blockFront(form, matmulWidth);
  const count = Math.ceil((unit - front) / bytes);
  const view = (offset: number, shape: readonly number[], strides: readonly number[], dtype: View["dtype"]): View => ({
    buffer: packed,
    offset: front + offset,
    dtype,
    shape: [panels, count, ...shape],
    strides: [unit, bytes, ...strides],
  });
  const size = constant(form.size, "int32");
  return {
    views: [
      view(head, [form.size, stepBytes], [stepBytes, 1], "uint8"),
      view(0, [matmulWidth], [scaleBytes], form.scaleType),
      ...(form.zeros ? [view(zeros, [stepBytes], [1], "uint8")] : []),
    ],
    value: (coordinates, load) => {
      const { panel, column, k } = place(coordinates);
      const block = [panel, binary("divide", k, size)];
      const half = binary("shiftRight", column, constant(1, "int32"));
      const q = nibbleOf(load(0, [...block, binary("remainder", k, size), half]), column);
      const zero = form.zeros ? nibbleOf(load(2, [...block, half]), column) : undefined;
      return blockValue(form.kind, q, zero, load(1, [...block, column]));
    },
  };
}
