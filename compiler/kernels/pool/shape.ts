/** What the code of a pool depends on, and what its parts hand to each other. */
import type { Expression } from "../../../runtime/format/expression.ts";
import type { Local } from "../../assemble/expression.ts";

/** The window along one axis. */
export interface PoolAxis {
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly pad: number;
}

export interface PoolShape {
  readonly dtype: "float32" | "int8" | "uint8";
  readonly mode: "max" | "average" | "lp";
  readonly countIncludePad: boolean;
  /** The exponent of mode lp. */
  readonly norm: number;
  readonly epilogue: Expression | undefined;
  readonly vertical: PoolAxis;
  readonly horizontal: PoolAxis;
}

export const poolWords = [
  "input",
  "output",
  "channels",
  "height",
  "width",
  "outputHeight",
  "outputWidth",
  "inputImage",
  "inputRow",
  "inputPixel",
  "outputImage",
  "outputRow",
  "outputPixel",
  "countedHeight",
  "countedWidth",
] as const;

export type PoolArguments = { readonly [K in (typeof poolWords)[number]]: Local<"i32"> };

/** The part of a window inside the input: taps first..first+count-1, the first at coordinate `start`. */
export interface Clip {
  readonly start: Local<"i32">;
  readonly count: Local<"i32">;
  /** Taps that count for an average. */
  readonly counted: Local<"i32">;
}
