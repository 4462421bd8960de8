/** The integer products: inference, the nest of the definition and its generated code give the bits of the reference. */
import { describe, expect, it } from "vitest";
import { findOperator } from "../../compiler/ops/index.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { tensorOfNumbers } from "../../runtime/reference/numbers.ts";
import { executeWasm } from "../kernels/execute-wasm.ts";
import type { OperatorCase } from "./case.ts";
import { integerProductCases } from "./cases/integer-product.ts";
import { difference } from "./compare.ts";
import { contextOf, executeLoops, executeReference, inferCall, type Knowledge } from "./execute.ts";

const exact = { absolute: 0, relative: 0 };

const callOf = (one: OperatorCase) => ({ ...one, outputCount: 1 });

const floats = (tensor: Tensor | undefined): Tensor | undefined =>
  tensor && tensorOfNumbers("float32", tensor.shape, tensor.data as Int8Array);

describe("integer products", () => {
  it.each(integerProductCases.map((one) => [`${one.op}, ${one.name}`, one] as const))("%s", (_, one) => {
    const call = callOf(one);
    const outputs = executeReference(call);
    for (const knowledge of ["types", "constants"] satisfies Knowledge[]) {
      expect(inferCall(call, knowledge).types).toEqual(outputs.map(({ dtype, shape }) => ({ dtype, shape })));
      const generated = executeWasm(call, knowledge, "gapped", 3)?.outputs;
      for (const actual of [executeLoops(call, knowledge), generated])
        expect(difference(actual?.[0], outputs[0] as Tensor, exact)).toBeUndefined();
    }
  });

  it("ask a family when weights and bias are constants", () => {
    for (const one of integerProductCases) {
      const context = contextOf(callOf(one), "constants");
      const lowering = findOperator(one.op)?.lower?.(context);
      const [step] = lowering?.kind === "steps" ? lowering.steps : [];
      expect(step?.kind, one.name).toBe("family");
    }
  });

  it("are float products of the same numbers", () => {
    for (const one of integerProductCases.filter(({ attributes }) => !attributes.epilogue && !attributes.padValue)) {
      const call = callOf(one);
      const [sum] = executeReference(call);
      const op = one.op.replace("Integer", "");
      const [float] = executeReference({ ...call, op, inputs: call.inputs.map(floats) });
      expect(Array.from(sum?.data as Int32Array), one.name).toEqual(Array.from(float?.data as Float32Array));
    }
  });
});
