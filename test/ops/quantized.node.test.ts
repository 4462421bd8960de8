/**
 * The quantised operators: the reference agrees with onnxruntime-web (exactly, but where a case gives slack); inference,
 * expression, nests and generated code agree exactly with the reference.
 */
import { describe, expect, it } from "vitest";
import { executeWasm } from "../kernels/execute-wasm.ts";
import { type QuantizedCase, quantizedCases } from "./cases/quantized.ts";
import { executeExpression, executeLoops, executeReference, inferCall, type Knowledge } from "./execute.ts";
import { runOnnxruntime } from "./one-node-model.ts";
import { stepsApart } from "./steps-apart.ts";

/** Sums of floats are rounded in another order by generated code. */
const ofSums: ReadonlySet<string> = new Set(["com.microsoft.MatMulNBits"]);
/** Floats that differ in the last bit differ by a step at a tie. */
const ofSteps: ReadonlySet<string> = new Set(["com.microsoft.QLinearSigmoid", "com.microsoft.QLinearLeakyRelu"]);

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
            expect(stepsApart(output, outputs[index]!, own), `${way}, output ${index}`).toBeUndefined();
      }
      if (one.withoutOracle) return;
      const expected = await runOnnxruntime(call);
      for (const [index, output] of outputs.entries())
        expect(stepsApart(output, expected[index]!, one.slack ?? 0), `onnxruntime, output ${index}`).toBeUndefined();
    },
  );
});
