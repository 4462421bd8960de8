/** Emits Reshape nodes with explicit extents, the one form in which views are written after canonicalisation. */
import { dimsAttribute, integerAttribute } from "../graph/attribute.ts";
import { type Dim, sameShape } from "../graph/dimension.ts";
import type { Value } from "../graph/graph.ts";
import type { RewriteContext } from "../graph/rewrite.ts";

/** The value under another shape of as many elements; the value itself when the shape is its own. */
export function reshape(context: RewriteContext, value: Value, shape: readonly Dim[], name?: string): Value {
  if (sameShape(value.type.shape, shape)) return value;
  // Extents are meant literally: an extent of 0 is an empty axis.
  const literal = shape.includes(0) ? { allowzero: integerAttribute(1) } : {};
  return context.emit(
    "Reshape",
    [value],
    { shape: dimsAttribute(shape), ...literal },
    { version: 21, ...(name === undefined ? {} : { name }) },
  );
}
