/**
 * Errors are data with one formatter: what failed, at which place, what was expected and received,
 * and what to do next. Every error that Leafcutter throws on purpose is a LeafcutterError.
 */
export type DiagnosticCode =
  | "model-invalid"
  | "model-unsupported"
  | "operator-unknown"
  | "operator-invalid"
  | "dimension-unbound"
  | "value-unbound"
  | "file-missing"
  | "file-refused"
  | "package-invalid"
  | "integrity-mismatch"
  | "program-invalid"
  | "feature-missing"
  | "input-unknown"
  | "input-missing"
  | "input-dtype"
  | "input-shape"
  | "input-value"
  | "state-full"
  | "memory-exceeded"
  | "budget-infeasible"
  | "self-test-failed"
  | "aborted"
  | "disposed"
  | "device-lost"
  | "worker-failed"
  | "network"
  | "option-invalid"
  | "profile-invalid"
  | "counters-unreadable"
  | "lock-mismatch"
  | "internal";

export interface Diagnostic {
  readonly code: DiagnosticCode;
  /** One sentence: what failed. */
  readonly message: string;
  /** The node, file, input or stage concerned. */
  readonly where?: string;
  readonly expected?: string;
  readonly received?: string;
  /** What the reader can do about it. */
  readonly advice?: string;
  /** More of it for programs: plain data whose form follows from the code (budget-infeasible: compiler/budget/outcome.ts). */
  readonly details?: unknown;
}

/** The one formatter: a single paragraph, the parts that are known in a fixed order. */
function formatDiagnostic(diagnostic: Diagnostic): string {
  const { code, message, where, expected, received, advice } = diagnostic;
  const parts = [`${where ? `${where}: ` : ""}${message}`];
  if (expected !== undefined) parts.push(`expected ${expected}`);
  if (received !== undefined) parts.push(`received ${received}`);
  return `${parts.join("; ")}.${advice ? ` ${advice}` : ""} [${code}]`;
}

/** An error that carries its diagnostic; it survives structured cloning through `diagnostic`. */
export class LeafcutterError extends Error {
  override readonly name = "LeafcutterError";
  readonly diagnostic: Diagnostic;

  constructor(diagnostic: Diagnostic, options?: ErrorOptions) {
    super(formatDiagnostic(diagnostic), options);
    this.diagnostic = diagnostic;
  }

  get code(): DiagnosticCode {
    return this.diagnostic.code;
  }
}

/** The closest of `candidates` to `word` by edit distance, when close enough to be a typing slip. */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, i) => i);
  for (let i = 1; i <= left.length; i++) {
    const next = [i];
    for (let j = 1; j <= right.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[right.length] ?? 0;
}
