/** The case tables of the elementwise operators: inference, reference, expression and loop nest must agree. */
import { describe, expect, it } from "vitest";
import type { DType } from "../../runtime/format/dtype.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { type OperatorCase, tensor } from "./case.ts";
import { activationCases } from "./cases/activation.ts";
import { arithmeticCases } from "./cases/arithmetic.ts";
import { convertCases } from "./cases/convert.ts";
import { logicCases } from "./cases/logic.ts";
import { mathCases } from "./cases/math.ts";
import { type Bound, difference } from "./compare.ts";
import { executeExpression, executeLoops, executeReference, inferCall, type Knowledge } from "./execute.ts";

const cases: readonly OperatorCase[] = [
  ...arithmeticCases,
  ...mathCases,
  ...activationCases,
  ...logicCases,
  ...convertCases,
];

/** An expression rounds after each operation, a reference once: a few units in the last place, of 1 where terms cancel. */
function boundFor(dtype: DType): Bound {
  const unit = { float64: 2 ** -52, float32: 2 ** -23, float16: 2 ** -10, bfloat16: 2 ** -7 }[dtype as string] ?? 0;
  return { absolute: 0, relative: 8 * unit, least: 8 * unit };
}

/** An executor that does not cover the form has no say. */
function agrees(actual: readonly Tensor[] | undefined, expected: readonly Tensor[]): void {
  if (!actual) return;
  expected.forEach((tensor, index) => {
    expect(difference(actual[index], tensor, boundFor(tensor.dtype)), `output ${index}`).toBeUndefined();
  });
}

const operators = [...new Set(cases.map(({ op }) => op))];

describe.each(operators)("%s", (op) => {
  const own = cases.filter((one) => one.op === op);
  it.each(own.map((one) => [one.name, one] as const))("%s", (_, one) => {
    const call = { ...one, outputCount: one.outputCount ?? 1 };
    const outputs = executeReference(call);
    expect(inferCall(call, "types").types).toEqual(outputs.map(({ dtype, shape }) => ({ dtype, shape })));
    one.expected?.forEach((tensor, index) => {
      expect(
        difference(outputs[index], tensor, { absolute: 0, relative: tensor.dtype === "float64" ? 1e-14 : 1e-7 }),
        `reference, output ${index}`,
      ).toBeUndefined();
    });
    for (const knowledge of ["types", "constants"] satisfies Knowledge[]) {
      agrees(executeExpression(call, knowledge), outputs);
      agrees(executeLoops(call, knowledge), outputs);
    }
  });
});

/** Comparison by tolerance takes the two zeros for one. */
describe("the sign of zero", () => {
  it.each([
    ["Neg", [0, -0], [-0, 0]],
    ["Abs", [-0, 0], [0, 0]],
    ["Ceil", [-0.5, -0], [-0, -0]],
    ["Round", [-0.4, 0.4], [-0, 0]],
    ["Sqrt", [-0, 0], [-0, 0]],
    ["Reciprocal", [-Infinity, Infinity], [-0, 0]],
    ["Min", [-0, 0], [-0, 0]],
    ["Tanh", [-0, 0], [-0, 0]],
    ["LeakyRelu", [-0, 0], [-0, 0]],
  ] as const)("%s of %j", (op, from, to) => {
    const call = { op, version: 13, attributes: {}, inputs: [tensor("float32", from)], outputCount: 1 };
    const data = Float32Array.from(to);
    expect(executeReference(call)[0]?.data).toEqual(data);
    expect(executeExpression(call, "types")?.[0]?.data).toEqual(data);
    expect(executeLoops(call, "types")?.[0]?.data).toEqual(data);
  });
});
