/**
 * The shape of a reference function: what an operator means, as plain loops over dense typed arrays.
 * Used for constant folding, as the test oracle and as a host step in the runtime.
 */
import type { Expression } from "../format/expression.ts";
import type { Tensor } from "../format/tensor.ts";

/** An operator's attributes as plain data. */
export type ReferenceAttribute = number | string | readonly number[] | readonly string[] | Tensor | Expression;

export interface ReferenceCall {
  /** Absent optional inputs are undefined. */
  readonly inputs: readonly (Tensor | undefined)[];
  readonly attributes: Readonly<Record<string, ReferenceAttribute>>;
  /** Version of the operator set that attributes and inputs follow. */
  readonly version: number;
  /** How many outputs the node has. */
  readonly outputCount: number;
}

export type Reference = (call: ReferenceCall) => readonly Tensor[];
