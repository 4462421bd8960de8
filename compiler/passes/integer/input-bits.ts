/**
 * Marks integer products whose input is in 0..127 whatever happens, because the kernel that made it saturates there:
 * dot products of such values with int8 cannot overflow the 16 bits that the relaxed instructions keep in between.
 */
import { expressionType } from "../../../runtime/format/expression.ts";
import { expressionOf, integerAttribute, integerOf } from "../../graph/attribute.ts";
import type { Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import { rewritePass } from "../pass.ts";
import { clipOf } from "./scaled-expression.ts";

export const inputBits = rewritePass(
  "input-bits",
  "products of 7-bit inputs may use the fastest dot products",
  (node, context) => {
    const [x] = node.inputs;
    if (!/^leafcutter\.Integer(Conv|MatMul)$/.test(node.op) || !x || integerOf(node, "inputBits", 8) === 7)
      return undefined;
    if (integerOf(node, "padValue", 0) < 0 || integerOf(node, "padValue", 0) > 127 || !isSevenBits(x, context))
      return undefined;
    return context.emit(node.op, node.inputs, { ...node.attributes, inputBits: integerAttribute(7) });
  },
);

/** Operators whose results are values of their first operand (of all operands for Concat). */
const movers: ReadonlySet<string> = new Set([
  "Reshape",
  "Transpose",
  "Slice",
  "Expand",
  "Tile",
  "DepthToSpace",
  "SpaceToDepth",
  "Resize",
  "Upsample",
  "Gather",
  "ReduceMax",
  "ReduceMin",
  "leafcutter.Pool",
]);

function isSevenBits(value: Value, context: RewriteContext): boolean {
  const producer = context.producer(value);
  if (!producer) return false;
  if (producer.op === "Concat") return producer.inputs.every((operand) => operand && isSevenBits(operand, context));
  if (movers.has(producer.op)) return isSevenBits(producer.inputs[0] as Value, context);
  const result = expressionOf(producer, producer.op === "leafcutter.Elementwise" ? "expression" : "epilogue");
  if (result?.kind !== "cast" || expressionType(result, []) !== value.type.dtype) return false;
  const clipped = clipOf(result.value);
  return clipped !== undefined && clipped.low >= 0 && clipped.high <= 127;
}
