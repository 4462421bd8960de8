/** The error for a name that no state has. */
import { closest, LeafcutterError } from "../format/diagnostic.ts";
import type { State } from "../format/program.ts";

export function unknownState(name: string, states: readonly State[] = []): LeafcutterError {
  const names = states.map((state) => state.name);
  const near = closest(name, names);
  return new LeafcutterError({
    code: "input-unknown",
    message: "the package has no such state",
    where: name,
    expected: names.join(", ") || "no states: the model was compiled without --state",
    ...(near === undefined ? {} : { advice: `Did you mean ${near}?` }),
  });
}
