/**
 * com.microsoft's operators on quantised tensors. Those of single elements and Concat have loops of their own; a pass turns the
 * others into operators on floats between DequantizeLinear and QuantizeLinear, and without it they are host steps.
 */
import type { DType } from "../../../runtime/format/dtype.ts";
import { binary, constant, type Expression, input, select, unary } from "../../../runtime/format/expression.ts";
import { dynamicQuantizeMatmul } from "../../../runtime/reference/integer-product.ts";
import * as reference from "../../../runtime/reference/microsoft-quantized.ts";
import { quantizedTypeOf } from "../../../runtime/reference/quantized-type.ts";
import { floatOf, integerOf } from "../../graph/attribute.ts";
import { addDims, type Dim } from "../../graph/dimension.ts";
import { along, fixed, identityAccess } from "../../loop/loop.ts";
import { firstOutput, inputOperand } from "../contraction/operands.ts";
import { productOfShapes, productShape } from "../contraction/product.ts";
import { kernelShapeOf, resolveWindow } from "../contraction/window.ts";
import { broadcastDims } from "../elementwise/broadcast.ts";
import { axisOf } from "../movement/copy.ts";
import { rowsOf } from "../normalisation/softmax.ts";
import {
  closeTolerance,
  type LoweredStep,
  type Lowering,
  type Operator,
  type OperatorContext,
  sumTolerance,
} from "../operator.ts";
import { bindParameters } from "./parameters.ts";
import { dequantized, quantized } from "./quantize-expression.ts";

/** Checks the quantised operand at input `first`, whose scale and zero point follow it. */
function quantizedOperand(context: OperatorContext, first: number): DType {
  const { dtype } = context.type(first);
  if (dtype !== "int8" && dtype !== "uint8")
    context.fail(`input ${first} is not of 8-bit integers`, "int8 or uint8", dtype);
  if (context.type(first + 1).dtype !== "float32")
    context.fail(`input ${first + 1} is not a scale`, "float32", context.type(first + 1).dtype);
  if (context.has(first + 2) && context.type(first + 2).dtype !== dtype)
    context.fail("the zero point has another type than the data", dtype, context.type(first + 2).dtype);
  return dtype;
}

const targetOf = (dtype: DType) => quantizedTypeOf(dtype)!;

const floatsAt = (context: OperatorContext, first: number): Expression =>
  dequantized(input(first), input(first + 1), context.has(first + 2) ? input(first + 2) : undefined);

/** `value` in steps of input `scale`. */
const quantizedBy = (context: OperatorContext, value: Expression, scale: number): Expression =>
  quantized(
    binary("divide", value, input(scale)),
    context.has(scale + 1) ? input(scale + 1) : undefined,
    targetOf(context.type(0).dtype),
  );

/** An operator of single elements over the quantised operands at `firsts`. */
function elementwise(
  op: string,
  firsts: readonly number[],
  meaning: (context: OperatorContext, ...values: readonly Expression[]) => Expression,
  definition: Operator["reference"],
): Operator {
  const scale = 3 * firsts.length;
  const formula = (context: OperatorContext): Expression =>
    quantizedBy(context, meaning(context, ...firsts.map((first) => floatsAt(context, first))), scale);
  const infer = (context: OperatorContext): readonly [{ readonly dtype: DType; readonly shape: readonly Dim[] }] => {
    const [dtype] = firsts.map((first) => quantizedOperand(context, first));
    return [
      {
        dtype: dtype!,
        shape: broadcastDims(
          context,
          firsts.map((first) => context.type(first).shape),
        ),
      },
    ];
  };
  /** A scale of shape [1] would give a scalar an axis. */
  const keepsRank = (context: OperatorContext): boolean => {
    const rank = infer(context)[0].shape.length;
    return context.node.inputs.every(
      (value, index) =>
        !value || index % 3 === 0 || (value.type.shape.length <= rank && value.type.shape.every((one) => one === 1)),
    );
  };
  return {
    op: `com.microsoft.${op}`,
    infer,
    reference: definition,
    expression: (context) => (keepsRank(context) ? formula(context) : undefined),
    tolerance: closeTolerance,
  };
}

const leakyRelu = (context: OperatorContext, x: Expression): Expression =>
  select(binary("less", x, constant(0)), binary("multiply", x, constant(floatOf(context.node, "alpha", 0.01))), x);

/** First inputs of the members: scale and zero point of the result stand in front. */
const membersOf = (context: OperatorContext): readonly number[] =>
  Array.from({ length: Math.floor(context.node.inputs.length / 3) }, (_, k) => 2 + 3 * k);

function concatType(context: OperatorContext): { readonly dtype: DType; readonly shape: readonly Dim[] } {
  const members = membersOf(context);
  const [first = 2] = members;
  const { shape } = context.type(first);
  const axis = axisOf(context, integerOf(context.node, "axis", 0), shape.length);
  const dtypes = members.map((member) => quantizedOperand(context, member));
  const lengths = members.map((member) => context.type(member).shape[axis] ?? 1);
  return { dtype: dtypes[0]!, shape: shape.map((extent, at) => (at === axis ? addDims(...lengths) : extent)) };
}

