/**
 * Convolutions and products with what onnxruntime's optimiser fuses into them. Rewritten by a pass to the operators they
 * are made of; without that they run as host steps.
 */
import * as reference from "../../../runtime/reference/fused.ts";
import { integerOf } from "../../graph/attribute.ts";
import { divideDims } from "../../graph/dimension.ts";
import { defineOperator, type Operator, type OperatorContext, sumTolerance } from "../operator.ts";
import { convOperator } from "./convolution.ts";
import { gemmOperator } from "./matmul.ts";
import { productOfInputs, productShape } from "./product.ts";

const record = (op: string, infer: Operator["infer"], meaning: Operator["reference"]): Operator =>
  defineOperator({ op: `com.microsoft.${op}`, infer, reference: meaning, tolerance: sumTolerance });

const inferProduct: Operator["infer"] = (context: OperatorContext) => {
  const flag = (name: string): boolean => integerOf(context.node, name, 0) === 1;
  for (const name of ["transBatchA", "transBatchB"])
    if (flag(name)) context.fail(`attribute ${name} is not supported`, "0", "1");
  return [
    { dtype: context.type(0).dtype, shape: productShape(productOfInputs(context, flag("transA"), flag("transB"))) },
  ];
};

const inferSplit: Operator["infer"] = (context) => {
  const { dtype, shape } = context.type(0);
  return [{ dtype, shape: [...shape.slice(0, -1), divideDims(shape.at(-1) ?? 0, 2)] }];
};

export const fusedOperators: readonly Operator[] = [
  record("FusedConv", convOperator.infer, reference.fusedConv),
  record("FusedGemm", gemmOperator.infer, reference.fusedGemm),
  record("FusedMatMul", inferProduct, reference.fusedMatmul),
  record("TransposeMatMul", inferProduct, reference.fusedMatmul),
  record("BiasSplitGelu", inferSplit, reference.biasSplitGelu),
];
