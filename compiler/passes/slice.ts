/** Emits Slice nodes with their ranges as attributes. */
import { dimsAttribute, integersAttribute } from "../graph/attribute.ts";
import type { Dim } from "../graph/dimension.ts";
import type { Value } from "../graph/graph.ts";
import type { RewriteContext } from "../graph/rewrite.ts";

/** Along axes[i], every steps[i]-th element from starts[i] up to ends[i]. */
export function emitSlice(
  context: RewriteContext,
  x: Value,
  axes: readonly number[],
  starts: readonly Dim[],
  ends: readonly Dim[],
  steps: readonly number[] = axes.map(() => 1),
): Value {
  return context.emit(
    "Slice",
    [x],
    {
      starts: dimsAttribute(starts),
      ends: dimsAttribute(ends),
      axes: integersAttribute(axes),
      steps: integersAttribute(steps),
    },
    { version: 13 },
  );
}
