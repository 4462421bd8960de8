/** Typed access to the inputs and attributes of a reference call. Errors are operator-invalid: import has checked the node before. */
import { LeafcutterError } from "../format/diagnostic.ts";
import type { Expression } from "../format/expression.ts";
import type { Tensor } from "../format/tensor.ts";
import type { ReferenceAttribute, ReferenceCall } from "./reference.ts";

export function refuse(message: string, expected?: string, received?: string): never {
  throw new LeafcutterError({
    code: "operator-invalid",
    message,
    ...(expected === undefined ? {} : { expected }),
    ...(received === undefined ? {} : { received }),
  });
}

/** A required input. */
export const inputOf = (call: ReferenceCall, index: number): Tensor =>
  call.inputs[index] ?? refuse(`input ${index} is missing`);

export function numberOf(call: ReferenceCall, name: string, fallback: number): number {
  const value = call.attributes[name] ?? fallback;
  return typeof value === "number" ? value : refuse(`attribute ${name} is not a number`);
}

export function textOf(call: ReferenceCall, name: string, fallback: string): string {
  const value = call.attributes[name] ?? fallback;
  return typeof value === "string" ? value : refuse(`attribute ${name} is not a string`);
}

export function listOf(call: ReferenceCall, name: string): readonly number[] | undefined {
  const value = call.attributes[name];
  if (value === undefined) return undefined;
  if (typeof value === "number") return [value];
  return Array.isArray(value) ? (value as readonly number[]) : refuse(`attribute ${name} is not a list`);
}

/** Integers that newer versions pass as input `index` and older ones as attribute `name`. */
export function integersOf(call: ReferenceCall, name: string, index: number): readonly number[] | undefined {
  const tensor = call.inputs[index];
  return tensor ? Array.from(tensor.data as ArrayLike<number | bigint>, Number) : listOf(call, name);
}

/** A possibly negative axis of a tensor of rank `rank`. */
export function axisOf(axis: number, rank: number): number {
  const positive = axis < 0 ? axis + rank : axis;
  return positive >= 0 && positive < Math.max(rank, 1)
    ? positive
    : refuse("axis is out of range", `-${rank}..${rank - 1}`, String(axis));
}

/** Whether an attribute is present and an expression. */
export const isExpression = (attribute: ReferenceAttribute | undefined): attribute is Expression =>
  typeof attribute === "object" && "kind" in attribute;
