/** What of the ONNX backend suites is refused, and why: any other refusal, and any wrong result, fails the suite. */
import type { DiagnosticCode, LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { unsupportedOperators, unsupportedTypes } from "../ops/unsupported.ts";

interface Refusal {
  readonly code: DiagnosticCode;
  readonly message: RegExp;
  readonly reason: string;
}

const refusals: readonly Refusal[] = [
  { code: "model-unsupported", message: /version of the operator set/, reason: "an operator set outside 7 to 26" },
  { code: "model-unsupported", message: /sequence or an optional/, reason: "sequences and optional values" },
  { code: "model-unsupported", message: /Scan of operator sets before 9/, reason: "Scan of operator sets before 9" },
  { code: "model-unsupported", message: /shape of the result depends on data/, reason: "results of unknown size" },
  {
    code: "model-unsupported",
    message: /attribute (score|prob)_mod is a graph/,
    reason: "FlexAttention with graphs of its own, a preview operator",
  },
  { code: "operator-invalid", message: /training mode/, reason: "training" },
  {
    code: "operator-unknown",
    message: /Sequence(Construct|Empty)|SplitToSequence/,
    reason: "sequences and optional values",
  },
  { code: "operator-unknown", message: /ai\.onnx\.preview\.training/, reason: "training" },
];

/** Why it is right that this model is refused; undefined when it is not. */
export function reasonOf(error: LeafcutterError): string | undefined {
  const { code, message, received } = error.diagnostic;
  const known = refusals.find((refusal) => refusal.code === code && refusal.message.test(message));
  if (known) return known.reason;
  if (code === "model-unsupported" && received !== undefined && unsupportedTypes.has(received))
    return `type ${received}`;
  const operator = code === "operator-unknown" ? /operator (\S+) is not known/.exec(message)?.[1] : undefined;
  const reason = operator === undefined ? undefined : unsupportedOperators[operator];
  return reason === undefined ? undefined : `operator ${operator}: ${reason}`;
}
