/**
 * Matrix products of quantised operands, by the nest of their definition: MatMulInteger, QLinearMatMul and com.microsoft's QGemm,
 * MatMulIntegerToFloat. Passes turn those with constant weights into leafcutter.IntegerMatMul.
 */
import type { DType } from "../../../runtime/format/dtype.ts";
import { binary, cast, constant, type Expression, input } from "../../../runtime/format/expression.ts";
import {
  matmulInteger,
  matmulIntegerToFloat,
  qlinearMatmul,
  quantizedGemm,
} from "../../../runtime/reference/integer-product.ts";
import { quantizedTypeOf } from "../../../runtime/reference/quantized-type.ts";
import { floatOf, integerOf } from "../../graph/attribute.ts";
import type { Dim } from "../../graph/dimension.ts";
import { type AffineIndex, along, fixed } from "../../loop/loop.ts";
import { firstOutput, hasGeneratedCode, inputOperand, stepsOf } from "../contraction/operands.ts";
import { type Product, productAccess, productOfShapes, productShape } from "../contraction/product.ts";
import { exactTolerance, type Lowering, type Operator, type OperatorContext, sumTolerance } from "../operator.ts";
import { type BoundParameters, bindParameters } from "./parameters.ts";
import { asFloat, centred, quantized } from "./quantize-expression.ts";

/** Which inputs of a node are what. `rows` and `columns` are parameters of A and of B: one value, a vector, or a shape that broadcasts. */
interface Roles {
  readonly left: number;
  readonly right: number;
  readonly leftZero: number;
  readonly rightZero: number;
  /** Further inputs with a value for each row of A. */
  readonly rows?: readonly number[];
  /** Further inputs that broadcast to the result: values for each column of B, or scalars. */
  readonly columns?: readonly number[];
}

function productOf(context: OperatorContext, { left, right }: Roles, turned = false): Product {
  for (const index of [left, right]) {
    const { dtype } = context.type(index);
    if (dtype !== "int8" && dtype !== "uint8")
      context.fail(`input ${index} is not of 8-bit integers`, "int8 or uint8", dtype);
  }
  const flag = (name: string): boolean => turned && integerOf(context.node, name, 0) === 1;
  return productOfShapes(context, context.type(left).shape, context.type(right).shape, flag("transA"), flag("transB"));
}

function lower(
  context: OperatorContext,
  product: Product,
  roles: Roles,
  dtype: DType,
  finish: (sum: Expression, parameters: BoundParameters) => Expression | undefined,
): Lowering {
  const access = productAccess(product);
  const rank = product.batch.length;
  /** A vector belongs to `vector`; a longer shape is aligned with [batch…, row, column]. */
  const aligned = (shape: readonly Dim[], vector: number): readonly AffineIndex[] =>
    shape.map((extent, at) =>
      extent === 1 ? fixed(0) : along(shape.length === 1 ? vector : at + rank + 2 - shape.length),
    );
  const shapeOf = (index: number): readonly Dim[] => (context.has(index) ? context.type(index).shape : []);
  const parameters = bindParameters(context, 2, [
    ...[roles.leftZero, ...(roles.rows ?? [])].map((index) => ({ index, access: aligned(shapeOf(index), rank) })),
    ...[roles.rightZero, ...(roles.columns ?? [])].map((index) => ({
      index,
      access: aligned(shapeOf(index), rank + 1),
    })),
  ]);
  const left = centred(input(0), parameters.inBody(roles.leftZero));
  const right = centred(input(1), parameters.inBody(roles.rightZero));
  const finished = finish(input(0), parameters);
  return stepsOf({
    kind: "nest",
    nest: {
      extents: access.extents,
      reductions: 1,
      operands: [
        { dtype: context.type(roles.left).dtype, access: access.left },
        { dtype: context.type(roles.right).dtype, access: access.right },
        ...parameters.loopOperands,
      ],
      parameters: [],
      body: binary("multiply", left, right),
      combine: "add",
      ...(finished ? { finish: finished } : {}),
      output: { dtype, access: access.result },
    },
    operands: [inputOperand(roles.left), inputOperand(roles.right), ...parameters.stepOperands],
    output: firstOutput,
  });
}

