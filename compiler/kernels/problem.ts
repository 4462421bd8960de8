/**
 * What the families can be asked to compute: shapes and meaning, no schedule. The bridge between operator
 * records and kernels. Activations are NHWC; every epilogue has the accumulator (bias included) as input 0 and
 * the problem's extra operands, of the output's shape or broadcast along leading axes, as inputs 1….
 */
import type { Expression } from "../../runtime/format/expression.ts";
import type { Dim } from "../graph/dimension.ts";

/** How a constant operand is stored: float32 unless the graph says otherwise. */
export type WeightStorage = "float32" | "float16" | "int8";

interface Window {
  readonly batch: Dim;
  readonly inputHeight: Dim;
  readonly inputWidth: Dim;
  readonly outputHeight: Dim;
  readonly outputWidth: Dim;
  readonly kernelHeight: number;
  readonly kernelWidth: number;
  readonly strideHeight: number;
  readonly strideWidth: number;
  readonly dilationHeight: number;
  readonly dilationWidth: number;
  /** Padding in front; behind it is whatever the output extent needs (it may be negative). */
  readonly padTop: number;
  readonly padLeft: number;
}

/** Operands: 0 input [N,H,W,C]; 1 weights [O, C/groups, kh, kw] constant; 2 bias [O] constant or absent; 3… epilogue operands [N,OH,OW,O]. */
export interface ConvProblem extends Window {
  readonly family: "conv";
  readonly groups: number;
  readonly inputChannels: number;
  readonly outputChannels: number;
  readonly storage: WeightStorage;
  readonly epilogue: Expression | undefined;
  readonly epilogueOperands: number;
}

/** As conv with groups = channels; weights [C*m, 1, kh, kw] with m = outputChannels / inputChannels. */
export interface DepthwiseProblem extends Window {
  readonly family: "depthwise";
  readonly inputChannels: number;
  readonly outputChannels: number;
  readonly storage: WeightStorage;
  readonly epilogue: Expression | undefined;
  readonly epilogueOperands: number;
}

/** Operands as conv; weights [C, O/groups, kh, kw]. The window describes the transposed convolution's own attributes. */
export interface ConvTransposeProblem extends Window {
  readonly family: "conv-transpose";
  readonly groups: number;
  readonly inputChannels: number;
  readonly outputChannels: number;
  readonly storage: WeightStorage;
  readonly epilogue: Expression | undefined;
  readonly epilogueOperands: number;
}

/**
 * C[b, m, n] = sum over k of A[b, m, k] * B[b, k, n]. Operands: 0 A [batch…, M, K]; 1 B; 2 bias [N] constant or absent; 3… epilogue operands [batch…, M, N].
 * B is a constant [K, N] ([N, K] when transposeB) shared by all batches, packed at compile time; or, when `dynamicB`, an activation
 * already in panels [batch or 1, ceil(N/8), K, 8] of float32, its last panel padded with zeros.
 */
export interface MatmulProblem {
  readonly family: "matmul";
  readonly batch: Dim;
  readonly rows: Dim;
  readonly inner: Dim;
  readonly columns: Dim;
  readonly dynamicB: boolean;
  /** Whether every batch has its own B (only when dynamicB). */
  readonly batchedB: boolean;
  readonly transposeB: boolean;
  readonly storage: WeightStorage;
  readonly epilogue: Expression | undefined;
  readonly epilogueOperands: number;
}

/** Operand 0 [N,H,W,C]. Windows are clipped at the borders: padding never contributes a value. */
export interface PoolProblem extends Window {
  readonly family: "pool";
  readonly mode: "max" | "average" | "lp";
  readonly channels: number;
  /** average: divide by the whole window (clipped only by `countedHeight`/`countedWidth`, the padded extents) instead of the part inside. */
  readonly countIncludePad: boolean;
  readonly countedHeight: Dim;
  readonly countedWidth: Dim;
  readonly norm: number;
  readonly epilogue: Expression | undefined;
}

/**
 * Reduction of a dense [outer, reduced, inner] operand to [outer, inner]. `map` is applied to each element first, `finish`
 * to each sum (input 0; input 1 is the float count of reduced elements).
 */
export interface ReduceProblem {
  readonly family: "reduce";
  readonly combine: "add" | "multiply" | "maximum" | "minimum";
  readonly outer: Dim;
  readonly reduced: Dim;
  readonly inner: Dim;
  readonly map: Expression | undefined;
  readonly finish: Expression | undefined;
}

/** Softmax or log-softmax over `length` of a dense [outer, length, inner] operand; NaN spreads over its row. */
export interface SoftmaxProblem {
  readonly family: "softmax";
  readonly logarithm: boolean;
  readonly outer: Dim;
  readonly length: Dim;
  readonly inner: Dim;
}

/**
 * Normalisation of dense rows [outer, length]: (x - mean) / sqrt(variance + epsilon), mean kept 0 when `centered` is false (RMS).
 * Operands: 0 x; 1 scale or absent; 2 shift or absent. Scale and shift are activations or constants: dense [length] when
 * `affine` is "element", or [channels] with channel = (row % channels) when "row".
 */
export interface NormProblem {
  readonly family: "norm";
  readonly outer: Dim;
  readonly length: Dim;
  readonly centered: boolean;
  readonly epsilon: number;
  readonly affine: "element" | "row" | "none";
  readonly channels: Dim;
}

export type Problem =
  | ConvProblem
  | DepthwiseProblem
  | ConvTransposeProblem
  | MatmulProblem
  | PoolProblem
  | ReduceProblem
  | SoftmaxProblem
  | NormProblem;
