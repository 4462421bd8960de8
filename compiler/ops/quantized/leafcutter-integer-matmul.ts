/** leafcutter.IntegerMatMul: A [batch…, M, K] of 8-bit integers by int8 weights [K, N], summed in int32, then an epilogue. */
import { input } from "../../../runtime/format/expression.ts";
import { integerMatmul } from "../../../runtime/reference/leafcutter-integer.ts";
import { integerOf } from "../../graph/attribute.ts";
import { productOf } from "../../graph/dimension.ts";
import { firstOutput, inputOperand, optionalOperand, stepsOf } from "../contraction/operands.ts";
import { type Product, productAccess, productOfShapes, productShape } from "../contraction/product.ts";
import { closeTolerance, defineOperator, type Lowering, type NestStep, type OperatorContext } from "../operator.ts";
import { finishInputs, integerFinish, integerOutputType, integerProblem, widenedProduct } from "./integer-epilogue.ts";

function productOfNode(context: OperatorContext): Product {
  const [a, b] = [context.type(0).shape, context.type(1).shape];
  if (a.length < 2) context.fail("input 0 is not a matrix", "rank 2 or more", `rank ${a.length}`);
  if (b.length !== 2) context.fail("input 1 is not a matrix", "rank 2", `rank ${b.length}`);
  return productOfShapes(context, a, b, false, integerOf(context.node, "transposeB", 0) === 1);
}

/** The definition itself, bias and epilogue in `finish`. */
function definition(context: OperatorContext, product: Product): NestStep {
  const access = productAccess(product);
  const addends = finishInputs(context);
  const finish = integerFinish(context);
  return {
    kind: "nest",
    nest: {
      extents: access.extents,
      reductions: 1,
      operands: [
        { dtype: context.type(0).dtype, access: access.left },
        { dtype: context.type(1).dtype, access: access.right },
        ...addends.map((index) => {
          const { dtype, shape } = context.type(index);
          return { dtype, access: access.broadcast(shape) };
        }),
      ],
      parameters: [],
      body: widenedProduct(input(0), input(1)),
      combine: "add",
      ...(finish ? { finish } : {}),
      output: { dtype: integerOutputType(context), access: access.result },
    },
    operands: [0, 1, ...addends].map(inputOperand),
    output: firstOutput,
  };
}

function lower(context: OperatorContext): Lowering {
  const product = productOfNode(context);
  const otherwise = definition(context, product);
  const common = integerProblem(context, productShape(product), { perRow: true });
  if (!common) return stepsOf(otherwise);
  const { batch, rows, inner, columns, transposeB } = product;
  return stepsOf({
    kind: "family",
    problem: { family: "matmul-i8", batch: productOf(batch), rows, inner, columns, transposeB, ...common },
    operands: [
      inputOperand(0),
      inputOperand(1),
      optionalOperand(context, 2),
      ...common.operandTypes.map((_, k) => inputOperand(3 + k)),
    ],
    outputs: [firstOutput],
    otherwise,
  });
}

export const leafcutterIntegerMatmulOperator = defineOperator({
  op: "leafcutter.IntegerMatMul",
  infer: (context) => [{ dtype: integerOutputType(context), shape: productShape(productOfNode(context)) }],
  reference: integerMatmul,
  lower,
  tolerance: closeTolerance,
});
