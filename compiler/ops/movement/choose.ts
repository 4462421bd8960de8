/** NonZero, Compress, Unique: shapes that depend on data. TopK: computed by the host. */
import * as reference from "../../../runtime/reference/choose.ts";
import { integerOf } from "../../graph/attribute.ts";
import { defineOperator, exactTolerance, type Operator } from "../operator.ts";
import { axisOf, dimsOf } from "./copy.ts";
import { discoveredTypes } from "./discover.ts";

const discovered = (op: string, meaning: Operator["reference"]): Operator =>
  defineOperator({
    op,
    infer: (context) => discoveredTypes(context, meaning),
    reference: meaning,
    tolerance: exactTolerance,
  });

export const nonZero = discovered("NonZero", reference.nonZero);
export const compress = discovered("Compress", reference.compress);
export const unique = discovered("Unique", reference.unique);

export const topK = defineOperator({
  op: "TopK",
  infer: (context) => {
    const { dtype, shape } = context.type(0);
    const [count] = dimsOf(context, "k", 1) ?? context.fail("k is missing");
    if (count === undefined) return context.fail("k is empty");
    const axis = axisOf(context, integerOf(context.node, "axis", -1), shape.length);
    const extent = shape[axis];
    if (typeof count === "number" && typeof extent === "number" && count > extent)
      context.fail("k is greater than the axis", `at most ${extent}`, String(count));
    const kept = shape.map((own, i) => (i === axis ? count : own));
    return [
      { dtype, shape: kept },
      { dtype: "int64", shape: kept },
    ];
  },
  reference: reference.topK,
  tolerance: exactTolerance,
});
