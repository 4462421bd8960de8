/** Shape and Size: integers that are known as soon as dims are bound. */
import {
  axis,
  binary,
  cast,
  constant,
  type Expression,
  parameter,
  select,
} from "../../../runtime/format/expression.ts";
import * as reference from "../../../runtime/reference/reshape.ts";
import { integerOf } from "../../graph/attribute.ts";
import { type Dim, productOf } from "../../graph/dimension.ts";
import type { TensorType } from "../../graph/graph.ts";
import { defineOperator, exactTolerance, type Lowering, type OperatorContext } from "../operator.ts";
import { nestOver, nestStep, steps } from "./copy.ts";

/** Writes known integers, symbolic ones included, into a rank-0 or rank-1 int64 tensor. */
function writeDims(type: TensorType, dims: readonly Dim[]): Lowering {
  const last = dims.length - 1;
  const pick = (index: number): Expression =>
    index >= last
      ? parameter(Math.max(index, 0))
      : select(binary("equal", axis(0), constant(index, "int32")), parameter(index), pick(index + 1));
  const parameters = dims.length > 0 ? dims : [0];
  return steps(nestStep(nestOver(type, [], cast("int64", pick(0)), parameters), []));
}

function extentsOf(context: OperatorContext): readonly Dim[] {
  const { shape } = context.type(0);
  return shape.slice(integerOf(context.node, "start", 0), integerOf(context.node, "end", shape.length));
}

export const shape = defineOperator({
  op: "Shape",
  infer: (context) => [{ dtype: "int64", shape: [extentsOf(context).length] }],
  elements: extentsOf,
  reference: reference.shape,
  lower: (context) => writeDims({ dtype: "int64", shape: [extentsOf(context).length] }, extentsOf(context)),
  tolerance: exactTolerance,
});

const count = (context: OperatorContext): Dim => productOf(context.type(0).shape);

export const size = defineOperator({
  op: "Size",
  infer: () => [{ dtype: "int64", shape: [] }],
  elements: (context) => [count(context)],
  reference: reference.size,
  lower: (context) => writeDims({ dtype: "int64", shape: [] }, [count(context)]),
  tolerance: exactTolerance,
});
