/**
 * Numbers that an integer product's epilogue multiplies by become operands of one element, so that products which
 * differ in their scales alone share one kernel: less code to load, and it is compiled for speed sooner.
 */
import { type Expression, input, mapExpression } from "../../../runtime/format/expression.ts";
import { tensorOf } from "../../../runtime/format/tensor.ts";
import { expressionAttribute, expressionOf } from "../../graph/attribute.ts";
import type { Value } from "../../graph/graph.ts";
import { rewritePass } from "../pass.ts";

const firstOperand = 3;

export const scaleOperands = rewritePass(
  "scale-operands",
  "integer products that differ in their scales alone share one kernel",
  (node, context) => {
    const epilogue = expressionOf(node, "epilogue");
    if (!epilogue || !/^leafcutter\.Integer(Conv|MatMul)$/.test(node.op)) return undefined;
    const operands: (Value | undefined)[] = node.inputs.slice(firstOperand);
    const places = new Map<number, Expression>();
    const operandOf = (factor: Expression): Expression => {
      if (factor.kind !== "constant" || factor.dtype !== "float32") return factor;
      const known = places.get(factor.value);
      if (known) return known;
      const tensor = tensorOf("float32", [1], [factor.value]);
      const place = input(operands.push(context.addConstant(`${node.name}/scale`, tensor)));
      places.set(factor.value, place);
      return place;
    };
    const shared = mapExpression(epilogue, (part) =>
      part.kind === "binary" && part.operation === "multiply"
        ? { ...part, left: operandOf(part.left), right: operandOf(part.right) }
        : part,
    );
    if (places.size === 0) return undefined;
    const leading = Array.from({ length: firstOperand }, (_, index) => node.inputs[index]);
    return context.emit(node.op, [...leading, ...operands], {
      ...node.attributes,
      epilogue: expressionAttribute(shared),
    });
  },
);
