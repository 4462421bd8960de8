/**
 * What a family's problem asks for, straight from the comments of compiler/kernels/problem.ts: element by element, without
 * schedules. Shows that a lowering says what the operator means.
 */

import type {
  AttentionProblem,
  DynamicQuantizeProblem,
  Problem,
  RecurrentProblem,
} from "../../compiler/kernels/problem.ts";
import type { Expression } from "../../runtime/format/expression.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { broadcastIndex } from "../../runtime/reference/broadcast.ts";
import { evaluateElementwise } from "../../runtime/reference/expression.ts";
import type { IntegerProblem } from "./execute-integer.ts";

type Operands = readonly (Tensor | undefined)[];

const n = (dim: unknown): number => {
  if (typeof dim !== "number") throw new RangeError("the problem has a symbolic extent");
  return dim;
};

const at = (tensor: Tensor | undefined, index: number): number => Number(tensor?.data[index] ?? Number.NaN);

const float32 = (shape: readonly number[], value: (index: number) => number): Tensor =>
  tensorOf(
    "float32",
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, index) => value(index)),
  );

const applied = (expression: Expression | undefined, ...operands: Operands): Tensor =>
  expression ? evaluateElementwise(expression, operands) : (operands[0] as Tensor);

const scalar = (expression: Expression | undefined, ...values: readonly number[]): number =>
  Number(applied(expression, ...values.map((value) => tensorOf("float32", [], [value]))).data[0]);

/** Element [batch, head, token, feature] of a dense operand in `layout`. */
function attentionElement(tensor: Tensor | undefined, layout: string, at4: readonly number[]): number {
  const [b, h, s, d] = at4 as [number, number, number, number];
  const place = { B: b, H: h, S: s, D: d };
  const flat = [...layout].reduce(
    (index, axis, position) => index * (tensor?.shape[position] ?? 0) + place[axis as "B"],
    0,
  );
  return at(tensor, flat);
}

function executeAttention(problem: AttentionProblem, operands: Operands, shape: readonly number[]): Tensor {
  const [q, k, v, mask, lengths] = operands;
  const { heads, keyHeads, depth, causal, window, softcap, scale } = problem;
  const [queries, keys] = [n(problem.queries), n(problem.keys)];
  const full = [n(problem.batch), heads, queries, keys];
  const order = problem.outputLayout === "BSHD" ? [0, 2, 1, 3] : [0, 1, 2, 3];
  return float32(shape, (index) => {
    const coordinates: number[] = [];
    let rest = index;
    for (let axis = 3; axis >= 0; axis--) {
      coordinates[axis] = rest % (shape[axis] ?? 1);
      rest = Math.floor(rest / (shape[axis] ?? 1));
    }
    const [b, h, m, d] = order.map((axis) => coordinates[axis]) as [number, number, number, number];
    const shared = Math.floor(h / (heads / keyHeads));
    const length = lengths ? at(lengths, b) : keys;
    const position = m + length - queries;
    let [total, largest] = [0, -Infinity];
    const scores = Array.from({ length: keys }, (_, t) => {
      if (t >= length || (causal && t > position) || (window !== undefined && t <= position - window)) return -Infinity;
      let dot = 0;
      for (let c = 0; c < depth; c++)
        dot +=
          attentionElement(q, problem.queryLayout, [b, h, m, c]) *
          attentionElement(k, problem.keyLayout, [b, shared, t, c]);
      const score = softcap === undefined ? dot * scale : softcap * Math.tanh((dot * scale) / softcap);
      const extra = mask ? at(mask, broadcastIndex(mask.shape, full)(((b * heads + h) * queries + m) * keys + t)) : 0;
      largest = Math.max(largest, score + extra);
      return score + extra;
    });
    if (largest === -Infinity) return 0;
    const weights = scores.map((score) => Math.exp(score - largest));
    for (const weight of weights) total += weight;
    return weights.reduce(
      (sum, weight, t) => sum + (weight / total) * attentionElement(v, problem.valueLayout, [b, shared, t, d]),
      0,
    );
  });
}

type WindowProblem = Extract<Problem, { readonly padTop: number }>;

