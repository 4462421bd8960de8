/** Attributes of a host step as JSON: what a reference function needs besides its tensors. */
import type { DType } from "./dtype.ts";
import type { Expression } from "./expression.ts";

export type ReferenceAttributeData =
  | number
  | string
  | readonly number[]
  | readonly string[]
  | Expression
  /** Infinity, -Infinity or NaN, also inside lists and expressions: JSON has no such numbers. */
  | { readonly kind: "number"; readonly text: string }
  /** A tensor: its bytes in base64, little-endian, row-major. */
  | { readonly kind: "tensor"; readonly dtype: DType; readonly shape: readonly number[]; readonly data: string };
