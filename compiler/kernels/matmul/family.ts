/**
 * Matrix products of dense operands. The range is panels of a constant B where A is small, or rows of A (batch * rows).
 * Epilogue operands follow the output or repeat along its leading axes.
 */

import type { Tensor } from "../../../runtime/format/tensor.ts";
import {
  addDims,
  ceilDivideDims,
  type Dim,
  divideDims,
  maximumDim,
  multiplyDims,
  productOf,
  sameDim,
} from "../../graph/dimension.ts";
import type { BoundStep, Buffer, Family, View } from "../contract.ts";
import { keyOf } from "../expression/memo.ts";
import type { MatmulProblem, StoredWeights } from "../problem.ts";
import { weightForm, weightScratchBytes } from "../tile/block-layout.ts";
import { epilogueForm, isAligned, isEpilogue } from "../tile/finish.ts";
import { quad } from "../tile/wgsl.ts";
import { addressWord, integerWord, type NamedArguments } from "../tile/words.ts";
import { widenedBeyond } from "./halves.ts";
import { matmulPanelBytes, packBias, packMatmul, readPackedMatmul } from "./pack.ts";
import { preparedBytes } from "./prepare-rows.ts";
import { type MatmulVariant, matmulVariants, matmulWidth } from "./variants.ts";
import { emitMatmul, fewRows, type MatmulShape } from "./wasm.ts";
import { matmulWgsl } from "./wgsl.ts";

/** Bytes of A that a block of rows may hold, so that it stays in the second cache while the panels pass over it. */
const blockBytes = 256 * 1024;
/** Bytes of A up to which B is read once, panel by panel, with all rows for each: however the range is cut. */
const wholeBytes = 1024 * 1024;
/** Panels below which a cut of the range by panels is too coarse. */
const fewPanels = 16;

/** Rows of A that take as long as it takes to widen a panel. */
const widening = 2;

export const matmulFamily: Family<MatmulProblem, MatmulVariant> = {
  name: "matmul",
  variants: matmulVariants,
  strided: false,
  accepts: ({ rows, overPanels }, problem) =>
    isEpilogue(problem.epilogue, problem.epilogueOperands) &&
    (!overPanels || (multiplyDims(problem.batch, problem.rows) === rows && !(problem.batchedB && problem.batch !== 1))),
  work({ rows, overPanels }, problem, extent) {
    const separate = problem.batchedB ? extent(problem.batch) : 1;
    const rowsOfB = (extent(problem.batch) * extent(problem.rows)) / separate;
    const columns = Math.ceil(extent(problem.columns) / matmulWidth) * matmulWidth;
    const left = rowsOfB % rows;
    const last = left === 0 ? 0 : overPanels || left > fewRows ? rows : Math.max(left, (2 * rows) / 3);
    const isWidened = !overPanels && !problem.dynamicB && problem.storage !== "float32";
    return separate * (rowsOfB - left + last + (isWidened ? widening : 0)) * columns * extent(problem.inner);
  },
  overheads({ rows }, problem, extent) {
    const all = extent(problem.batch) * extent(problem.rows);
    const panels = Math.ceil(extent(problem.columns) / matmulWidth);
    const inner = extent(problem.inner);
    const separate = problem.batchedB ? extent(problem.batch) : 1;
    return {
      tiles: separate * Math.ceil(all / separate / rows) * panels,
      arranged: problem.dynamicB ? separate * panels * matmulWidth * inner : 0,
    };
  },
  packedOperands: (problem) => (problem.dynamicB ? [2] : [1, 2]),
  pack: (_, problem, constants, [storage]) =>
    problem.dynamicB ? packBias(constants[0]) : packMatmul(problem, constants[0] as Tensor, constants[1], storage),
  packKey: (_, { dynamicB, transposeB, storage }) => `${dynamicB} ${transposeB} ${storage}`,
  readPacked: (_, problem, index, packed) =>
    index === 1 && !problem.dynamicB ? readPackedMatmul(problem, packed) : undefined,
  scratchBytes({ rows, overPanels }, problem) {
    const { dynamicB, inner } = problem;
    if (dynamicB) return 0;
    const form = weightForm(problem);
    if (overPanels) return form === "float32" || form === "int8" ? 0 : preparedBytes(form, rows, inner as number);
    return addDims(weightScratchBytes(problem, matmulWidth, inner), form === "float16" ? widenedBeyond : 0);
  },
  bind: (variant, problem, [a, b, , ...operands], outputs, packed, scratch) =>
    bindMatmul(
      variant,
      problem,
      a as View,
      b,
      operands as readonly View[],
      outputs[0] as View,
      packed as Buffer,
      scratch,
    ),
};

