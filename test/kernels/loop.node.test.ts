/**
 * The loop family: every case of the operator tables whose lowering is loop nests runs as generated code, on dense
 * operands and on ones with gaps, in one piece and cut.
 */
import { describe, expect, it } from "vitest";
import { isBindable } from "../../compiler/kernels/loop/bind.ts";
import type { LoopNest } from "../../compiler/loop/loop.ts";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { DType } from "../../runtime/format/dtype.ts";
import { input, unary } from "../../runtime/format/expression.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { numbersOf, tensorOfNumbers } from "../../runtime/reference/numbers.ts";
import type { OperatorCase } from "../ops/case.ts";
import { activationCases } from "../ops/cases/activation.ts";
import { arithmeticCases } from "../ops/cases/arithmetic.ts";
import { convertCases } from "../ops/cases/convert.ts";
import { logicCases } from "../ops/cases/logic.ts";
import { mathCases } from "../ops/cases/math.ts";
import { type Bound, difference } from "../ops/compare.ts";
import { executeReference, inferCall, type Knowledge, type NodeCall } from "../ops/execute.ts";
import { executeWasm } from "./execute-wasm.ts";

const cases: readonly OperatorCase[] = [
  ...arithmeticCases,
  ...mathCases,
  ...activationCases,
  ...logicCases,
  ...convertCases,
];

/** Generated functions are good to a few units in the last place, of 1 where terms cancel. */
function boundFor(dtype: DType): Bound {
  const unit = { float64: 2 ** -52, float32: 2 ** -23, float16: 2 ** -10, bfloat16: 2 ** -7 }[dtype as string] ?? 0;
  return { absolute: 0, relative: 16 * unit, least: 16 * unit };
}

/** The trigonometric functions are good up to 2^20. */
function withinDomain({ op, inputs }: OperatorCase, outputs: readonly Tensor[]): readonly Tensor[] {
  const [x] = inputs;
  if (!x || !["Sin", "Cos", "Tan"].includes(op)) return outputs;
  const values = numbersOf(x);
  return outputs.map((output) => {
    const numbers = Array.from(numbersOf(output), (value, index) => {
      const size = Math.abs(values[index] ?? 0);
      return size > 2 ** 20 && size < Infinity ? 0 : value;
    });
    return tensorOfNumbers(output.dtype, output.shape, numbers);
  });
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

const operators = [...new Set(cases.map(({ op }) => op))];

describe.each(operators)("%s", (op) => {
  const own = cases.filter((one) => one.op === op);
  it.each(own.map((one) => [one.name, one] as const))("%s", (_, one) => {
    const call = { ...one, outputCount: one.outputCount ?? 1 };
    const outputs = executeReference(call);
    for (const knowledge of ["types", "constants"] satisfies Knowledge[]) {
      // Some forms need to know the content of their inputs.
      if (knowledge === "types" && !infers(call)) continue;
      const whole = executeWasm(call, knowledge, "dense", 1);
      if (!whole) continue;
      const actual = withinDomain(call, whole.outputs);
      withinDomain(call, outputs).forEach((tensor, index) => {
        expect(difference(actual[index], tensor, boundFor(tensor.dtype)), `output ${index}`).toBeUndefined();
      });
      expect(executeWasm(call, knowledge, "gapped", 3)?.outputs).toEqual(whole.outputs);
    }
  });
});

it("leaves to the host what has no generated form", () => {
  const nest = (dtype: DType): LoopNest => ({
    extents: [4],
    reductions: 0,
    operands: [{ dtype, access: "indexed" }],
    parameters: [],
    body: unary("exp", input(0)),
    output: { dtype, access: [] },
  });
  expect(isBindable(nest("float32"))).toBe(true);
  expect(isBindable(nest("float64"))).toBe(false);
});
