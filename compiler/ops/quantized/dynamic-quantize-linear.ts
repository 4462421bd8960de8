/** DynamicQuantizeLinear: x as uint8 by its own range, lowered to the family of that name. */
import { dynamicQuantizeLinear } from "../../../runtime/reference/quantize.ts";
import { productOf } from "../../graph/dimension.ts";
import { inputOperand, stepsOf } from "../contraction/operands.ts";
import { exactTolerance, type Lowering, type Operator, type OperatorContext } from "../operator.ts";

const lower = (context: OperatorContext): Lowering =>
  stepsOf({
    kind: "family",
    problem: { family: "dynamic-quantize", elements: productOf(context.type(0).shape) },
    operands: [inputOperand(0)],
    outputs: [0, 1, 2].map((index) => ({ kind: "output", index }) as const),
  });

export const dynamicQuantizeLinearOperator: Operator = {
  op: "DynamicQuantizeLinear",
  infer: (context) => {
    const { dtype, shape } = context.type(0);
    if (dtype !== "float32") context.fail("cannot quantise this element type", "float32", dtype);
    return [
      { dtype: "uint8", shape },
      { dtype: "float32", shape: [] },
      { dtype: "uint8", shape: [] },
    ];
  },
  reference: dynamicQuantizeLinear,
  lower,
  tolerance: exactTolerance,
};
