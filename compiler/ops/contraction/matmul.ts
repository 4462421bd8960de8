/** MatMul and Gemm in their ONNX form, all numeric types; lowered to the nest of their definition. Passes turn float32 ones into leafcutter.MatMul. */
import { binary, constant, type Expression, input } from "../../../runtime/format/expression.ts";
import { gemm, matmul } from "../../../runtime/reference/matmul.ts";
import { floatOf, integerOf } from "../../graph/attribute.ts";
import { defineOperator, type Lowering, type OperatorContext, sumTolerance } from "../operator.ts";
import { firstOutput, hasGeneratedCode, inputOperand, stepsOf } from "./operands.ts";
import { broadcastShape, type Product, productNest, productOfInputs, productShape } from "./product.ts";

function lower(
  context: OperatorContext,
  product: Product,
  addends: readonly number[],
  finish: Expression | undefined,
): Lowering | undefined {
  if (!hasGeneratedCode(context.type(0).dtype)) return undefined;
  const operands = [inputOperand(0), inputOperand(1), ...addends.map(inputOperand)];
  return stepsOf({ kind: "nest", nest: productNest(context, product, addends, finish), operands, output: firstOutput });
}

const plain = (context: OperatorContext): Product => productOfInputs(context, false, false);

export const matmulOperator = defineOperator({
  op: "MatMul",
  infer: (context) => [{ dtype: context.type(0).dtype, shape: productShape(plain(context)) }],
  reference: matmul,
  lower: (context) => lower(context, plain(context), [], undefined),
  tolerance: sumTolerance,
});

function gemmProduct(context: OperatorContext): Product {
  for (const index of [0, 1])
    if (context.type(index).shape.length !== 2)
      context.fail(`input ${index} is not a matrix`, "rank 2", `rank ${context.type(index).shape.length}`);
  return productOfInputs(
    context,
    integerOf(context.node, "transA", 0) === 1,
    integerOf(context.node, "transB", 0) === 1,
  );
}

function lowerGemm(context: OperatorContext): Lowering | undefined {
  const { dtype } = context.type(0);
  const scaled = (value: Expression, factor: number): Expression =>
    factor === 1 ? value : binary("multiply", value, constant(factor, dtype));
  const [alpha, beta] = [floatOf(context.node, "alpha", 1), floatOf(context.node, "beta", 1)];
  // Fractional factors of integers have no meaning in the type itself.
  if (/int/.test(dtype) && !(Number.isInteger(alpha) && Number.isInteger(beta))) return undefined;
  const product = scaled(input(0), alpha);
  if (!context.has(2)) return lower(context, gemmProduct(context), [], alpha === 1 ? undefined : product);
  return lower(context, gemmProduct(context), [2], binary("add", product, scaled(input(1), beta)));
}

export const gemmOperator = defineOperator({
  op: "Gemm",
  infer: (context) => {
    const shape = productShape(gemmProduct(context));
    if (context.has(2)) broadcastShape(context, shape, context.type(2).shape);
    return [{ dtype: context.type(0).dtype, shape }];
  },
  reference: gemm,
  lower: lowerGemm,
  tolerance: sumTolerance,
});
