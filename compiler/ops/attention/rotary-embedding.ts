/**
 * Rotary position embedding. The canonical leafcutter.RotaryEmbedding {x, cos, sin; interleaved} is one loop nest: an
 * element and its partner in the pair are two affine reads of x. The operators of ONNX and com.microsoft are rewritten
 * to it by a pass; what cannot be runs as a host step.
 */
import { axis, binary, constant, input, select, unary } from "../../../runtime/format/expression.ts";
import * as reference from "../../../runtime/reference/rotary-embedding.ts";
import { integerOf } from "../../graph/attribute.ts";
import type { TensorType } from "../../graph/graph.ts";
import { type AffineIndex, along, broadcastAccess } from "../../loop/loop.ts";
import { firstOutput, hasGeneratedCode, inputOperand, stepsOf } from "../contraction/operands.ts";
import { closeTolerance, defineOperator, type Lowering, type OperatorContext } from "../operator.ts";

/** The number of elements of a row, which is even and known. */
function widthOf(context: OperatorContext): number {
  const width = context.type(0).shape.at(-1);
  if (typeof width === "number" && width % 2 === 0) return width;
  return context.fail("the last axis is not made of pairs", "an even number", String(width));
}

function infer(context: OperatorContext): readonly TensorType[] {
  const { dtype, shape } = context.type(0);
  const width = widthOf(context);
  for (const index of [1, 2]) {
    const table = context.type(index);
    const last = table.shape.at(-1);
    if (table.dtype !== dtype || table.shape.length > shape.length || (last !== width && last !== width / 2))
      context.fail(`input ${index} is not a table for x`, `${dtype}[…, ${width} or ${width / 2}]`, String(last));
  }
  return [{ dtype, shape }];
}

function lower(context: OperatorContext): Lowering | undefined {
  const { dtype, shape } = context.type(0);
  if (!hasGeneratedCode(dtype)) return undefined;
  const width = widthOf(context);
  const interleaved = integerOf(context.node, "interleaved", 0) !== 0;
  const leading = shape.slice(0, -1);
  // The iteration axes behind the leading ones: which element of the pair, and the pair; the one that runs along memory last.
  const rank = leading.length;
  const part = interleaved ? rank + 1 : rank;
  const pair = interleaved ? rank : rank + 1;
  const [partStep, pairStep] = interleaved ? [1, 2] : [width / 2, 1];
  const at = (partCoefficient: number, offset: number): AffineIndex => ({
    offset,
    terms: [
      { axis: part, coefficient: partCoefficient },
      { axis: pair, coefficient: pairStep },
    ],
  });
  const own = at(partStep, 0);
  const partner = at(-partStep, partStep);
  const rows = leading.map((_, index) => along(index));
  const table = (index: number): readonly AffineIndex[] => {
    const extents = context.type(index).shape;
    return [...broadcastAccess(extents.slice(0, -1), rank), extents.at(-1) === width ? own : along(pair)];
  };
  const sine = select(binary("equal", axis(part), constant(0, "int32")), unary("negate", input(3)), input(3));
  const output = [...rows, own];
  return stepsOf({
    kind: "nest",
    nest: {
      extents: [...leading, ...(interleaved ? [width / 2, 2] : [2, width / 2])],
      reductions: 0,
      operands: [
        { dtype, access: output },
        { dtype, access: [...rows, partner] },
        { dtype, access: table(1) },
        { dtype, access: table(2) },
      ],
      parameters: [],
      body: binary("add", binary("multiply", input(0), input(2)), binary("multiply", input(1), sine)),
      output: { dtype, access: output },
    },
    operands: [inputOperand(0), inputOperand(0), inputOperand(1), inputOperand(2)],
    output: firstOutput,
  });
}

const unchanged = (context: OperatorContext): readonly TensorType[] => {
  const { dtype, shape } = context.type(0);
  if (shape.length !== 3 && shape.length !== 4)
    context.fail("input 0 has the wrong rank", "3 or 4", String(shape.length));
  return [{ dtype, shape }];
};

export const leafcutterRotaryEmbedding = defineOperator({
  op: "leafcutter.RotaryEmbedding",
  infer,
  reference: reference.leafcutterRotaryEmbedding,
  lower,
  tolerance: closeTolerance,
});

export const rotaryEmbeddingOperators = [
  leafcutterRotaryEmbedding,
  defineOperator({
    op: "RotaryEmbedding",
    infer: unchanged,
    reference: reference.rotaryEmbedding,
    tolerance: closeTolerance,
  }),
  defineOperator({
    op: "com.microsoft.RotaryEmbedding",
    infer: unchanged,
    reference: reference.microsoftRotaryEmbedding,
    tolerance: closeTolerance,
  }),
];
