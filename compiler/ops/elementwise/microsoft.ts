/** Elementwise operators of the com.microsoft domain, as optimised models of onnxruntime contain them. */
import { binary, type Expression, input } from "../../../runtime/format/expression.ts";
import * as reference from "../../../runtime/reference/activation.ts";
import { biasAdd } from "../../../runtime/reference/fused.ts";
import { floatOf } from "../../graph/attribute.ts";
import type { Operator, OperatorContext } from "../operator.ts";
import { geluByErf, geluByTanh, swishOf } from "./activation.ts";
import { defineElementwise } from "./define.ts";

const biased = (context: OperatorContext): Expression =>
  context.has(1) ? binary("add", input(0), input(1)) : input(0);

export const microsoftOperators: readonly Operator[] = [
  defineElementwise({
    op: "com.microsoft.FastGelu",
    arity: [1, 2],
    types: "float",
    reference: reference.fastGelu,
    expression: (context, literal) => geluByTanh(biased(context), literal),
  }),
  defineElementwise({
    op: "com.microsoft.BiasGelu",
    arity: [2, 2],
    types: "float",
    reference: reference.biasGelu,
    expression: (context, literal) => geluByErf(biased(context), literal),
  }),
  defineElementwise({
    op: "com.microsoft.Gelu",
    arity: [1, 1],
    types: "float",
    reference: reference.gelu,
    expression: (_, literal) => geluByErf(input(0), literal),
  }),
  defineElementwise({
    op: "com.microsoft.QuickGelu",
    arity: [1, 1],
    types: "float",
    reference: reference.quickGelu,
    expression: ({ node }, literal) => swishOf(input(0), floatOf(node, "alpha", 1.702), literal),
  }),
  defineElementwise({
    op: "com.microsoft.BiasAdd",
    arity: [3, 3],
    types: "float",
    reference: biasAdd,
    expression: () => binary("add", binary("add", input(0), input(1)), input(2)),
  }),
];
