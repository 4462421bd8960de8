/** GatherElements and GatherND: elements and blocks at indices given as data, each index wrapped and clamped to its axis. */
import { axis as axisIndex, constant, type Expression, load } from "../../../runtime/format/expression.ts";
import * as reference from "../../../runtime/reference/gather.ts";
import { integerOf } from "../../graph/attribute.ts";
import type { Dim } from "../../graph/dimension.ts";
import { identityAccess } from "../../loop/loop.ts";
import { Parameters } from "../contraction/integer-expression.ts";
import { defineOperator, exactTolerance, type OperatorContext } from "../operator.ts";
import { axisOf, inputOperand, isAtLeast, nestOver, nestStep, numberOfDim, only, steps } from "./copy.ts";
import { checkIndexType, clampIndex, lastOf, wrapExpression, wrapIndex } from "./index-expression.ts";

/** The coordinate `axis` of the iteration inside an axis of `extent`, which may be shorter than `iterated` as far as is known. */
export function insideAxis(axis: number, extent: Dim, iterated: Dim, parameters: Parameters): Expression {
  const index = axisIndex(axis);
  return isAtLeast(extent, iterated) ? index : clampIndex(index, constant(0, "int32"), lastOf(parameters.of(extent)));
}

/** Fails unless the index tensor has the rank of the data and is nowhere longer, but along `axis`. */
export function checkElementIndices(context: OperatorContext, axis: number): void {
  const [{ shape }, indices] = [context.type(0), context.type(1)];
  checkIndexType(context, 1);
  if (indices.shape.length !== shape.length)
    context.fail("indices and data have different ranks", `rank ${shape.length}`, `rank ${indices.shape.length}`);
  indices.shape.forEach((extent, i) => {
    const own = shape[i] as Dim;
    if (i !== axis && typeof extent === "number" && typeof own === "number" && extent > own)
      context.fail(`the indices are longer than the data along axis ${i}`, `at most ${own}`, String(extent));
  });
}

export const gatherElements = defineOperator({
  op: "GatherElements",
  infer: (context) => {
    checkElementIndices(context, axisOf(context, integerOf(context.node, "axis", 0), context.type(0).shape.length));
    return [{ dtype: context.type(0).dtype, shape: context.type(1).shape }];
  },
  reference: reference.gatherElements,
  lower: (context) => {
    const [data, indices] = [context.type(0), context.type(1)];
    const rank = data.shape.length;
    const axis = axisOf(context, integerOf(context.node, "axis", 0), rank);
    const parameters = new Parameters();
    const at = data.shape.map((extent, i) =>
      i === axis
        ? wrapIndex(1, indices.dtype, parameters.of(extent))
        : insideAxis(i, extent, indices.shape[i] as Dim, parameters),
    );
    const operands = [
      { dtype: data.dtype, access: "indexed" as const },
      { dtype: indices.dtype, access: identityAccess(rank) },
    ];
    const nest = nestOver({ dtype: data.dtype, shape: indices.shape }, operands, load(0, at), parameters.values);
    return steps(nestStep(nest, [inputOperand(0), inputOperand(1)]));
  },
  tolerance: exactTolerance,
});

/** How many leading axes of the data an index row names; known from the shape of the indices. */
export function rowLength(context: OperatorContext): number {
  const { shape } = context.type(1);
  if (shape.length === 0) context.fail("the indices are a scalar", "rank 1 or more", "rank 0");
  return numberOfDim(context, "the length of an index row", shape.at(-1));
}

/** Coordinates named by the index row at the current point, the row's own axes being `row`. */
export function rowCoordinates(
  context: OperatorContext,
  operand: number,
  row: readonly Expression[],
  extents: readonly Dim[],
  parameters: Parameters,
): readonly Expression[] {
  const { dtype } = context.type(1);
  return extents.map((extent, i) =>
    wrapExpression(load(operand, [...row, constant(i, "int32")]), dtype, parameters.of(extent)),
  );
}

export const gatherND = defineOperator({
  op: "GatherND",
  infer: (context) => {
    const [data, indices] = [context.type(0), context.type(1)];
    checkIndexType(context, 1);
    const length = rowLength(context);
    const batch = integerOf(context.node, "batch_dims", 0);
    if (batch + length > data.shape.length)
      context.fail(
        "an index row is longer than the data's rank",
        `at most ${data.shape.length - batch}`,
        String(length),
      );
    return [{ dtype: data.dtype, shape: [...indices.shape.slice(0, -1), ...data.shape.slice(batch + length)] }];
  },
  reference: reference.gatherND,
  lower: (context) => {
    const [data, indices] = [context.type(0), context.type(1)];
    const type = only(gatherND.infer(context));
    const length = rowLength(context);
    const batch = integerOf(context.node, "batch_dims", 0);
    const rows = indices.shape.length - 1;
    const parameters = new Parameters();
    const row = Array.from({ length: rows }, (_, i) => axisIndex(i));
    const leading = Array.from({ length: batch }, (_, i) =>
      insideAxis(i, data.shape[i] as Dim, indices.shape[i] as Dim, parameters),
    );
    const named = rowCoordinates(context, 1, row, data.shape.slice(batch, batch + length), parameters);
    const inner = data.shape.slice(batch + length).map((_, i) => axisIndex(rows + i));
    const operands = [
      { dtype: data.dtype, access: "indexed" as const },
      { dtype: indices.dtype, access: "indexed" as const },
    ];
    const nest = nestOver(type, operands, load(0, [...leading, ...named, ...inner]), parameters.values);
    return steps(nestStep(nest, [inputOperand(0), inputOperand(1)]));
  },
  tolerance: exactTolerance,
});
