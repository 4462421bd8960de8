/** Results of the demo's workers: errors cross as diagnostics, because an error object loses them on the way. */
import type { Diagnostic } from "../runtime/index.ts";
import { LeafcutterError } from "../runtime/index.ts";

export type Outcome<T> =
  | { readonly kind: "value"; readonly value: T }
  | { readonly kind: "failure"; readonly diagnostic: Diagnostic };

/** What went wrong, as data. */
export function diagnosticOf(
  error: unknown,
  message = "something went wrong that the page did not expect",
): Diagnostic {
  if (error instanceof LeafcutterError) return error.diagnostic;
  return { code: "internal", message, received: error instanceof Error ? error.message : String(error) };
}

export async function outcomeOf<T>(work: () => Promise<T>, message?: string): Promise<Outcome<T>> {
  try {
    return { kind: "value", value: await work() };
  } catch (error) {
    return { kind: "failure", diagnostic: diagnosticOf(error, message) };
  }
}

/** The value, or its failure thrown again as the error it was. */
export function unwrap<T>(outcome: Outcome<T>): T {
  if (outcome.kind === "value") return outcome.value;
  throw new LeafcutterError(outcome.diagnostic);
}