/** Coordinates of output element `index` of [N, OH, OW, channels]. */
function place(problem: WindowProblem, channels: number, index: number) {
  const [height, width] = [n(problem.outputHeight), n(problem.outputWidth)];
  const pixel = Math.floor(index / channels);
  return {
    channel: index % channels,
    x: pixel % width,
    y: Math.floor(pixel / width) % height,
    image: Math.floor(pixel / (width * height)),
  };
}

/** Every tap: kernel position and the input pixel it reads from output (y, x). */
function* taps(problem: WindowProblem, y: number, x: number) {
  for (let ky = 0; ky < problem.kernelHeight; ky++)
    for (let kx = 0; kx < problem.kernelWidth; kx++)
      yield {
        tap: ky * problem.kernelWidth + kx,
        row: y * problem.strideHeight - problem.padTop + ky * problem.dilationHeight,
        column: x * problem.strideWidth - problem.padLeft + kx * problem.dilationWidth,
      };
}

const inside = (problem: WindowProblem, row: number, column: number): boolean =>
  row >= 0 && column >= 0 && row < n(problem.inputHeight) && column < n(problem.inputWidth);

const pixelOf = (problem: WindowProblem, image: number, row: number, column: number): number =>
  (image * n(problem.inputHeight) + row) * n(problem.inputWidth) + column;

const outputShape = (problem: WindowProblem, channels: number): number[] => [
  n(problem.batch),
  n(problem.outputHeight),
  n(problem.outputWidth),
  channels,
];

