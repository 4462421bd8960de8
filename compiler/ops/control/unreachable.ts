/**
 * leafcutter.Unreachable stands for a branch that cannot be compiled (for the shapes at hand, or at all): running it is
 * the error in `message`. Attributes `dtypes` and `shape<i>` say what it would have given.
 */
import { dtypes } from "../../../runtime/format/dtype.ts";
import { unreachable as reference } from "../../../runtime/reference/unreachable.ts";
import { dimsOf, stringsOf } from "../../graph/attribute.ts";
import { defineOperator, exactTolerance, type Operator } from "../operator.ts";

export const unreachableOperator: Operator = defineOperator({
  op: "leafcutter.Unreachable",
  infer: (context) =>
    (stringsOf(context.node, "dtypes") ?? []).map((name, index) => ({
      dtype: dtypes.find((dtype) => dtype === name) ?? context.fail("an element type is not known", undefined, name),
      shape: dimsOf(context.node, `shape${index}`) ?? [],
    })),
  reference,
  tolerance: exactTolerance,
});
