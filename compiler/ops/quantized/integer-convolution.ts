/** ConvInteger and QLinearConv in their ONNX form, by the nest of their definition. Passes turn those with constant weights into leafcutter.IntegerConv. */

import type { DType } from "../../../runtime/format/dtype.ts";
import { binary, constant, type Expression, input } from "../../../runtime/format/expression.ts";
import { convInteger, qlinearConv } from "../../../runtime/reference/integer-product.ts";
import { quantizedTypeOf } from "../../../runtime/reference/quantized-type.ts";
import { fixed } from "../../loop/loop.ts";
import { convolutionAccess, convolutionGeometry, convolutionShape } from "../contraction/convolution.ts";
import { guardedLoad } from "../contraction/integer-expression.ts";
import { firstOutput, inputOperand, stepsOf } from "../contraction/operands.ts";
import { exactTolerance, type Lowering, type Operator, type OperatorContext } from "../operator.ts";
import { type BoundParameters, bindParameters, type Parameter } from "./parameters.ts";
import { centred, requantized } from "./quantize-expression.ts";

/** Which inputs of a node are what. */
interface Roles {
  readonly data: number;
  readonly weights: number;
  readonly dataZero: number;
  readonly weightZero: number;
  readonly bias?: number;
}

/** The node as a convolution of inputs 0 and 1 with bias 2. */
function asConvolution(context: OperatorContext, { data, weights, bias }: Roles): OperatorContext {
  const order = bias === undefined ? [data, weights] : [data, weights, bias];
  return {
    ...context,
    type: (index) => context.type(order[index] ?? index),
    has: (index) => context.has(order[index] ?? context.node.inputs.length),
  };
}

const inferShape = (context: OperatorContext, roles: Roles) => {
  for (const index of [roles.data, roles.weights]) {
    const { dtype } = context.type(index);
    if (dtype !== "int8" && dtype !== "uint8")
      context.fail(`input ${index} is not of 8-bit integers`, "int8 or uint8", dtype);
  }
  return convolutionShape(convolutionGeometry(asConvolution(context, roles)));
};

/** `others`: further inputs that the finish reads, one value or one for each filter. */
function lower(
  context: OperatorContext,
  roles: Roles,
  others: readonly number[],
  dtype: DType,
  finish: (sum: Expression, parameters: BoundParameters) => Expression | undefined,
): Lowering {
  const access = convolutionAccess(convolutionGeometry(asConvolution(context, roles)));
  const parameter = (index: number): Parameter => {
    const scalar = !context.has(index) || context.type(index).shape.every((extent) => extent === 1);
    const rank = context.has(index) ? context.type(index).shape.length : 0;
    return { index, access: scalar ? new Array(rank).fill(fixed(0)) : [access.filter] };
  };
  const parameters = bindParameters(context, 2, [roles.dataZero, roles.weightZero, ...others].map(parameter));
  const zero = parameters.inBody(roles.dataZero);
  const value = guardedLoad(0, access.data, zero ?? constant(0, context.type(roles.data).dtype));
  const weight = centred(input(1), parameters.inBody(roles.weightZero));
  const finished = finish(input(0), parameters);
  return stepsOf({
    kind: "nest",
    nest: {
      extents: access.extents,
      reductions: access.reductions,
      operands: [
        { dtype: context.type(roles.data).dtype, access: "indexed" },
        { dtype: context.type(roles.weights).dtype, access: access.weights },
        ...parameters.loopOperands,
      ],
      parameters: access.parameters,
      body: binary("multiply", centred(value, zero), weight),
      combine: "add",
      ...(finished ? { finish: finished } : {}),
      output: { dtype, access: access.output },
    },
    operands: [inputOperand(roles.data), inputOperand(roles.weights), ...parameters.stepOperands],
    output: firstOutput,
  });
}

const integerRoles: Roles = { data: 0, weights: 1, dataZero: 2, weightZero: 3 };

const convIntegerOperator: Operator = {
  op: "ConvInteger",
  infer: (context) => [{ dtype: "int32", shape: inferShape(context, integerRoles) }],
  reference: convInteger,
  lower: (context) => lower(context, integerRoles, [], "int32", () => undefined),
  tolerance: exactTolerance,
};

const quantizedRoles: Roles = { data: 0, weights: 3, dataZero: 2, weightZero: 5, bias: 8 };

const qlinearConvOperator: Operator = {
  op: "QLinearConv",
  infer: (context) => [{ dtype: context.type(7).dtype, shape: inferShape(context, quantizedRoles) }],
  reference: qlinearConv,
  lower: (context) => {
    const { dtype } = context.type(7);
    const target =
      quantizedTypeOf(dtype) ?? context.fail("cannot quantise to this element type", "int8 or uint8", dtype);
    return lower(context, quantizedRoles, [1, 4, 6, 7, 8], dtype, (sum, { inFinish }) => {
      const bias = inFinish(8);
      const total = bias ? binary("add", sum, bias) : sum;
      return requantized(total, [inFinish(1)!, inFinish(4)!], inFinish(6)!, inFinish(7), target);
    });
  },
  tolerance: exactTolerance,
};

export const integerConvolutionOperators: readonly Operator[] = [convIntegerOperator, qlinearConvOperator];
