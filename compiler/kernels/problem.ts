/**
 * What the families can be asked to compute: shapes and meaning, no schedule. The bridge between operator
 * records and kernels. Activations are NHWC; every epilogue has the accumulator (bias included) as input 0 and
 * the problem's extra operands, of the output's shape or broadcast along leading axes, as inputs 1….
 */
import type { Expression } from "../../runtime/format/expression.ts";
import type { Dim } from "../graph/dimension.ts";

/** How a constant operand is stored: float32 unless the graph says otherwise. */
export type WeightStorage = PlainStorage | "int4" | "nf4";

/** One element at a time, at most with a scale per output channel. */
export type PlainStorage = "float32" | "float16" | "int8";

/** The blocks of int4 and nf4 weights (BlockStorage of the graph), along the terms of a sum, and what is packed with them. */
export interface BlockForm {
  readonly size: 16 | 32 | 64 | 128;
  /** Each block has a zero of its own (int4 only). */
  readonly zeros: boolean;
  readonly scaleType: "float16" | "float32";
  /** The product has a bias: in few bits, room for one that is not there would count. */
  readonly bias: boolean;
}

/** The weights of a product. */
export interface StoredWeights {
  readonly storage: WeightStorage;
  /** int4 and nf4 only. */
  readonly blocks?: BlockForm;
}

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
export interface ConvProblem extends Window, StoredWeights {
  readonly family: "conv";
  readonly groups: number;
  readonly inputChannels: number;
  readonly outputChannels: number;
  readonly epilogue: Expression | undefined;
  readonly epilogueOperands: number;
}

/** As conv with groups = channels; weights [C*m, 1, kh, kw] with m = outputChannels / inputChannels. */
export interface DepthwiseProblem extends Window {
  readonly family: "depthwise";
  readonly inputChannels: number;
  readonly outputChannels: number;
  readonly storage: PlainStorage;
  readonly epilogue: Expression | undefined;
  readonly epilogueOperands: number;
}

/**
 * Operands as conv; weights [C, O/groups, kh, kw], in blocks along C only without groups. The window describes the transposed
 * convolution's own attributes.
 */
export interface ConvTransposeProblem extends Window, StoredWeights {
  readonly family: "conv-transpose";
  readonly groups: number;
  readonly inputChannels: number;
  readonly outputChannels: number;
  readonly epilogue: Expression | undefined;
  readonly epilogueOperands: number;
}

/**
 * C[b, m, n] = sum over k of A[b, m, k] * B[b, k, n]. Operands: 0 A [batch…, M, K]; 1 B; 2 bias [N] constant or absent; 3… epilogue operands [batch…, M, N].
 * B is a constant [K, N] ([N, K] when transposeB) shared by all batches, packed at compile time; or, when `dynamicB`, an activation
 * already in panels [batch or 1, ceil(N/8), K, 8] of float32, its last panel padded with zeros.
 */
export interface MatmulProblem extends StoredWeights {
  readonly family: "matmul";
  readonly batch: Dim;
  readonly rows: Dim;
  readonly inner: Dim;
  readonly columns: Dim;
  readonly dynamicB: boolean;
  /** Whether every batch has its own B (only when dynamicB). */
  readonly batchedB: boolean;
  readonly transposeB: boolean;
  readonly epilogue: Expression | undefined;
  readonly epilogueOperands: number;
}

/** What integer products have in common. The accumulator is int32: bias + the sum of input * weight, both as they are stored. */
interface IntegerProduct {
  readonly inputType: "int8" | "uint8";
  /** 7: every value of the input is in 0..127, so that a relaxed dot is exact. */
  readonly inputBits: 7 | 8;
  /** Over the accumulator (int32) as input 0 and the operands, to the output's type; undefined: the output is the accumulator. */
  readonly epilogue: Expression | undefined;
  readonly operandTypes: readonly ("float32" | "int32" | "int8" | "uint8")[];
  readonly outputType: "float32" | "int32" | "int8" | "uint8";
}

/**
 * Operands: 0 input [N,H,W,C]; 1 weights int8 [O, C/groups, kh, kw] constant; 2 bias int32 [O] constant or absent;
 * 3… epilogue operands, of the output's shape or broadcast along leading axes (scales per channel are one).
 */
export interface IntegerConvProblem extends Window, IntegerProduct {
  readonly family: "conv-i8";
  readonly groups: number;
  readonly inputChannels: number;
  readonly outputChannels: number;
  /** What stands outside the image: the zero point of the input. */
  readonly padValue: number;
}

/** As conv-i8 with groups = channels; weights int8 [C*m, 1, kh, kw]. */
export interface IntegerDepthwiseProblem extends Window, IntegerProduct {
  readonly family: "depthwise-i8";
  readonly inputChannels: number;
  readonly outputChannels: number;
  readonly padValue: number;
}

