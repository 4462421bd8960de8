/** Attributes of a host step as JSON: what a reference function needs besides its tensors. */
import type { DType } from "./dtype.ts";
import type { Expression } from "./expression.ts";

export type ReferenceAttributeData =
  | number
  | string
  | readonly number[]
  | readonly string[]
  | Expression
  /** A tensor: its bytes in base64, little-endian, row-major. */
  | { readonly kind: "tensor"; readonly dtype: DType; readonly shape: readonly number[]; readonly data: string };
