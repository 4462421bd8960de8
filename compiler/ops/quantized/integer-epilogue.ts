/** What the integer products share: the type that an epilogue gives, the part of a problem it makes, and its place in a nest. */
import type { DType } from "../../../runtime/format/dtype.ts";
import { binary, cast, type Expression, expressionType, input } from "../../../runtime/format/expression.ts";
import { expressionOf, integerOf } from "../../graph/attribute.ts";
import type { Dim } from "../../graph/dimension.ts";
import type { IntegerConvProblem } from "../../kernels/problem.ts";
import { epilogueFits, replaceInputs } from "../contraction/operands.ts";
import type { OperatorContext } from "../operator.ts";

/** Input 3 is the first operand of the epilogue. */
const firstOperand = 3;

const operandTypesOf = (context: OperatorContext): readonly DType[] =>
  context.node.inputs.slice(firstOperand).map((_, k) => context.type(firstOperand + k).dtype);

/** Checks the 8-bit operands and gives the element type of the output. */
export function integerOutputType(context: OperatorContext): DType {
  const [x, w] = [context.type(0).dtype, context.type(1).dtype];
  if (x !== "int8" && x !== "uint8") context.fail("the input is not of 8-bit integers", "int8 or uint8", x);
  if (w !== "int8") context.fail("the weights are not of 8-bit integers", "int8", w);
  if (context.has(2) && context.type(2).dtype !== "int32")
    context.fail("the bias is not of 32-bit integers", "int32", context.type(2).dtype);
  const bits = integerOf(context.node, "inputBits", 8);
  if (bits !== 7 && bits !== 8) context.fail("attribute inputBits is not known", "7 or 8", String(bits));
  const epilogue = expressionOf(context.node, "epilogue");
  return epilogue ? expressionType(epilogue, ["int32", ...operandTypesOf(context)]) : "int32";
}

type Common = Pick<IntegerConvProblem, "inputType" | "inputBits" | "epilogue" | "operandTypes" | "outputType">;

const isProblemType = (dtype: DType): dtype is Common["outputType"] =>
  dtype === "float32" || dtype === "int32" || dtype === "int8" || dtype === "uint8";

/** That part of a problem which all integer products have; undefined when a family cannot be asked for this form. */
export function integerProblem(
  context: OperatorContext,
  output: readonly Dim[],
  operands: { readonly perRow?: boolean } = {},
): Common | undefined {
  const { dtype } = context.type(0);
  const [outputType, operandTypes] = [integerOutputType(context), operandTypesOf(context)];
  const constantParameters = context.constant(1) && (!context.has(2) || context.constant(2));
  if (!constantParameters || !epilogueFits(context, firstOperand, output, operands)) return undefined;
  if (!isProblemType(outputType) || !operandTypes.every(isProblemType)) return undefined;
  return {
    inputType: dtype === "int8" ? "int8" : "uint8",
    inputBits: integerOf(context.node, "inputBits", 8) === 7 ? 7 : 8,
    epilogue: expressionOf(context.node, "epilogue"),
    operandTypes,
    outputType,
  };
}

/** The product of two 8-bit elements. */
export const widenedProduct = (left: Expression, right: Expression): Expression =>
  binary("multiply", cast("int32", left), cast("int32", right));

/** Inputs that a nest's `finish` reads, in the order of its operands behind the two factors. */
export const finishInputs = (context: OperatorContext): readonly number[] =>
  context.node.inputs.flatMap((value, index) => (index >= 2 && value ? [index] : []));

/** Bias and epilogue as a nest's `finish`, over the operands of `finishInputs`; undefined when there is neither. */
export function integerFinish(context: OperatorContext): Expression | undefined {
  const epilogue = expressionOf(context.node, "epilogue");
  // Operand k of a nest is input k + 1 of its finish: two factors stand in front, then the bias.
  const sum = context.has(2) ? binary("add", input(0), input(3)) : input(0);
  const before = context.has(2) ? 3 : 2;
  if (!epilogue) return context.has(2) ? sum : undefined;
  return replaceInputs(epilogue, (index) => (index === 0 ? sum : input(index + before)));
}
