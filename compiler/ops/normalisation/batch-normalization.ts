/** BatchNormalization for inference; elementwise when the channels are last, a nest when they are axis 1. Training is refused. */
import { binary, constant, type Expression, input, unary } from "../../../runtime/format/expression.ts";
import { batchNormalization } from "../../../runtime/reference/batch-normalization.ts";
import { floatOf, integerOf, stringOf } from "../../graph/attribute.ts";
import { along, identityAccess } from "../../loop/loop.ts";
import { firstOutput, hasGeneratedCode, inputOperand, stepsOf } from "../contraction/operands.ts";
import { closeTolerance, defineOperator, type Lowering, type OperatorContext } from "../operator.ts";

/** (x - mean) / sqrt(variance + epsilon) * scale + shift over inputs x, scale, shift, mean, variance. */
function formula(context: OperatorContext): Expression {
  const epsilon = constant(floatOf(context.node, "epsilon", 1e-5), context.type(4).dtype);
  const deviation = unary("sqrt", binary("add", input(4), epsilon));
  const normal = binary("divide", binary("subtract", input(0), input(3)), deviation);
  return binary("add", binary("multiply", normal, input(1)), input(2));
}

/** The formula needs one type throughout: parameters may be wider than x. */
const uniform = (context: OperatorContext): boolean =>
  [1, 2, 3, 4].every((index) => context.type(index).dtype === context.type(0).dtype);

const channelsLast = (context: OperatorContext): boolean => stringOf(context.node, "layout", "NCHW") === "NHWC";

function lower(context: OperatorContext): Lowering | undefined {
  const { dtype, shape } = context.type(0);
  if (!uniform(context) || !hasGeneratedCode(dtype)) return undefined;
  const channel = channelsLast(context) ? shape.length - 1 : 1;
  const parameter = { dtype, access: [along(channel)] };
  return stepsOf({
    kind: "nest",
    nest: {
      extents: shape,
      reductions: 0,
      operands: [{ dtype, access: identityAccess(shape.length) }, parameter, parameter, parameter, parameter],
      parameters: [],
      body: formula(context),
      output: { dtype, access: identityAccess(shape.length) },
    },
    operands: [0, 1, 2, 3, 4].map(inputOperand),
    output: firstOutput,
  });
}

export const batchNormalizationOperator = defineOperator({
  op: "BatchNormalization",
  infer: (context) => {
    if (integerOf(context.node, "training_mode", 0) === 1)
      context.fail("training mode is not supported", "training_mode 0", "training_mode 1");
    const { dtype, shape } = context.type(0);
    if (shape.length < 2) context.fail("the input has no channel axis", "rank 2 or more", `rank ${shape.length}`);
    for (const index of [1, 2, 3, 4])
      if (context.type(index).shape.length !== 1)
        context.fail(`input ${index} is not a vector`, "rank 1", `rank ${context.type(index).shape.length}`);
    return [{ dtype, shape }];
  },
  reference: batchNormalization,
  expression: (context) => (channelsLast(context) && uniform(context) ? formula(context) : undefined),
  lower,
  tolerance: closeTolerance,
});
