/**
 * RotaryEmbedding of ONNX and of com.microsoft as leafcutter.RotaryEmbedding: the rows of the tables are picked by
 * position once, heads become an axis of their own, and of a row that is turned in part only that part is.
 */
import { tensorOf } from "../../../runtime/format/tensor.ts";
import { integerAttribute, integerOf } from "../../graph/attribute.ts";
import { addDims, type Dim } from "../../graph/dimension.ts";
import type { Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import { reshape } from "../reshape.ts";
import { emitSlice } from "../slice.ts";

/** Rows of the tables, which broadcast to x without its last axis. */
export interface RotaryTables {
  readonly cos: Value;
  readonly sin: Value;
}

/** x turned: the first elements of each row, twice as many as a row of the tables has. undefined: widths are not known. */
export function emitRotary(
  context: RewriteContext,
  x: Value,
  { cos, sin }: RotaryTables,
  interleaved: boolean,
  name: string,
): Value | undefined {
  const width = x.type.shape.at(-1);
  const pairs = cos.type.shape.at(-1);
  if (typeof width !== "number" || typeof pairs !== "number") return undefined;
  const turned = 2 * pairs;
  const last = x.type.shape.length - 1;
  const part = turned === width ? x : emitSlice(context, x, [last], [0], [turned]);
  const attributes = { interleaved: integerAttribute(interleaved ? 1 : 0) };
  const result = context.emit("leafcutter.RotaryEmbedding", [part, cos, sin], attributes, { name, version: 1 });
  if (turned === width) return result;
  const rest = emitSlice(context, x, [last], [turned], [width]);
  return context.emit("Concat", [result, rest], { axis: integerAttribute(-1) }, { name: `${name}/row`, version: 13 });
}

/** The rows of both tables at computed positions [batch or 1, tokens], for x [batch, tokens, heads, width] or heads first. */
export function gatheredTables(
  context: RewriteContext,
  tables: RotaryTables,
  positions: Value,
  headsFirst: boolean,
  name: string,
): RotaryTables {
  const [batch = 1, tokens = 1] = positions.type.shape;
  const rows = (table: Value): Value => {
    const picked = context.emit(
      "Gather",
      [table, positions],
      { axis: integerAttribute(0) },
      { name: `${name}/rows`, version: 13 },
    );
    const pairs = table.type.shape[1] ?? 1;
    return reshape(
      context,
      picked,
      headsFirst ? [batch, 1, tokens, pairs] : [batch, tokens, 1, pairs],
      `${name}/table`,
    );
  };
  return { cos: rows(tables.cos), sin: rows(tables.sin) };
}

/** The rows from `start` on, one a token, for x [batch, tokens, heads, width] or heads first. */
export function slicedTables(
  context: RewriteContext,
  tables: RotaryTables,
  start: Dim,
  tokens: Dim,
  headsFirst: boolean,
  name: string,
): RotaryTables {
  const rows = (table: Value): Value => {
    const pairs = table.type.shape[1] ?? 1;
    const shape = headsFirst ? [1, 1, tokens, pairs] : [1, tokens, 1, pairs];
    return reshape(context, emitSlice(context, table, [0], [start], [addDims(start, tokens)]), shape, `${name}/table`);
  };
  return { cos: rows(tables.cos), sin: rows(tables.sin) };
}

/** x with heads on an axis of their own, and which axis holds the tokens. */
function rowsOf(node: Node, x: Value, pairs: Dim, context: RewriteContext) {
  const { shape } = x.type;
  if (shape.length === 4) return { rows: x, tokens: shape[2] ?? 1, headsFirst: true };
  const [batch = 1, tokens = 1, size] = shape;
  if (typeof size !== "number" || typeof pairs !== "number") return undefined;
  const heads = integerOf(node, "num_heads", 0) || size / (2 * pairs);
  const rows = reshape(context, x, [batch, tokens, heads, size / heads], `${node.name}/heads`);
  return { rows, tokens, headsFirst: false };
}

/** Input 0 turned by tables [positions, pairs]: by `ids` [batch, tokens], or from one position on. */
export function canonicalMicrosoftRotary(node: Node, context: RewriteContext): Value | undefined {
  const [x, ids, cos, sin] = node.inputs;
  if (!x || !ids || !cos || !sin || x.type.dtype !== "float32") return undefined;
  const form = rowsOf(node, x, cos.type.shape.at(-1) ?? 1, context);
  if (!form) return undefined;
  const tables = microsoftTables(node, ids, { cos, sin }, form, context);
  const interleaved = integerOf(node, "interleaved", 0) === 1;
  const turned = tables && emitRotary(context, form.rows, tables, interleaved, node.name);
  return turned && reshape(context, turned, x.type.shape, `${node.name}/joined`);
}

function microsoftTables(
  node: Node,
  ids: Value,
  tables: RotaryTables,
  { tokens, headsFirst }: { readonly tokens: Dim; readonly headsFirst: boolean },
  context: RewriteContext,
): RotaryTables | undefined {
  if (ids.type.shape.length === 2) return gatheredTables(context, tables, ids, headsFirst, node.name);
  const [start] = context.elements(ids) ?? [];
  if (start !== undefined) return slicedTables(context, tables, start, tokens, headsFirst, node.name);
  if (typeof tokens !== "number") return undefined;
  const steps = Array.from({ length: tokens }, (_, index) => index);
  const counting = context.addConstant(`${node.name}/steps`, tensorOf(ids.type.dtype, [1, tokens], steps));
  const positions = context.emit("Add", [counting, ids], {}, { name: `${node.name}/positions`, version: 14 });
  return gatheredTables(context, tables, positions, headsFirst, node.name);
}

/** As the other one; without ids the tables hold a row per batch and token. */
export function canonicalOnnxRotary(node: Node, context: RewriteContext): Value | undefined {
  const [x, cos, sin, ids] = node.inputs;
  if (!x || !cos || !sin || x.type.dtype !== "float32") return undefined;
  const form = rowsOf(node, x, cos.type.shape.at(-1) ?? 1, context);
  if (!form) return undefined;
  const own = (table: Value): Value => {
    const [batch = 1, tokens = 1, pairs = 1] = table.type.shape;
    const shape = form.headsFirst ? [batch, 1, tokens, pairs] : [batch, tokens, 1, pairs];
    return reshape(context, table, shape, `${node.name}/table`);
  };
  const tables = ids
    ? gatheredTables(context, { cos, sin }, ids, form.headsFirst, node.name)
    : { cos: own(cos), sin: own(sin) };
  const turned = emitRotary(context, form.rows, tables, integerOf(node, "interleaved", 0) === 1, node.name);
  return turned && reshape(context, turned, x.type.shape, `${node.name}/joined`);
}