/** Rows after which an operand (broadcast to the output's shape) starts again, and the bytes between its rows. */
function rowsOf(view: View): { readonly period: Dim; readonly step: Dim; readonly single: boolean } {
  const leading = view.shape.slice(0, -1);
  const repeated = leading.findLastIndex((extent, axis) => extent !== 1 && view.strides[axis] === 0);
  const period = productOf(leading.slice(repeated + 1));
  const single = view.strides.at(-1) === 0;
  return { period, step: period === 1 || single ? 0 : multiplyDims(view.shape.at(-1) as Dim, 4), single };
}

/** What one iteration of the range is: a panel of B for all rows in one tile, a panel for any rows, a row of A. */
function orderOf(variant: MatmulVariant, problem: MatmulProblem): MatmulShape["order"] {
  if (variant.overPanels) return "tile";
  const bytes = multiplyDims(problem.batch, problem.rows, problem.inner, 4);
  const panels = ceilDivideDims(problem.columns, matmulWidth);
  const isSmall = typeof bytes === "number" && bytes <= wholeBytes;
  return !problem.dynamicB && isSmall && typeof panels === "number" && panels >= fewPanels ? "panels" : "rows";
}

function bindMatmul(
  variant: MatmulVariant,
  problem: MatmulProblem,
  a: View,
  b: View | undefined,
  operands: readonly View[],
  output: View,
  packed: Buffer,
  scratch: Buffer | undefined,
): BoundStep {
  const { batch, rows, inner, columns, dynamicB, batchedB } = problem;
  const weights: StoredWeights = dynamicB
    ? { storage: "float32" }
    : { storage: problem.storage, ...(problem.blocks ? { blocks: problem.blocks } : {}) };
  const allRows = multiplyDims(batch, rows);
  const aRow = multiplyDims(inner, 4);
  const panels = ceilDivideDims(columns, matmulWidth);
  const depth = inner as number;
  const bytes = dynamicB ? multiplyDims(inner, matmulWidth * 4) : matmulPanelBytes(weights, depth);
  const repeats = operands.map(rowsOf);
  const order = orderOf(variant, problem);
  const named: NamedArguments = [
    addressWord("a", a, "read"),
    addressWord("b", b ?? { buffer: packed, offset: 0 }, "read"),
    addressWord("c", output, "write"),
    ...(dynamicB ? [addressWord("bias", { buffer: packed, offset: 0 }, "read")] : []),
    ...(scratch ? [addressWord("scratch", { buffer: scratch, offset: 0 }, "scratch")] : []),
    integerWord("inner", inner),
    integerWord("columns", columns),
    integerWord("aRow", aRow),
    integerWord("cRow", multiplyDims(columns, 4)),
    integerWord("panelBytes", bytes),
    integerWord("biasStep", (packed.bytes as number) > matmulWidth * 4 ? matmulWidth * 4 : 0),
    integerWord("rowsPerB", batchedB ? rows : allRows),
    integerWord("bytesPerB", batchedB ? multiplyDims(panels, bytes) : 0),
    integerWord("blockRows", maximumDim(variant.rows, divideDims(blockBytes, aRow))),
    ...operands.flatMap((view, k) => [
      addressWord(`operand${k}`, view, "read"),
      integerWord(`operand${k}Row`, repeats[k]?.step ?? 0),
      integerWord(`operand${k}Period`, repeats[k]?.period ?? 1),
    ]),
  ];
  const shape: MatmulShape = {
    rows: variant.rows,
    order,
    sets: variant.sets,
    ...weights,
    ...(scratch && variant.overPanels ? { rest: depth % 4 } : {}),
    dynamicB,
    epilogue: problem.epilogue,
    form: epilogueForm(problem.epilogue, operands.length, isAligned(output, operands, matmulWidth)),
    operandChannels: repeats.map(({ single }) => (single ? "single" : "contiguous")),
    periodic: repeats.some(({ period, step }) => step !== 0 && !sameDim(period, allRows)),
    names: named.map(([name]) => name),
  };
  const outputs = multiplyDims(allRows, columns);
  const floats = addDims(multiplyDims(allRows, inner), multiplyDims(outputs, 1 + operands.length));
  return {
    kernel: {
      key: `matmul ${keyOf(shape)}`,
      name: `matmul ${variant.name} ${weights.storage}`,
      emitWasm: (context) => emitMatmul(context, shape),
      emitWgsl: () => matmulWgsl(shape),
    },
    arguments: named.map(([, argument]) => argument),
    range: order === "rows" ? allRows : panels,
    granule: order === "rows" ? variant.rows : 1,
    flops: multiplyDims(outputs, inner, 2),
    bytes: addDims(multiplyDims(floats, 4), packed.bytes, b ? b.buffer.bytes : 0),
    invocations: multiplyDims(allRows, ceilDivideDims(columns, quad)),
  };
}
