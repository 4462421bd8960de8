/**
 * Numpy broadcasting of symbolic shapes. Only a constant 1 repeats: two extents that are not provably equal are taken
 * to be equal (a number wins over a symbol), two different numbers are refused.
 */
import type { Dim } from "../../graph/dimension.ts";
import type { OperatorContext } from "../operator.ts";

const show = (shapes: readonly (readonly Dim[])[]): string =>
  shapes
    .map((shape) => `[${shape.map((dim) => (typeof dim === "object" ? JSON.stringify(dim) : dim)).join(",")}]`)
    .join(" and ");

/** The shape that all of `shapes` broadcast to. */
export function broadcastDims(context: OperatorContext, shapes: readonly (readonly Dim[])[]): readonly Dim[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    let extent: Dim = 1;
    for (const shape of shapes) {
      const own = shape[axis - rank + shape.length] ?? 1;
      if (own === 1) continue;
      if (extent === 1 || (typeof extent !== "number" && typeof own === "number")) extent = own;
      else if (typeof own === "number" && own !== extent)
        context.fail("the inputs do not broadcast", "extents that are equal or 1", show(shapes));
    }
    return extent;
  });
}