/** A copy of each member in the steps of the result. */
function lowerConcat(context: OperatorContext): Lowering {
  const { dtype, shape } = concatType(context);
  const axis = axisOf(context, integerOf(context.node, "axis", 0), shape.length);
  let start: Dim = 0;
  const steps = membersOf(context).map((first): LoweredStep => {
    const own = context.type(first);
    const scalar = (index: number) => ({
      index,
      access: context.has(index) ? context.type(index).shape.map(() => fixed(0)) : [],
    });
    const parameters = bindParameters(context, 1, [first + 1, first + 2, 0, 1].map(scalar));
    const value = dequantized(input(0), parameters.inBody(first + 1)!, parameters.inBody(first + 2));
    const offset = start;
    start = addDims(start, own.shape[axis] ?? 1);
    return {
      kind: "nest",
      nest: {
        extents: own.shape,
        reductions: 0,
        operands: [{ dtype: own.dtype, access: identityAccess(shape.length) }, ...parameters.loopOperands],
        parameters: [],
        body: quantized(binary("divide", value, parameters.inBody(0)!), parameters.inBody(1), targetOf(dtype)),
        output: { dtype, access: shape.map((_, at) => along(at, 1, at === axis ? offset : 0)) },
      },
      operands: [inputOperand(first), ...parameters.stepOperands],
      output: firstOutput,
    };
  });
  return { kind: "steps", steps, temporaries: [] };
}

const concat: Operator = {
  op: "com.microsoft.QLinearConcat",
  infer: (context) => [concatType(context)],
  reference: reference.qlinearConcat,
  lower: lowerConcat,
  tolerance: closeTolerance,
};

/** A record without loops: input 0 is quantised, the result has its type and the shape that `shape` says. */
const hosted = (
  op: string,
  shape: (context: OperatorContext) => readonly Dim[],
  definition: Operator["reference"],
): Operator => ({
  op: `com.microsoft.${op}`,
  infer: (context) => [{ dtype: quantizedOperand(context, 0), shape: shape(context) }],
  reference: definition,
  tolerance: closeTolerance,
});

/** The shape with `spatial` in place of its spatial axes, wherever the channels are. */
function withSpatial(context: OperatorContext, replace: (spatial: readonly Dim[]) => readonly Dim[]): readonly Dim[] {
  const { shape } = context.type(0);
  if (shape.length < 3) context.fail("the input has no spatial axis", "rank 3 or more", `rank ${shape.length}`);
  return integerOf(context.node, "channels_last", 0) === 1
    ? [shape[0]!, ...replace(shape.slice(1, -1)), shape.at(-1)!]
    : [shape[0]!, shape[1]!, ...replace(shape.slice(2))];
}

const dynamicMatmul: Operator = {
  op: "com.microsoft.DynamicQuantizeMatMul",
  infer: (context) => {
    const [a, b] = [context.type(0), context.type(1)];
    if (b.dtype !== "int8" && b.dtype !== "uint8")
      context.fail("input 1 is not of 8-bit integers", "int8 or uint8", b.dtype);
    return [{ dtype: a.dtype, shape: productShape(productOfShapes(context, a.shape, b.shape, false, false)) }];
  },
  reference: dynamicQuantizeMatmul,
  tolerance: sumTolerance,
};

export const microsoftQuantizedOperators: readonly Operator[] = [
  elementwise("QLinearAdd", [0, 3], (_, a, b) => binary("add", a!, b!), reference.qlinearAdd),
  elementwise("QLinearMul", [0, 3], (_, a, b) => binary("multiply", a!, b!), reference.qlinearMul),
  elementwise("QLinearSigmoid", [0], (_, x) => unary("sigmoid", x!), reference.qlinearSigmoid),
  elementwise("QLinearLeakyRelu", [0], (context, x) => leakyRelu(context, x!), reference.qlinearLeakyRelu),
  concat,
  hosted(
    "QLinearSoftmax",
    (context) => {
      const version = integerOf(context.node, "opset", 13);
      rowsOf({ ...context, node: { ...context.node, version } });
      return context.type(0).shape;
    },
    reference.qlinearSoftmax,
  ),
  hosted(
    "QLinearAveragePool",
    (context) =>
      withSpatial(context, (spatial) =>
        resolveWindow(context, spatial, kernelShapeOf(context)).map(({ output }) => output),
      ),
    reference.qlinearAveragePool,
  ),
  hosted(
    "QLinearGlobalAveragePool",
    (context) => withSpatial(context, (spatial) => spatial.map(() => 1)),
    reference.qlinearGlobalAveragePool,
  ),
  dynamicMatmul,
];
