/** Permutations of axes as Transpose means them: axis i of the result is axis p[i] of the operand. */
import { integersAttribute, integersOf } from "../graph/attribute.ts";
import { type Dim, sameDim } from "../graph/dimension.ts";
import type { Node, Value } from "../graph/graph.ts";
import type { RewriteContext } from "../graph/rewrite.ts";

export type Permutation = readonly number[];

/** The permutation of a Transpose node (the default reverses the axes). */
export function permutationOf(node: Node): Permutation {
  const rank = node.inputs[0]?.type.shape.length ?? 0;
  const given = integersOf(node, "perm");
  return given && given.length > 0
    ? given.map((axis) => (axis < 0 ? axis + rank : axis))
    : Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
}

export function inverseOf(permutation: Permutation): Permutation {
  const inverse = new Array<number>(permutation.length);
  for (const [index, axis] of permutation.entries()) inverse[axis] = index;
  return inverse;
}

/** First `first`, then `second`. */
export const composed = (first: Permutation, second: Permutation): Permutation =>
  second.map((axis) => first[axis] as number);

export const isIdentity = (permutation: Permutation): boolean => permutation.every((axis, index) => axis === index);

export const samePermutation = (left: Permutation, right: Permutation): boolean => left.join() === right.join();

/** Whether only axes of extent 1 move past others, so that the bytes stay where they are. */
export function keepsBytes(permutation: Permutation, shape: readonly Dim[]): boolean {
  const moving = permutation.filter((axis) => !sameDim(shape[axis] as Dim, 1));
  return moving.every((axis, index) => index === 0 || (moving[index - 1] as number) < axis);
}

/** [0, 2, 3, 1] and its like: channels to the end. */
export const toChannelsLast = (rank: number): Permutation => [
  0,
  ...Array.from({ length: rank - 2 }, (_, axis) => axis + 2),
  1,
];

/** [0, 3, 1, 2] and its like. */
export const toChannelsFirst = (rank: number): Permutation => inverseOf(toChannelsLast(rank));

/** A Transpose, or the value itself where nothing moves. */
export function transpose(context: RewriteContext, value: Value, permutation: Permutation, name: string): Value {
  return isIdentity(permutation)
    ? value
    : context.emit("Transpose", [value], { perm: integersAttribute(permutation) }, { name, version: 21 });
}

/** The Transpose behind a value. */
export interface Transposed {
  readonly value: Value;
  readonly permutation: Permutation;
}

export function transposedSource(value: Value | undefined, context: RewriteContext): Transposed | undefined {
  const node = value && context.producer(value);
  const operand = node?.op === "Transpose" ? node.inputs[0] : undefined;
  return node && operand ? { value: operand, permutation: permutationOf(node) } : undefined;
}

/** What takes the place of the visited node's result: that of the operator on the untransposed operand, transposed afterwards. */
export const restore = (context: RewriteContext, node: Node, value: Value, permutation: Permutation): Value =>
  transpose(context, value, permutation, `${node.name}/transpose`);
