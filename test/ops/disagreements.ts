/** Whether the parts of a record agree on one node: its expression and its loop nests against the outputs of its reference. */
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { difference } from "./compare.ts";
import { executeExpression, executeLoops, inferCall, type Knowledge, type NodeCall } from "./execute.ts";

/** Larger outputs are left to the faster executors. */
const mostElements = 100_000;

/** What disagrees with the reference at one node. */
export function* disagreements(call: NodeCall, outputs: readonly Tensor[]): Generator<string> {
  if (outputs.some(({ data }) => data.length > mostElements)) return;
  for (const knowledge of ["types", "constants"] satisfies Knowledge[]) {
    // Shapes that depend on data cannot be inferred from types alone.
    if (knowledge === "types" && !infers(call)) continue;
    for (const execute of [executeExpression, executeLoops]) {
      for (const [index, output] of (execute(call, knowledge) ?? []).entries()) {
        const expected = outputs[index];
        const bound = { float16: 1e-2, bfloat16: 3e-2 }[expected?.dtype as string] ?? 1e-5;
        const problem = expected && difference(output, expected, { absolute: bound, relative: bound });
        if (problem) yield `${call.op}, ${execute.name} knowing ${knowledge}: ${problem}`;
      }
    }
  }
}

function infers(call: NodeCall): boolean {
  try {
    inferCall(call, "types");
    return true;
  } catch (error) {
    if (error instanceof LeafcutterError) return false;
    throw error;
  }
}
