/**
 * A one-hot encoding times a matrix is a look-up of the matrix's rows, and what is done to each element of a row can
 * be done to the table at compile time. Valid for any index: one outside the range finds a row of zeros, as the
 * product would give. Profits: exporters that write embeddings as products.
 */
import { binary, constant, input, select } from "../../../runtime/format/expression.ts";
import { type Tensor, zeros } from "../../../runtime/format/tensor.ts";
import { expressionAttribute, integerAttribute, integerOf } from "../../graph/attribute.ts";
import { sameDim, sameShape } from "../../graph/dimension.ts";
import type { Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import { broadcastDims, isElementwise } from "../elementwise.ts";
import { rewritePass } from "../pass.ts";
import { reshape } from "../reshape.ts";
import { placelessStorage } from "../storage.ts";

export const recogniseTable = rewritePass(
  "recognise-table",
  "a product with a one-hot encoding is a look-up",
  (node, context) => (node.op === "leafcutter.MatMul" ? lookUp(node, context) : intoTable(node, context)),
);

function lookUp(node: Node, context: RewriteContext): Value | undefined {
  const [encoded, weights, bias] = node.inputs;
  const table = weights && context.constant(weights);
  const index = encoded && oneHotIndex(encoded, context);
  if (
    !index ||
    !table ||
    table.shape.length !== 2 ||
    bias ||
    node.inputs.length > 2 ||
    integerOf(node, "transposeB", 0) !== 0
  )
    return undefined;
  const [rows = 0, columns = 0] = table.shape;
  const { dtype } = index.type;
  const position = input(0);
  const inside = binary(
    "and",
    binary("greaterOrEqual", position, constant(0, dtype)),
    binary("less", position, constant(rows, dtype)),
  );
  const bounded = context.emit(
    "leafcutter.Elementwise",
    [index],
    { expression: expressionAttribute(select(inside, position, constant(rows, dtype))) },
    { name: `${node.name}/index` },
  );
  const padded = zeros("float32", [rows + 1, columns]);
  padded.data.set(table.data as Float32Array);
  const flat = reshape(context, bounded, index.type.shape.slice(0, -1), `${node.name}/index`);
  const result = context.emit(
    "Gather",
    [context.addConstant(weights.name, padded, placelessStorage(weights.type.storage)), flat],
    { axis: integerAttribute(0) },
    { version: 13 },
  );
  return sameShape(result.type.shape, (node.outputs[0] as Value).type.shape) ? result : undefined;
}

/** The index behind Cast(index == [0, 1, …]): integers of shape […, 1]. */
function oneHotIndex(encoded: Value, context: RewriteContext): Value | undefined {
  const cast = context.producer(encoded);
  const equal = cast?.op === "Cast" && cast.inputs[0] ? context.producer(cast.inputs[0]) : undefined;
  if (equal?.op !== "Equal") return undefined;
  const { shape } = encoded.type;
  for (const [side, other] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const index = equal.inputs[side];
    const counting = equal.inputs[other] && context.constant(equal.inputs[other]);
    if (!index || !counting || !counts(counting) || counting.data.length !== shape.at(-1)) continue;
    const { dtype, shape: indexShape } = index.type;
    if (
      (dtype === "int32" || dtype === "int64") &&
      indexShape.length === shape.length &&
      sameDim(indexShape.at(-1) ?? 0, 1) &&
      sameShape(indexShape.slice(0, -1), shape.slice(0, -1))
    )
      return index;
  }
  return undefined;
}

/** 0, 1, 2, … along the last axis. */
const counts = ({ shape, data }: Tensor): boolean =>
  shape.at(-1) === data.length &&
  (data as ArrayLike<number | bigint> & Iterable<number | bigint>).length > 1 &&
  Array.from(data as ArrayLike<number | bigint>, Number).every((value, position) => value === position);

/** Constant, or computed from constants (and folded after this pass). */
function isKnown(value: Value, context: RewriteContext): boolean {
  if (context.constant(value)) return true;
  const producer = context.producer(value);
  return (
    producer !== undefined &&
    isElementwise(producer, context) &&
    producer.inputs.every((operand) => !operand || isKnown(operand, context))
  );
}

/** f(table[index]) = f(table)[index], when the other operands are constant along the rows. */
function intoTable(node: Node, context: RewriteContext): Value | undefined {
  const [output] = node.outputs;
  if (!output || node.outputs.length !== 1 || node.inputs.length === 0) return undefined;
  const gathered = node.inputs.find((value) => value && context.producer(value)?.op === "Gather");
  const gather = gathered && context.producer(gathered);
  const [rows, index] = gather?.inputs ?? [];
  if (
    !gathered ||
    !gather ||
    !rows ||
    !index ||
    !isKnown(rows, context) ||
    rows.type.shape.length !== 2 ||
    integerOf(gather, "axis", 0) !== 0
  )
    return undefined;
  if (!sameShape(gathered.type.shape, output.type.shape) || !isElementwise(node, context)) return undefined;
  // Not when the table is longer than what is read from it.
  const read = index.type.shape.reduce<number>((product, dim) => product * (typeof dim === "number" ? dim : 1), 1);
  const readers = context.consumers(gathered);
  const [length, columns] = rows.type.shape as readonly [number, number];
  if (length > read || readers.some((reader) => !isElementwise(reader, context))) return undefined;
  const isRow = (value: Value): boolean => {
    const used = value.type.shape.filter((dim) => !sameDim(dim, 1));
    return (
      context.constant(value) !== undefined &&
      value.type.shape.length <= 2 &&
      (used.length === 0 || (used.length === 1 && sameDim(value.type.shape.at(-1) ?? 0, columns)))
    );
  };
  const inputs = node.inputs.map((value) => (value === gathered ? rows : value));
  if (inputs.some((value) => value && value !== rows && !isRow(value))) return undefined;
  if (!sameShape(broadcastDims(inputs.filter((value) => value !== undefined)), rows.type.shape)) return undefined;
  const applied = context.emit(node.op, inputs, node.attributes);
  return context.emit(
    "Gather",
    [applied, index],
    { axis: integerAttribute(0) },
    { name: `${node.name}/rows`, version: 13 },
  );
}