/** Operands: 0 A [batch…, M, K]; 1 B int8 [K, N] ([N, K] when transposeB) constant; 2 bias int32 [N] constant or absent; 3… epilogue operands. */
export interface IntegerMatmulProblem extends IntegerProduct {
  readonly family: "matmul-i8";
  readonly batch: Dim;
  readonly rows: Dim;
  readonly inner: Dim;
  readonly columns: Dim;
  readonly transposeB: boolean;
}

/** Operand 0 [N,H,W,C]. Windows are clipped at the borders: padding never contributes a value. */
export interface PoolProblem extends Window {
  readonly family: "pool";
  /** Of input and output; integers have mode max alone and no epilogue. */
  readonly dtype: "float32" | "int8" | "uint8";
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

/**
 * Operand 0: float32 elements. Outputs: them as uint8, scale (float32 []) and zero point (uint8 []) by the definition of
 * ONNX DynamicQuantizeLinear: the scale is the span of the elements and 0 over 255, 1 where that is nothing.
 */
export interface DynamicQuantizeProblem {
  readonly family: "dynamic-quantize";
  readonly elements: Dim;
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

/** Order of axes: batch, head, sequence (tokens), features. */
export type AttentionLayout = "BHSD" | "BSHD" | "BHDS";

/**
 * softmax(softcap(scale * Q K^T) + mask) V for each of batch * heads; head h reads key-value head h / (heads / keyHeads).
 * Operands: 0 Q [B,H,M,D], 1 K [B,Hkv,T,D], 2 V [B,Hkv,T,Dv] (axes in the order of their layouts, BHDS for keys only),
 * 3 additive mask that broadcasts to [B,H,M,T] or absent, 4 valid keys per batch (int32 [B]) or absent (all).
 * Key t is hidden from query m when t >= length, when `causal` and t > m + length - M, or when `window` and
 * t <= m + length - M - window. A query without visible keys, or with scores of -Infinity only, gives zeros.
 */
export interface AttentionProblem {
  readonly family: "attention";
  readonly queryLayout: AttentionLayout;
  readonly keyLayout: AttentionLayout;
  readonly valueLayout: AttentionLayout;
  readonly outputLayout: AttentionLayout;
  readonly batch: Dim;
  readonly heads: number;
  readonly keyHeads: number;
  readonly queries: Dim;
  readonly keys: Dim;
  readonly depth: number;
  readonly valueDepth: number;
  readonly scale: number;
  readonly causal: boolean;
  readonly window: number | undefined;
  readonly softcap: number | undefined;
}

export type RecurrentCell = "lstm" | "gru" | "rnn";
export type RecurrentOutput = "Y" | "Y_h" | "Y_c";

/**
 * Recurrent layers by the equations of the ONNX operators, D directions (forward first). Operands: 0 x [T, B, I]; 1 W
 * [D*G*H, I]; 2 R [D*G*H, H]; 3 biases [D, 2*G*H] or absent; 4 lengths int32 [B] or absent (T for all); 5, 6 initial h and
 * c [D, B, H] or absent; 7 peepholes [D, 3*H] (i o f) or absent. W, R, biases and peepholes are constants. `projected`: W is
 * absent and x is [T, B, D * ceil(H/4) * G * 4], already multiplied by it, with every bias that is summed to it; units stand
 * in blocks of four, gate by gate in ONNX order inside a block, zeros behind the last unit. Outputs, those named in `outputs`:
 * Y [T, D, B, H] (zeros behind the end of a sequence), Y_h and Y_c [D, B, H], the state at its end. `batchFirst` puts B
 * in front of all.
 */
export interface RecurrentProblem {
  readonly family: "recurrent";
  readonly cell: RecurrentCell;
  readonly direction: "forward" | "reverse" | "bidirectional";
  readonly time: Dim;
  readonly batch: Dim;
  readonly inputSize: number;
  readonly hiddenSize: number;
  readonly projected: boolean;
  readonly batchFirst: boolean;
  /** f, g and h of the equations, over input 0; the same for both directions. */
  readonly activations: readonly Expression[];
  /** What goes into f and g is bounded by this magnitude; the cell on its way into h is not, as in onnxruntime. */
  readonly clip: number | undefined;
  readonly inputForget: boolean;
  readonly linearBeforeReset: boolean;
  readonly peepholes: boolean;
  readonly outputs: readonly RecurrentOutput[];
  /** Of W and R. */
  readonly inputWeights: StoredWeights;
  readonly stateWeights: StoredWeights;
}

export type Problem =
  | AttentionProblem
  | ConvProblem
  | DepthwiseProblem
  | DynamicQuantizeProblem
  | ConvTransposeProblem
  | IntegerConvProblem
  | IntegerDepthwiseProblem
  | MatmulProblem
  | IntegerMatmulProblem
  | PoolProblem
  | ReduceProblem
  | SoftmaxProblem
  | NormProblem
  | RecurrentProblem;
