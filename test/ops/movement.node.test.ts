/** The case tables of the operators that move data: inference, reference, interpreted nests and generated code must agree. */
import { describe, expect, it } from "vitest";
import { findOperator } from "../../compiler/ops/index.ts";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { executeWasm } from "../kernels/execute-wasm.ts";
import { tensor } from "./case.ts";
import { movementCases } from "./cases/movement.ts";
import { difference } from "./compare.ts";
import { executeLoops, executeReference, inferCall, type Knowledge, type NodeCall } from "./execute.ts";

/** Whether types alone are enough: shapes that parameters decide need their content. */
function infers(call: NodeCall): boolean {
  try {
    inferCall(call, "types");
    return true;
  } catch (error) {
    if (error instanceof LeafcutterError) return false;
    throw error;
  }
}

const operators = [...new Set(movementCases.map(({ op }) => op))];

describe.each(operators)("%s", (op) => {
  it.each(movementCases.filter((one) => one.op === op).map((one) => [one.name, one] as const))("%s", (_, one) => {
    const call: NodeCall = { ...one, outputCount: one.outputCount ?? 1 };
    const outputs = executeReference(call);
    const { types, elements } = inferCall(call, "constants");
    expect(types).toEqual(outputs.map(({ dtype, shape }) => ({ dtype, shape })));
    if (elements) expect(elements).toEqual(Array.from(outputs[0]?.data ?? [], Number));
    one.expected?.forEach((expected, index) => {
      expect(
        difference(outputs[index], expected, { absolute: 0, relative: 1e-6 }),
        `reference, output ${index}`,
      ).toBeUndefined();
    });
    for (const knowledge of ["types", "constants"] satisfies Knowledge[]) {
      if (knowledge === "types" && !infers(call)) continue;
      const loops = executeLoops(call, knowledge);
      const generated = executeWasm(call, knowledge, "gapped", 2)?.outputs;
      for (const [name, computed] of [["loops", loops] as const, ["generated", generated] as const])
        computed?.forEach((output, index) => {
          expect(
            difference(output, outputs[index] as never, { absolute: 0, relative: 1e-6 }),
            `${name} knowing ${knowledge}`,
          ).toBeUndefined();
        });
    }
  });
});

/** What the host may compute: everything else of this family has generated code for the forms in the tables. */
const onHost = new Set([
  "NonZero",
  "Compress",
  "Unique",
  "Col2Im",
  "GridSample",
  "AffineGrid",
  "MaxRoiPool",
  "NonMaxSuppression",
]);

it("every other operator is lowered", () => {
  const hosted = operators.filter((op) => !findOperator(op)?.lower);
  expect(hosted.sort()).toEqual([...onHost].sort());
});

/** The interpreter checks every coordinate: an index from data may be anything. */
describe("indices from data never lead outside", () => {
  const wild = [-(2 ** 31), -(2 ** 40), 2 ** 31, 2 ** 40, -3, 3];
  const indices = (shape: readonly number[]): Tensor => tensor("int64", wild, shape);
  const data = tensor("float32", [1, 2, 3, 4, 5, 6], [3, 2]);
  const updates = (shape: readonly number[]): Tensor => tensor("float32", wild, shape);
  const text = { reduction: { kind: "string", value: "add" } } as const;
  it.each([
    ["Gather", [data, indices([6])], {}],
    ["GatherElements", [data, indices([3, 2])], {}],
    ["GatherND", [data, indices([3, 2])], {}],
    ["ScatterElements", [data, indices([3, 2]), updates([3, 2])], {}],
    ["ScatterElements", [data, indices([3, 2]), updates([3, 2])], text],
    ["ScatterND", [data, indices([6, 1]), tensor("float32", new Array(12).fill(1), [6, 2])], text],
    ["ReverseSequence", [tensor("float32", new Array(12).fill(1), [2, 6]), indices([6])], {}],
    ["OneHot", [indices([6]), tensor("int64", [4], []), tensor("float32", [0, 1])], {}],
    ["Trilu", [data, tensor("int64", [2 ** 40], [])], {}],
  ] as const)("%s %#", (op, inputs, attributes) => {
    const call: NodeCall = { op, version: 18, inputs, attributes, outputCount: 1 };
    for (const knowledge of ["types", "constants"] satisfies Knowledge[])
      if (knowledge === "constants" || infers(call)) expect(executeLoops(call, knowledge)).toHaveLength(1);
  });
});
