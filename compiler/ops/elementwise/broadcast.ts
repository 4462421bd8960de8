/**
 * Numpy broadcasting of symbolic shapes. Only a constant 1 repeats: two symbolic extents that are not provably equal are
 * taken to be equal; two different numbers, and a number beside a range, are refused.
 */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import { type Dim, formatDim } from "../../graph/dimension.ts";
import type { OperatorContext } from "../operator.ts";

const show = (shapes: readonly (readonly Dim[])[]): string =>
  shapes.map((shape) => `[${shape.map(formatDim).join(",")}]`).join(" and ");

/** A package for all values of a range cannot hold what is right for one of them. */
function rangeMeetsNumber({ node }: OperatorContext, shapes: readonly (readonly Dim[])[]): LeafcutterError {
  return new LeafcutterError({
    code: "operator-invalid",
    where: `node ${node.name} (${node.op})`,
    message: "a dimension with a range meets a fixed one, and they differ",
    expected: "extents that are equal or 1, for every value of the range",
    received: show(shapes),
    advice: "Bind both to numbers, or spell one by the other, as in --dim total=past+1.",
  });
}

/** The shape that all of `shapes` broadcast to. */
export function broadcastDims(context: OperatorContext, shapes: readonly (readonly Dim[])[]): readonly Dim[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    let extent: Dim = 1;
    for (const shape of shapes) {
      const own = shape[axis - rank + shape.length] ?? 1;
      if (own === 1) continue;
      if (extent === 1) extent = own;
      else if (typeof own !== typeof extent && (typeof own === "number" || typeof extent === "number"))
        throw rangeMeetsNumber(context, shapes);
      else if (typeof own === "number" && own !== extent)
        context.fail("the inputs do not broadcast", "extents that are equal or 1", show(shapes));
    }
    return extent;
  });
}
