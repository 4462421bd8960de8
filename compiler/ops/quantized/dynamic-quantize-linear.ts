/** DynamicQuantizeLinear: the range of x (with 0) by two reductions, scale and zero point from it, then x as uint8. */
import { binary, cast, constant, type Expression, input, select, unary } from "../../../runtime/format/expression.ts";
import { dynamicQuantizeLinear } from "../../../runtime/reference/quantize.ts";
import { quantizedTypeOf } from "../../../runtime/reference/quantized-type.ts";
import { productOf } from "../../graph/dimension.ts";
import type { TensorType } from "../../graph/graph.ts";
import { identityAccess, type LoopNest } from "../../loop/loop.ts";
import { inputOperand, temporaryOperand } from "../contraction/operands.ts";
import { exactTolerance, type LoweredStep, type Lowering, type Operator, type OperatorContext } from "../operator.ts";
import { quantized } from "./quantize-expression.ts";

const scalar = { dtype: "float32", access: [] } as const;

/** The largest or smallest of x and 0. */
const extreme = (context: OperatorContext, combine: "maximum" | "minimum", temporary: number): LoweredStep => ({
  kind: "family",
  problem: {
    family: "reduce",
    combine,
    outer: 1,
    reduced: productOf(context.type(0).shape),
    inner: 1,
    map: undefined,
    finish: binary(combine, input(0), constant(0)),
  },
  operands: [inputOperand(0)],
  outputs: [temporaryOperand(temporary)],
});

function lower(context: OperatorContext): Lowering | undefined {
  const { shape } = context.type(0);
  const [low, high]: readonly Expression[] = [input(0), input(1)];
  const range = binary("divide", binary("subtract", high!, low!), constant(255));
  const scaleNest: LoopNest = {
    extents: [],
    reductions: 0,
    operands: [scalar, scalar],
    parameters: [],
    body: select(binary("equal", low!, high!), constant(1), range),
    output: scalar,
  };
  const start = binary("subtract", constant(0), binary("divide", input(0), input(1)));
  const bounded = binary("minimum", binary("maximum", start, constant(0)), constant(255));
  const zeroNest: LoopNest = {
    ...scaleNest,
    body: cast("uint8", unary("round", bounded)),
    output: { dtype: "uint8", access: [] },
  };
  const access = identityAccess(shape.length);
  const quantizeNest: LoopNest = {
    extents: shape,
    reductions: 0,
    operands: [{ dtype: "float32", access }, scalar, { dtype: "uint8", access: [] }],
    parameters: [],
    body: quantized(binary("divide", input(0), input(1)), input(2), quantizedTypeOf("uint8")!),
    output: { dtype: "uint8", access },
  };
  const output = (index: number) => ({ kind: "output", index }) as const;
  const steps: LoweredStep[] = [
    extreme(context, "minimum", 0),
    extreme(context, "maximum", 1),
    { kind: "nest", nest: scaleNest, operands: [temporaryOperand(0), temporaryOperand(1)], output: output(1) },
    { kind: "nest", nest: zeroNest, operands: [temporaryOperand(0), output(1)], output: output(2) },
    { kind: "nest", nest: quantizeNest, operands: [inputOperand(0), output(1), output(2)], output: output(0) },
  ];
  const temporary: TensorType = { dtype: "float32", shape: [] };
  return { kind: "steps", steps, temporaries: [temporary, temporary] };
}

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
