/** TensorScatter, which writes new keys and values into a cache: a copy, then a nest that stores the update where the batch's position says. */
import {
  axis as axisIndex,
  binary,
  cast,
  constant,
  type Expression,
  input,
} from "../../../runtime/format/expression.ts";
import { tensorScatter as reference } from "../../../runtime/reference/tensor-scatter.ts";
import { integerOf, stringOf } from "../../graph/attribute.ts";
import type { Dim } from "../../graph/dimension.ts";
import { along, identityAccess } from "../../loop/loop.ts";
import { Parameters } from "../contraction/integer-expression.ts";
import { defineOperator, exactTolerance, type OperatorContext } from "../operator.ts";
import { axisOf, copyNest, inputOperand, nestStep, steps } from "./copy.ts";
import { checkIndexType, clampIndex, lastOf } from "./index-expression.ts";

const scatterAxis = (context: OperatorContext): number =>
  axisOf(context, integerOf(context.node, "axis", -2), context.type(0).shape.length);

export const tensorScatter = defineOperator({
  op: "TensorScatter",
  infer: (context) => {
    const [cache, update] = [context.type(0), context.type(1)];
    if (scatterAxis(context) === 0) context.fail("the axis is that of the batch", "another axis", "0");
    if (update.shape.length !== cache.shape.length || update.dtype !== cache.dtype)
      context.fail("the update is not like the cache", `${cache.dtype}, rank ${cache.shape.length}`, update.dtype);
    if (context.has(2)) checkIndexType(context, 2);
    return [cache];
  },
  reference,
  lower: (context) => {
    const { dtype, shape } = context.type(0);
    const update = context.type(1);
    const axis = scatterAxis(context);
    const parameters = new Parameters();
    const extent = parameters.of(shape[axis] as Dim);
    const start: Expression = context.has(2) ? cast("int32", input(1)) : constant(0, "int32");
    const position = binary("add", start, axisIndex(axis));
    const wrapped =
      stringOf(context.node, "mode", "linear") === "circular"
        ? binary("modulo", position, extent)
        : clampIndex(position, constant(0, "int32"), lastOf(extent));
    const store = nestStep(
      {
        extents: update.shape,
        reductions: 0,
        operands: [
          { dtype, access: identityAccess(shape.length) },
          ...(context.has(2) ? [{ dtype: context.type(2).dtype, access: [along(0)] }] : []),
        ],
        parameters: parameters.values,
        body: input(0),
        output: { dtype, access: { computed: shape.map((_, at) => (at === axis ? wrapped : axisIndex(at))) } },
      },
      [inputOperand(1), ...(context.has(2) ? [inputOperand(2)] : [])],
    );
    return steps(nestStep(copyNest(dtype, shape, identityAccess(shape.length))), store);
  },
  tolerance: exactTolerance,
});
