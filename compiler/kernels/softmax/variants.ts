/** Schedules of the softmax family. */
import type { Variant } from "../contract.ts";

export interface SoftmaxVariant extends Variant {
  /** "length": four elements of a contiguous row side by side; "inner": four neighbouring rows side by side. */
  readonly vectorised: "length" | "inner";
}

export const softmaxVariants: readonly SoftmaxVariant[] = [
  { name: "rows", vectorised: "length" },
  { name: "columns", vectorised: "inner" },
];
