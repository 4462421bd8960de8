/** leafcutter.Pool: the canonical two-dimensional pool over [N, H, W, C], explicit padding and output extents; lowered to the pool family. */
import { leafcutterPool } from "../../../runtime/reference/leafcutter-pool.ts";
import { dimsOf, expressionOf, integerOf, integersOf, stringOf } from "../../graph/attribute.ts";
import { addDims } from "../../graph/dimension.ts";
import { closeTolerance, defineOperator, type Lowering, type OperatorContext } from "../operator.ts";
import { problemWindow } from "./leafcutter-convolution.ts";
import { firstOutput, inputOperand, stepsOf } from "./operands.ts";
import { resolveWindow, type WindowAxis } from "./window.ts";

function axesOf(context: OperatorContext): readonly WindowAxis[] {
  const { shape } = context.type(0);
  if (shape.length !== 4) context.fail("the input must be [N, H, W, C]", "rank 4", `rank ${shape.length}`);
  const kernel = integersOf(context.node, "kernelShape") ?? context.fail("attribute kernelShape is missing");
  const extents = dimsOf(context.node, "outputShape") ?? integersOf(context.node, "outputShape");
  return resolveWindow(context, shape.slice(1, 3), kernel).map((window, axis) => ({
    ...window,
    output: extents?.[axis] ?? window.output,
  }));
}

function modeOf(context: OperatorContext): "max" | "average" | "lp" {
  const mode = stringOf(context.node, "mode", "max");
  return mode === "max" || mode === "average" || mode === "lp"
    ? mode
    : context.fail("attribute mode is not known", "max, average or lp", mode);
}

function lower(context: OperatorContext): Lowering | undefined {
  const { dtype, shape } = context.type(0);
  const [batch = 1, , , channels] = shape;
  const axes = axesOf(context);
  const window = problemWindow(batch, axes);
  if (!window || typeof channels !== "number" || context.node.inputs.length > 1) return undefined;
  const mode = modeOf(context);
  const epilogue = expressionOf(context.node, "epilogue");
  const isByte = dtype === "int8" || dtype === "uint8";
  if (dtype !== "float32" && (!isByte || mode !== "max" || epilogue)) return undefined;
  const [vertical, horizontal] = axes.map((axis) => addDims(axis.input, axis.padBefore, axis.padAfter));
  return stepsOf({
    kind: "family",
    problem: {
      family: "pool",
      ...window,
      dtype,
      mode,
      channels,
      countIncludePad: integerOf(context.node, "countIncludePad", 0) === 1,
      countedHeight: vertical ?? 1,
      countedWidth: horizontal ?? 1,
      norm: integerOf(context.node, "p", 2),
      epilogue,
    },
    operands: [inputOperand(0)],
    outputs: [firstOutput],
  });
}

export const leafcutterPoolOperator = defineOperator({
  op: "leafcutter.Pool",
  infer: (context) => {
    const { dtype, shape } = context.type(0);
    modeOf(context);
    return [{ dtype, shape: [shape[0] ?? 1, ...axesOf(context).map(({ output }) => output), shape[3] ?? 1] }];
  },
  reference: leafcutterPool,
  lower,
  tolerance: closeTolerance,
});
