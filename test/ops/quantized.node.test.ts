/**
 * The quantised operators: the reference agrees with onnxruntime-web (exactly, but where a case gives slack); inference,
 * expression, nests and generated code agree exactly with the reference.
 */
import { describe, expect, it } from "vitest";
import { isFloat } from "../../runtime/format/dtype.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { executeWasm } from "../kernels/execute-wasm.ts";
import { type QuantizedCase, quantizedCases } from "./cases/quantized.ts";
import { difference } from "./compare.ts";
import { executeExpression, executeLoops, executeReference, inferCall, type Knowledge } from "./execute.ts";
import { runOnnxruntime } from "./one-node-model.ts";

/** Sums of floats are rounded in another order by generated code. */
const ofSums: ReadonlySet<string> = new Set(["com.microsoft.MatMulNBits"]);
/** Floats that differ in the last bit differ by a step at a tie. */
const ofSteps: ReadonlySet<string> = new Set(["com.microsoft.QLinearSigmoid", "com.microsoft.QLinearLeakyRelu"]);

/** What differs by more than `slack`: steps of an integer type, or parts of the largest float. */
function apart(actual: Tensor | undefined, expected: Tensor, slack: number): string | undefined {
  if (slack === 0 || isFloat(expected.dtype)) return difference(actual, expected, { absolute: slack, relative: slack });
  if (!actual) return "there is no such output";
  if (`${actual.dtype}[${actual.shape}]` !== `${expected.dtype}[${expected.shape}]`) return "another type";
  const at = actual.data.findIndex((value, index) => Math.abs(Number(value) - Number(expected.data[index])) > slack);
  return at < 0 ? undefined : `element ${at}: expected ${expected.data[at]}, received ${actual.data[at]}`;
}

const callOf = (one: QuantizedCase) => ({ ...one, outputCount: one.outputCount ?? 1 });

describe.each([...new Set(quantizedCases.map(({ op }) => op))])("%s", (op) => {
  it.each(quantizedCases.filter((one) => one.op === op).map((one) => [one.name, one] as const))(
    "%s",
    async (_, one) => {
      const call = callOf(one);
      const outputs = executeReference(call);
      const own = ofSums.has(op) ? 1e-6 : ofSteps.has(op) ? 1 : 0;
      for (const knowledge of ["types", "constants"] satisfies Knowledge[]) {
        expect(inferCall(call, knowledge).types).toEqual(outputs.map(({ dtype, shape }) => ({ dtype, shape })));
        const ways = {
          expression: executeExpression(call, knowledge),
          lowering: executeLoops(call, knowledge),
          "generated code": executeWasm(call, knowledge, "gapped", 3)?.outputs,
        };
        for (const [way, actual] of Object.entries(ways))
          for (const [index, output] of (actual ?? []).entries())
            expect(apart(output, outputs[index]!, own), `${way}, output ${index}`).toBeUndefined();
      }
      if (one.withoutOracle) return;
      const expected = await runOnnxruntime(call);
      for (const [index, output] of outputs.entries())
        expect(apart(output, expected[index]!, one.slack ?? 0), `onnxruntime, output ${index}`).toBeUndefined();
    },
  );
});
