/** leafcutter.Unreachable: a branch that could not be compiled is taken. Throws model-unsupported with the compiler's reason. */
import { LeafcutterError } from "../format/diagnostic.ts";
import type { Reference } from "./reference.ts";

export const unreachable: Reference = ({ attributes }) => {
  throw new LeafcutterError({
    code: "model-unsupported",
    message: "the model takes a branch that could not be compiled",
    where: "run",
    ...(typeof attributes.message === "string" ? { received: attributes.message } : {}),
    advice: "Compile the model for the shapes and input values that take this branch (--dim, --value).",
  });
};
