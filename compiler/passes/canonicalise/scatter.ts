/**
 * ScatterND whose constant indices enumerate a box of whole extents but along one axis (an assignment to a slice) is the
 * concatenation of what lies before the box, the updates and what lies behind it: members are written where they belong.
 */
import { integerAttribute, integerOf, stringOf } from "../../graph/attribute.ts";
import { sameShape } from "../../graph/dimension.ts";
import type { Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import { emitSlice } from "../slice.ts";

export function canonicalScatter(node: Node, context: RewriteContext): Value | undefined {
  const [data, indices, updates] = node.inputs;
  if (!data || !indices || !updates || stringOf(node, "reduction", "none") !== "none") return undefined;
  const box = boxOf(data, indices, context);
  if (!box) return undefined;
  const open = box.filter(({ size }, axis) => size !== data.type.shape[axis]);
  const [cut] = open;
  if (!cut) return sameShape(updates.type.shape, data.type.shape) ? updates : undefined;
  if (open.length > 1) return undefined;
  const axis = box.indexOf(cut);
  const extent = data.type.shape[axis] as number;
  const members = [
    ...partOf(context, data, axis, 0, cut.start),
    updates,
    ...partOf(context, data, axis, cut.start + cut.size, extent),
  ];
  return context.emit("Concat", members, { axis: integerAttribute(axis) }, { version: 13 });
}

interface Span {
  readonly start: number;
  readonly size: number;
}

/** The spans along the leading axes that the indices [extents…, axes] enumerate in order, one axis of theirs per axis of the data. */
function boxOf(data: Value, indices: Value, context: RewriteContext): readonly Span[] | undefined {
  const tensor = context.constant(indices);
  const sizes = indices.type.shape.slice(0, -1) as readonly number[];
  const axes = sizes.length;
  const extents = data.type.shape.slice(0, axes);
  if (!tensor || tensor.data.length === 0 || tensor.shape.at(-1) !== axes) return undefined;
  if (!extents.every((extent) => typeof extent === "number")) return undefined;
  const at = (row: number, axis: number): number => {
    const index = Number(tensor.data[row * axes + axis]);
    return index < 0 ? index + (extents[axis] as number) : index;
  };
  const spans = sizes.map((size, axis): Span => ({ start: at(0, axis), size }));
  const rows = tensor.data.length / axes;
  for (let row = 0; row < rows; row++) {
    let rest = row;
    for (let axis = axes - 1; axis >= 0; axis--) {
      const { start, size } = spans[axis] as Span;
      if (at(row, axis) !== start + (rest % size)) return undefined;
      rest = Math.floor(rest / size);
    }
  }
  return spans.every(({ start, size }, axis) => start >= 0 && start + size <= (extents[axis] as number))
    ? spans
    : undefined;
}

/** Elements start..end of `value` along an axis: members of a concatenation where it is one. */
function partOf(context: RewriteContext, value: Value, axis: number, start: number, end: number): readonly Value[] {
  if (start >= end) return [];
  const extent = value.type.shape[axis];
  if (start === 0 && end === extent) return [value];
  const producer = context.producer(value);
  const members = producer?.inputs.filter((member) => member !== undefined) ?? [];
  const rank = value.type.shape.length;
  const isConcat = producer?.op === "Concat" && (integerOf(producer, "axis", 0) + rank) % rank === axis;
  if (!isConcat || !members.every(({ type }) => typeof type.shape[axis] === "number"))
    return [emitSlice(context, value, [axis], [start], [end])];
  let place = 0;
  return members.flatMap((member) => {
    const first = place;
    place += member.type.shape[axis] as number;
    return partOf(context, member, axis, Math.max(start, first) - first, Math.min(end, place) - first);
  });
}
