import { describe, expect, test } from "vitest";
import { judge } from "../../bench/measure/job.ts";
import type { EngineName, OpenEngine } from "../../bench/page/engine.ts";
import type { Tensors } from "../../bench/tensor-bundle.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";

const y = (...values: readonly number[]): Tensors => ({ y: tensorOf("float32", [values.length], values) });

function candidate(engine: EngineName, outputs: Tensors) {
  const opened: OpenEngine = {
    engine,
    variant: "",
    threads: 1,
    run: async () => undefined,
    outputs: async () => outputs,
    dispose: async () => undefined,
  };
  return { opened, outputs };
}

const verdicts = (...parameters: Parameters<typeof judge>) =>
  judge(...parameters).map(({ opened, status, agrees }) => `${opened.engine} ${status} ${agrees}`);

describe("who is right", () => {
  test("engines that agree within tolerance", () => {
    const candidates = [candidate("leafcutter", y(1, 2)), candidate("onnxruntime-web", y(1, 2.0001))];
    expect(verdicts(candidates, undefined, false)).toEqual(["leafcutter ok true", "onnxruntime-web ok true"]);
  });

  test("without data Leafcutter is wrong where it differs from a peer", () => {
    const candidates = [candidate("leafcutter", y(1, 2)), candidate("onnxruntime-web", y(1, 2.1))];
    expect(verdicts(candidates, undefined, false)).toEqual(["leafcutter wrong true", "onnxruntime-web ok false"]);
    expect(judge(candidates, undefined, false)[0]?.reason).toContain("y");
  });

  test("data decide between a right and a wrong peer", () => {
    const candidates = [candidate("leafcutter", y(1, 2)), candidate("tfjs", y(9, 9))];
    expect(verdicts(candidates, y(1, 2), false)[1]).toBe("tfjs wrong false");
  });

  test("another shape or a missing output is wrong", () => {
    const candidates = [candidate("leafcutter", { z: tensorOf("float32", [1], [1]) }), candidate("tfjs", y(1))];
    expect(verdicts(candidates, y(1), false)[0]).toBe("leafcutter wrong true");
  });

  test("rounded weights have an error, no verdict, and no peer that agrees", () => {
    const candidates = [candidate("leafcutter", y(1, 2.1)), candidate("onnxruntime-web", y(1, 2))];
    expect(verdicts(candidates, y(1, 2), true)).toEqual(["leafcutter ok true", "onnxruntime-web ok false"]);
    expect(judge(candidates, y(1, 2), true)[0]?.maxError).toBeCloseTo(0.05, 6);
  });
});
