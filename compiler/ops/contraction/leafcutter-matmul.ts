/**
 * leafcutter.MatMul: the canonical matrix product. A constant B goes to the matmul family as it is; an activation B is
 * first packed into panels of eight columns. An operand that broadcasts over batches is computed by the nest of the definition.
 */
import { axis, binary, constant, input } from "../../../runtime/format/expression.ts";
import { leafcutterMatmul } from "../../../runtime/reference/matmul.ts";
import { expressionOf, integerOf } from "../../graph/attribute.ts";
import { ceilDivideDims, type Dim, moduloDims, productOf, sameDim, sameShape } from "../../graph/dimension.ts";
import type { MatmulProblem } from "../../kernels/problem.ts";
import { type AffineIndex, along, identityAccess, type LoopNest } from "../../loop/loop.ts";
import { defineOperator, type Lowering, type OperatorContext, sumTolerance } from "../operator.ts";
import { type GuardedIndex, guardedLoad, integer, Parameters, plus, times } from "./integer-expression.ts";
import {
  epilogueFits,
  epilogueOf,
  firstOutput,
  inputOperand,
  optionalOperand,
  replaceInputs,
  stepsOf,
  temporaryOperand,
  weightsOf,
} from "./operands.ts";
import { type Product, productNest, productOfInputs, productShape } from "./product.ts";

/** Columns of a panel of a dynamic B, as the matmul family reads it. */
const panelWidth = 8;

function productOfNode(context: OperatorContext): Product {
  for (const index of [0, 1])
    if (context.type(index).shape.length < 2)
      context.fail(`input ${index} is not a matrix`, "rank 2 or more", `rank ${context.type(index).shape.length}`);
  return productOfInputs(context, false, integerOf(context.node, "transposeB", 0) === 1);
}

/** B [batch…, K, N] (or [batch…, N, K]) as panels [batch, ceil(N/8), K, 8], columns behind the last one zero. */
function packingNest(product: Product, shape: readonly Dim[]): LoopNest {
  const { rightBatch, inner, columns, transposeB } = product;
  const rank = rightBatch.length;
  const extents = [...rightBatch, shape[shape.length - 3]!, inner, panelWidth];
  const [panel, k, lane] = [rank, rank + 1, rank + 2];
  const batch = rightBatch.map((_, index) => along(index));
  const order = <T>(first: T, second: T): T[] => (transposeB ? [second, first] : [first, second]);
  const output = { dtype: "float32", access: identityAccess(rank + 3) } as const;
  if (moduloDims(columns, panelWidth) === 0) {
    const column: AffineIndex = {
      offset: 0,
      terms: [
        { axis: panel, coefficient: panelWidth },
        { axis: lane, coefficient: 1 },
      ],
    };
    const operand = { dtype: "float32", access: [...batch, ...order(along(k), column)] } as const;
    return { extents, reductions: 0, operands: [operand], parameters: [], body: input(0), output };
  }
  const parameters = new Parameters();
  const column = { index: plus(times(axis(panel), integer(panelWidth)), axis(lane)), extent: parameters.of(columns) };
  const body = guardedLoad(
    0,
    [...rightBatch.map((_, index) => ({ index: axis(index) })), ...order<GuardedIndex>({ index: axis(k) }, column)],
    constant(0),
  );
  return {
    extents,
    reductions: 0,
    operands: [{ dtype: "float32", access: "indexed" }],
    parameters: parameters.values,
    body,
    output,
  };
}

/** The definition itself, bias and epilogue in `finish`. */
function lowerByDefinition(context: OperatorContext, product: Product): Lowering {
  const addends = context.node.inputs.flatMap((value, index) => (index >= 2 && value ? [index] : []));
  const sum = context.has(2) ? binary("add", input(0), input(1)) : input(0);
  const shift = context.has(2) ? 1 : 0;
  const epilogue = expressionOf(context.node, "epilogue");
  const finish = epilogue ? replaceInputs(epilogue, (index) => (index === 0 ? sum : input(index + shift))) : sum;
  const operands = [inputOperand(0), inputOperand(1), ...addends.map(inputOperand)];
  return stepsOf({ kind: "nest", nest: productNest(context, product, addends, finish), operands, output: firstOutput });
}

function lower(context: OperatorContext): Lowering | undefined {
  const product = productOfNode(context);
  const { batch, rows, inner, columns, transposeB, leftBatch, rightBatch } = product;
  if (context.type(0).dtype !== "float32") return undefined;
  const constantBias = !context.has(2) || context.constant(2) !== undefined;
  const sameBatch = sameShape(leftBatch, batch) || sameDim(productOf(batch), 1);
  if (!constantBias || !sameBatch || !epilogueFits(context, 3, productShape(product)))
    return lowerByDefinition(context, product);
  const { operands, ...epilogue } = epilogueOf(context, 3);
  const problem: MatmulProblem = {
    family: "matmul",
    batch: productOf(batch),
    rows,
    inner,
    columns,
    dynamicB: false,
    batchedB: false,
    transposeB,
    ...weightsOf(context, 1, transposeB ? { channels: 0, terms: 1 } : { channels: 1, terms: 0 }),
    ...epilogue,
  };
  const bias = optionalOperand(context, 2);
  if (context.constant(1) && rightBatch.length === 0)
    return stepsOf({
      kind: "family",
      problem,
      operands: [inputOperand(0), inputOperand(1), bias, ...operands],
      outputs: [firstOutput],
    });
  const shared = sameDim(productOf(rightBatch), 1);
  if (!shared && !sameShape(rightBatch, batch)) return lowerByDefinition(context, product);
  const panels = [...rightBatch, ceilDivideDims(columns, panelWidth), inner, panelWidth];
  return {
    kind: "steps",
    steps: [
      { kind: "nest", nest: packingNest(product, panels), operands: [inputOperand(1)], output: temporaryOperand(0) },
      {
        kind: "family",
        problem: { ...problem, dynamicB: true, batchedB: !shared, transposeB: false, storage: "float32" },
        operands: [inputOperand(0), temporaryOperand(0), bias, ...operands],
        outputs: [firstOutput],
      },
    ],
    temporaries: [{ dtype: "float32", shape: panels }],
  };
}

export const leafcutterMatmulOperator = defineOperator({
  op: "leafcutter.MatMul",
  infer: (context) => [{ dtype: context.type(0).dtype, shape: productShape(productOfNode(context)) }],
  reference: leafcutterMatmul,
  lower,
  tolerance: sumTolerance,
});