const integerRoles: Roles = { left: 0, right: 1, leftZero: 2, rightZero: 3 };

const matmulIntegerOperator: Operator = {
  op: "MatMulInteger",
  infer: (context) => [{ dtype: "int32", shape: productShape(productOf(context, integerRoles)) }],
  reference: matmulInteger,
  lower: (context) => lower(context, productOf(context, integerRoles), integerRoles, "int32", () => undefined),
  tolerance: exactTolerance,
};

const quantizedType = (context: OperatorContext, dtype: DType) =>
  quantizedTypeOf(dtype) ?? context.fail("cannot quantise to this element type", "int8 or uint8", dtype);

const scaled = (sum: Expression, multiplier: Expression): Expression =>
  binary("multiply", cast("float32", sum), multiplier);

const linearRoles: Roles = { left: 0, right: 3, leftZero: 2, rightZero: 5, rows: [1], columns: [4, 6, 7] };

const qlinearMatmulOperator: Operator = {
  op: "QLinearMatMul",
  infer: (context) => [{ dtype: context.type(7).dtype, shape: productShape(productOf(context, linearRoles)) }],
  reference: qlinearMatmul,
  lower: (context) => {
    const target = quantizedType(context, context.type(7).dtype);
    if (![1, 4, 6].every((index) => hasGeneratedCode(context.type(index).dtype))) return undefined;
    return lower(context, productOf(context, linearRoles), linearRoles, target.dtype, (sum, { inFinish }) => {
      const scale = (index: number): Expression => asFloat(inFinish(index)!, context.type(index).dtype);
      const multiplier = binary("divide", binary("multiply", scale(1), scale(4)), scale(6));
      return quantized(scaled(sum, multiplier), inFinish(7), target);
    });
  },
  tolerance: exactTolerance,
};

const gemmRoles: Roles = { left: 0, right: 3, leftZero: 2, rightZero: 5, rows: [1], columns: [4, 6, 7, 8] };

const gemmType = (context: OperatorContext): DType => {
  if (!context.has(7)) return "float32";
  return context.type(context.has(8) ? 8 : 0).dtype;
};

const quantizedGemmOperator: Operator = {
  op: "com.microsoft.QGemm",
  infer: (context) => [{ dtype: gemmType(context), shape: productShape(productOf(context, gemmRoles, true)) }],
  reference: quantizedGemm,
  lower: (context) => {
    const dtype = gemmType(context);
    const alpha = floatOf(context.node, "alpha", 1);
    return lower(context, productOf(context, gemmRoles, true), gemmRoles, dtype, (sum, { inFinish }) => {
      const [c, result] = [inFinish(6), inFinish(7)];
      const left = alpha === 1 ? inFinish(1)! : binary("multiply", constant(alpha), inFinish(1)!);
      const scale = binary("multiply", left, inFinish(4)!);
      const total = c ? binary("add", sum, c) : sum;
      if (!result) return scaled(total, scale);
      return quantized(scaled(total, binary("divide", scale, result)), inFinish(8), quantizedType(context, dtype));
    });
  },
  tolerance: sumTolerance,
};

const floatRoles: Roles = { left: 0, right: 1, leftZero: 4, rightZero: 5, rows: [2], columns: [3, 6] };

const matmulIntegerToFloatOperator: Operator = {
  op: "com.microsoft.MatMulIntegerToFloat",
  infer: (context) => [{ dtype: context.type(2).dtype, shape: productShape(productOf(context, floatRoles)) }],
  reference: matmulIntegerToFloat,
  lower: (context) => {
    if (context.type(2).dtype !== "float32") return undefined;
    return lower(context, productOf(context, floatRoles), floatRoles, "float32", (sum, { inFinish }) => {
      const value = scaled(sum, binary("multiply", inFinish(2)!, inFinish(3)!));
      const bias = inFinish(6);
      return bias ? binary("add", value, bias) : value;
    });
  },
  tolerance: sumTolerance,
};

export const integerMatmulOperators: readonly Operator[] = [
  matmulIntegerOperator,
  qlinearMatmulOperator,
  quantizedGemmOperator,
  matmulIntegerToFloatOperator,
];
