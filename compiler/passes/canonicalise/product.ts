/**
 * Gemm and MatMul as leafcutter.MatMul: alpha and beta folded into constants, transA as a Transpose, vectors as
 * matrices. A bias that is a constant row joins the product; any other addend stays an Add, for epilogue fusion.
 */
import { type Tensor, tensorOf } from "../../../runtime/format/tensor.ts";
import { floatOf, integerAttribute, integerOf, integersAttribute } from "../../graph/attribute.ts";
import { type Dim, sameDim, sameShape } from "../../graph/dimension.ts";
import type { Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import { permutationOf } from "../permutation.ts";
import { reshape } from "../reshape.ts";
import { reshapedStorage, scaledConstant } from "../storage.ts";
import { reshaped } from "../tensor-transform.ts";

export function canonicalProduct(node: Node, context: RewriteContext): Value | undefined {
  const [a, b, c] = node.inputs;
  if (!a || !b || a.type.dtype !== "float32" || (context.constant(a) && context.constant(b))) return undefined;
  return node.op === "Gemm" ? gemm(node, context, a, b, c) : product(node, context, a, b);
}

const swapped = (context: RewriteContext, value: Value, name: string): Value =>
  context.emit("Transpose", [value], { perm: integersAttribute([1, 0]) }, { name, version: 21 });

function scaled(context: RewriteContext, value: Value, tensor: Tensor, factor: number): Value {
  const stored = scaledConstant(tensor, value.type.storage, 0, () => factor);
  if (stored) return context.addConstant(value.name, stored.tensor, stored.storage);
  const data = (tensor.data as Float32Array).map((element) => element * factor);
  return context.addConstant(value.name, { ...tensor, data });
}

function gemm(node: Node, context: RewriteContext, a: Value, b: Value, c: Value | undefined): Value {
  const alpha = floatOf(node, "alpha", 1);
  const beta = floatOf(node, "beta", 1);
  const weights = context.constant(b);
  const transposeB = integerOf(node, "transB", 0) !== 0;
  const left = integerOf(node, "transA", 0) !== 0 ? swapped(context, a, `${node.name}/a`) : a;
  const right = weights && alpha !== 1 ? scaled(context, b, weights, alpha) : b;
  const columns = (node.outputs[0] as Value).type.shape[1] as Dim;
  const bias = c && (weights || alpha === 1) ? rowBias(context, c, beta, columns) : undefined;
  const attributes = transposeB ? { transposeB: integerAttribute(1) } : {};
  let result = context.emit("leafcutter.MatMul", [left, right, bias], attributes);
  if (!weights && alpha !== 1) result = times(context, result, alpha, node.name);
  if (!c || bias || beta === 0) return result;
  return context.emit("Add", [result, beta === 1 ? c : times(context, c, beta, node.name)], {}, { version: 14 });
}

function times(context: RewriteContext, value: Value, factor: number, name: string): Value {
  return context.emit(
    "Mul",
    [value, context.addConstant(`${name}/factor`, tensorOf("float32", [], [factor]))],
    {},
    { version: 14 },
  );
}

/** A constant [N], [1, N], [1] or scalar as a dense [N]. */
function rowBias(context: RewriteContext, c: Value, beta: number, columns: Dim): Value | undefined {
  const tensor = context.constant(c);
  if (!tensor || typeof columns !== "number" || beta === 0) return undefined;
  const isRow = tensor.data.length === columns && (tensor.shape.at(-1) === columns || columns === 1);
  if (!isRow && tensor.data.length !== 1) return undefined;
  if (isRow && beta === 1 && tensor.shape.length === 1) return c;
  const row = Array.from({ length: columns }, (_, index) => (tensor.data[isRow ? index : 0] as number) * beta);
  return context.addConstant(
    c.name,
    tensorOf("float32", [columns], row),
    isRow && beta === 1 ? c.type.storage : undefined,
  );
}

function product(node: Node, context: RewriteContext, a: Value, b: Value): Value {
  const output = node.outputs[0] as Value;
  const left = a.type.shape.length === 1 ? viewed(context, a, [1, a.type.shape[0] as Dim], `${node.name}/a`) : a;
  const column = b.type.shape.length === 1 ? viewed(context, b, [b.type.shape[0] as Dim, 1], `${node.name}/b`) : b;
  // A batch of one weight matrix is a weight matrix, unless it gives the result its rank.
  const single =
    context.constant(column) &&
    column.type.shape.length <= left.type.shape.length &&
    column.type.shape.slice(0, -2).every((dim) => sameDim(dim, 1));
  const right = single ? viewed(context, column, column.type.shape.slice(-2), `${node.name}/b`) : column;
  return reshape(context, context.emit("leafcutter.MatMul", [left, right]), output.type.shape);
}

/** A Transpose of the last two axes of the right operand is part of the product: panels are read in either order. */
export function absorbTranspose(node: Node, context: RewriteContext): Value | undefined {
  const [left, right, ...rest] = node.inputs;
  const producer = right && context.producer(right);
  if (producer?.op !== "Transpose") return undefined;
  const permutation = permutationOf(producer);
  const rank = permutation.length;
  const swapsLast = permutation.every((axis, index) => axis === (index < rank - 2 ? index : 2 * rank - 3 - index));
  if (!swapsLast) return undefined;
  const { transposeB: _, ...attributes } = node.attributes;
  const transposeB = integerOf(node, "transposeB", 0) === 0 ? { transposeB: integerAttribute(1) } : {};
  return context.emit(node.op, [left, producer.inputs[0], ...rest], { ...attributes, ...transposeB });
}

/** Another shape for a constant or a computed value. */
function viewed(context: RewriteContext, value: Value, shape: readonly Dim[], name: string): Value {
  const tensor = context.constant(value);
  if (!tensor || sameShape(value.type.shape, shape)) return reshape(context, value, shape, name);
  const extents = shape as readonly number[];
  const storage = reshapedStorage(value.type.storage, tensor.shape, extents);
  return context.addConstant(value.name, reshaped(tensor, extents), storage);
}