/** Families with one output over floats; recurrent layers stand in execute-recurrent.ts, integer products in execute-integer.ts. */
export function executeProblem(
  problem: Exclude<Problem, RecurrentProblem | IntegerProblem | DynamicQuantizeProblem>,
  operands: Operands,
  shape: readonly number[],
): Tensor {
  const [x, w, bias] = operands;
  switch (problem.family) {
    case "conv":
    case "depthwise": {
      const { inputChannels, outputChannels, kernelHeight, kernelWidth } = problem;
      const groups = problem.family === "conv" ? problem.groups : inputChannels;
      const perGroup = inputChannels / groups;
      const sum = float32(outputShape(problem, outputChannels), (index) => {
        const { channel, x: column, y: row, image } = place(problem, outputChannels, index);
        let total = bias ? at(bias, channel) : 0;
        for (const one of taps(problem, row, column)) {
          if (!inside(problem, one.row, one.column)) continue;
          for (let c = 0; c < perGroup; c++) {
            const source = Math.floor(channel / (outputChannels / groups)) * perGroup + c;
            const weight = at(w, (channel * perGroup + c) * kernelHeight * kernelWidth + one.tap);
            total += at(x, pixelOf(problem, image, one.row, one.column) * inputChannels + source) * weight;
          }
        }
        return total;
      });
      return applied(problem.epilogue, sum, ...operands.slice(3));
    }
    case "conv-transpose": {
      const { inputChannels, outputChannels, groups, kernelHeight, kernelWidth } = problem;
      const [inputs, filters] = [inputChannels / groups, outputChannels / groups];
      const sums = new Float64Array(outputShape(problem, outputChannels).reduce((a, b) => a * b, 1));
      sums.forEach((_, index) => {
        sums[index] = bias ? at(bias, index % outputChannels) : 0;
      });
      const [height, width] = [n(problem.outputHeight), n(problem.outputWidth)];
      for (let pixel = 0; pixel < n(problem.batch) * n(problem.inputHeight) * n(problem.inputWidth); pixel++) {
        const column = pixel % n(problem.inputWidth);
        const row = Math.floor(pixel / n(problem.inputWidth)) % n(problem.inputHeight);
        const image = Math.floor(pixel / (n(problem.inputWidth) * n(problem.inputHeight)));
        for (const one of taps(problem, row, column)) {
          if (one.row < 0 || one.row >= height || one.column < 0 || one.column >= width) continue;
          for (let c = 0; c < inputChannels; c++)
            for (let m = 0; m < filters; m++) {
              const weight = at(w, (c * filters + m) * kernelHeight * kernelWidth + one.tap);
              const channel = Math.floor(c / inputs) * filters + m;
              const target = ((image * height + one.row) * width + one.column) * outputChannels + channel;
              sums[target] = (sums[target] ?? 0) + at(x, pixel * inputChannels + c) * weight;
            }
        }
      }
      return applied(
        problem.epilogue,
        float32(outputShape(problem, outputChannels), (index) => sums[index] ?? 0),
        ...operands.slice(3),
      );
    }
    case "pool": {
      const { channels, mode, norm } = problem;
      const result = float32(outputShape(problem, channels), (index) => {
        const { channel, x: column, y: row, image } = place(problem, channels, index);
        const all = [...taps(problem, row, column)];
        const values = all
          .filter((one) => inside(problem, one.row, one.column))
          .map((one) => at(x, pixelOf(problem, image, one.row, one.column) * channels + channel));
        // The counted extents include the padding in front.
        const counted = all.filter(
          (one) =>
            one.row + problem.padTop < n(problem.countedHeight) &&
            one.column + problem.padLeft < n(problem.countedWidth),
        );
        if (mode === "max") return Math.max(...values);
        if (mode === "lp") return values.reduce((sum, value) => sum + Math.abs(value) ** norm, 0) ** (1 / norm);
        return values.reduce((sum, value) => sum + value, 0) / (problem.countIncludePad ? counted : values).length;
      });
      if (problem.dtype !== "float32") return tensorOf(problem.dtype, result.shape, Array.from(result.data, Number));
      return applied(problem.epilogue, result);
    }
    case "matmul": {
      const [rows, inner, columns] = [n(problem.rows), n(problem.inner), n(problem.columns)];
      const panels = Math.ceil(columns / 8);
      const b = (batch: number, k: number, column: number): number => {
        if (!problem.dynamicB) return at(w, problem.transposeB ? column * inner + k : k * columns + column);
        const panel = (problem.batchedB ? batch * panels : 0) + Math.floor(column / 8);
        return at(w, (panel * inner + k) * 8 + (column % 8));
      };
      const sum = float32(shape, (index) => {
        const column = index % columns;
        const row = Math.floor(index / columns);
        let total = bias ? at(bias, column) : 0;
        for (let k = 0; k < inner; k++) total += at(x, row * inner + k) * b(Math.floor(row / rows), k, column);
        return total;
      });
      return applied(problem.epilogue, sum, ...operands.slice(3));
    }
    case "attention":
      return executeAttention(problem, operands, shape);
    case "reduce":
      return float32(shape, (index) => {
        const [reduced, inner] = [n(problem.reduced), n(problem.inner)];
        const values = Array.from({ length: reduced }, (_, k) =>
          scalar(problem.map, at(x, (Math.floor(index / inner) * reduced + k) * inner + (index % inner))),
        );
        const combined = {
          add: () => values.reduce((a, b) => a + b, 0),
          multiply: () => values.reduce((a, b) => a * b, 1),
          maximum: () => Math.max(...values),
          minimum: () => Math.min(...values),
        }[problem.combine]();
        return scalar(problem.finish, combined, reduced);
      });
    case "softmax":
      return float32(shape, (index) => {
        const [length, inner] = [n(problem.length), n(problem.inner)];
        const first = Math.floor(index / (length * inner)) * length * inner + (index % inner);
        const values = Array.from({ length }, (_, k) => at(x, first + k * inner));
        const largest = Math.max(...values);
        const total = values.reduce((sum, value) => sum + Math.exp(value - largest), 0);
        const shifted = at(x, index) - largest;
        return problem.logarithm ? shifted - Math.log(total) : Math.exp(shifted) / total;
      });
    case "norm":
      return float32(shape, (index) => {
        const length = n(problem.length);
        const row = Math.floor(index / length);
        const values = Array.from({ length }, (_, k) => at(x, row * length + k));
        const mean = problem.centered ? values.reduce((a, b) => a + b, 0) / length : 0;
        const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / length;
        const parameter = { element: index % length, row: row % n(problem.channels), none: 0 }[problem.affine];
        const normal = (at(x, index) - mean) / Math.sqrt(variance + problem.epsilon);
        return normal * (w ? at(w, parameter) : 1) + (bias ? at(bias, parameter) : 0);
      });
  }
}
