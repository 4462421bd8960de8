/** Shapes of matrix products with numpy broadcasting, and the nest that computes any of them by definition. */
import { binary, type Expression, input } from "../../../runtime/format/expression.ts";
import { type Dim, sameDim } from "../../graph/dimension.ts";
import { type AffineIndex, along, broadcastAccess, fixed, type LoopNest } from "../../loop/loop.ts";
import type { OperatorContext } from "../operator.ts";
import { replaceInputs } from "./operands.ts";

/** The extent two dims broadcast to; a symbol meets 1 or itself. */
export function broadcastDims(context: OperatorContext, left: Dim, right: Dim): Dim {
  if (left === 1 || sameDim(left, right)) return right;
  if (right === 1) return left;
  if (typeof left === "number" && typeof right === "number")
    context.fail("shapes do not broadcast", String(left), String(right));
  // One side is symbolic: the number, if any, is what the symbol must be.
  return typeof left === "number" ? left : right;
}

export function broadcastShape(context: OperatorContext, left: readonly Dim[], right: readonly Dim[]): readonly Dim[] {
  const rank = Math.max(left.length, right.length);
  return Array.from({ length: rank }, (_, axis) =>
    broadcastDims(context, left[axis - rank + left.length] ?? 1, right[axis - rank + right.length] ?? 1),
  );
}

/** A product of A [batch…, M, K] and B [batch…, K, N] after one-dimensional operands have gained an axis. */
export interface Product {
  readonly batch: readonly Dim[];
  readonly rows: Dim;
  readonly inner: Dim;
  readonly columns: Dim;
  readonly leftBatch: readonly Dim[];
  readonly rightBatch: readonly Dim[];
  /** Whether A or B is a vector, whose axis the result does not have. */
  readonly leftVector: boolean;
  readonly rightVector: boolean;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

export function productOfInputs(context: OperatorContext, transposeA: boolean, transposeB: boolean): Product {
  const [a, b] = [context.type(0), context.type(1)];
  if (a.dtype !== b.dtype) context.fail("the operands have different types", a.dtype, b.dtype);
  return productOfShapes(context, a.shape, b.shape, transposeA, transposeB);
}

export function productOfShapes(
  context: OperatorContext,
  a: readonly Dim[],
  b: readonly Dim[],
  transposeA: boolean,
  transposeB: boolean,
): Product {
  if (a.length === 0 || b.length === 0) context.fail("an operand is a scalar", "rank 1 or more", "rank 0");
  const [leftVector, rightVector] = [a.length === 1, b.length === 1];
  const left = leftVector ? [1, ...a] : a;
  const right = rightVector ? [...b, 1] : b;
  const [leftRows = 1, leftColumns = 1] = left.slice(-2);
  const [rightRows = 1, rightColumns = 1] = right.slice(-2);
  const [rows, inner] = transposeA ? [leftColumns, leftRows] : [leftRows, leftColumns];
  const [depth, columns] = transposeB ? [rightColumns, rightRows] : [rightRows, rightColumns];
  if (typeof inner === "number" && typeof depth === "number" && inner !== depth)
    context.fail("the inner extents differ", String(inner), String(depth));
  const [leftBatch, rightBatch] = [left.slice(0, -2), right.slice(0, -2)];
  const batch = broadcastShape(context, leftBatch, rightBatch);
  return { batch, rows, inner, columns, leftBatch, rightBatch, leftVector, rightVector, transposeA, transposeB };
}

export const productShape = ({ batch, rows, columns, leftVector, rightVector }: Product): readonly Dim[] => [
  ...batch,
  ...(leftVector ? [] : [rows]),
  ...(rightVector ? [] : [columns]),
];

/** Coordinates of what a product's nest reads; iteration axes: batch…, row, column, then the reduced inner one. */
export interface ProductAccess {
  readonly extents: readonly Dim[];
  readonly left: readonly AffineIndex[];
  readonly right: readonly AffineIndex[];
  readonly result: readonly AffineIndex[];
  /** Coordinates of an operand of shape `shape` that broadcasts to the result. */
  broadcast(shape: readonly Dim[]): readonly AffineIndex[];
}

export function productAccess(product: Product): ProductAccess {
  const rank = product.batch.length;
  const [row, column, inner] = [along(rank), along(rank + 1), along(rank + 2)];
  const order = (first: AffineIndex, second: AffineIndex, swap: boolean): AffineIndex[] =>
    swap ? [second, first] : [first, second];
  const left = product.leftVector ? [inner] : order(row, inner, product.transposeA);
  const right = product.rightVector ? [inner] : order(inner, column, product.transposeB);
  const result = [
    ...product.batch.map((_, axis) => along(axis)),
    ...(product.leftVector ? [] : [row]),
    ...(product.rightVector ? [] : [column]),
  ];
  return {
    extents: [...product.batch, product.rows, product.columns, product.inner],
    left: [...broadcastAccess(product.leftBatch, rank), ...left],
    right: [...broadcastAccess(product.rightBatch, rank), ...right],
    result,
    broadcast: (shape) =>
      shape.map((extent, axis) => (extent === 1 ? fixed(0) : result[axis + result.length - shape.length]!)),
  };
}

/**
 * The nest of a product of inputs 0 and 1. `addends` are further operands, broadcast to the result; `finish` sees the
 * sum as input 0 and addend k as input k + 1.
 */
export function productNest(
  context: OperatorContext,
  product: Product,
  addends: readonly number[],
  finish: Expression | undefined,
): LoopNest {
  const { dtype } = context.type(0);
  const access = productAccess(product);
  return {
    extents: access.extents,
    reductions: 1,
    operands: [
      { dtype, access: access.left },
      { dtype, access: access.right },
      ...addends.map((index) => ({
        dtype: context.type(index).dtype,
        access: access.broadcast(context.type(index).shape),
      })),
    ],
    parameters: [],
    body: binary("multiply", input(0), input(1)),
    combine: "add",
    // The nest's operands 0 and 1 stand before the addends: its input k + 1 is operand k.
    ...(finish ? { finish: replaceInputs(finish, (index) => input(index === 0 ? 0 : index + 2)) } : {}),
    output: { dtype, access: access.result },
  };
}
