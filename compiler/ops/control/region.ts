/** What the operators that hold graphs have in common: no function of their inputs alone says what they mean. */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import type { Reference } from "../../../runtime/reference/reference.ts";

export const regionReference: Reference = () => {
  throw new LeafcutterError({
    code: "internal",
    message: "an operator that holds a graph was called like a function",
    where: "If, leafcutter.Loop",
  });
};
