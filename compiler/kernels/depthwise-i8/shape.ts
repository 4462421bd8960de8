/** What the code of an integer depthwise convolution depends on. */
import type { DType } from "../../../runtime/format/dtype.ts";
import type { Expression } from "../../../runtime/format/expression.ts";
import type { Local } from "../../assemble/expression.ts";

/** How an epilogue operand follows the output: one value, one per channel or per pixel, or element by element. */
export interface PixelOperand {
  readonly dtype: DType;
  readonly kind: "tensor" | "channel" | "pixel" | "element";
}

/** Where the current row of the output and of the operands begins. */
export interface PixelPlace {
  readonly output: Local<"i32">;
  readonly operands: readonly Local<"i32">[];
}

export interface IntegerDepthwiseShape {
  readonly layout: "panels" | "plain";
  readonly pixels: number;
  /** Kernel row, when its taps are written out. */
  readonly row: { readonly taps: number; readonly stride: number; readonly dilation: number } | undefined;
  /** Whether the kernel has two rows or more, and whether their number is odd. */
  readonly hasPairs: boolean;
  readonly hasOddRow: boolean;
  readonly multiplier: number;
  readonly inputType: "int8" | "uint8";
  readonly outputType: DType;
  readonly epilogue: Expression | undefined;
  readonly operands: readonly PixelOperand[];
  readonly names: readonly string[];
}
