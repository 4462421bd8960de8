/**
 * Prepared models in a real AudioWorklet under OfflineAudioContext: the same samples as sessions in a Worker give.
 * Two small models always; the models of DTLN where they are.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findChromium } from "../../bench/chromium.ts";
import { renderWorklet, runWorkletBench } from "../../bench/worklet.ts";
import { modelBytes } from "../import/onnx-writer.ts";

const patience = 240_000;
const dtln = ["../shared/models/dtln_1", "../shared/models/dtln_2"];

/** A signal and a state in and out, element by element. */
function recurrentModel(shape: readonly number[], op: string): Uint8Array {
  const state = [1, 2, 128, 2];
  return modelBytes({
    nodes: [
      { op, inputs: ["x"], outputs: ["y"] },
      { op: "Cos", inputs: ["s"], outputs: ["t"] },
    ],
    inputs: [
      { name: "x", dims: shape },
      { name: "s", dims: state },
    ],
    outputs: [
      { name: "y", dims: shape },
      { name: "t", dims: state },
    ],
  });
}

describe.skipIf(findChromium() === undefined)("an AudioWorklet", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "leafcutter-worklet-"));
    writeFileSync(join(folder, "mask.onnx"), recurrentModel([1, 1, 257], "Sigmoid"));
    writeFileSync(join(folder, "separation.onnx"), recurrentModel([1, 1, 512], "Tanh"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("computes what a worker computes, bit for bit", { timeout: patience }, async () => {
    const targets = [join(folder, "mask.onnx"), join(folder, "separation.onnx")];
    const result = await runWorkletBench({ targets, seconds: 4 });
    expect(result).toMatchObject({ quanta: 500, slot: 8, different: 0 });
    expect(result.loudness).toBeGreaterThan(0.01);
    expect(renderWorklet(result)).toMatch(/^500 blocks of 8 ms .*\n.*agree bit for bit\n/);
  });

  test.skipIf(!dtln.every((model) => existsSync(model)))(
    "suppresses noise with DTLN as a worker does, bit for bit",
    { timeout: patience },
    async () => {
      const result = await runWorkletBench({ targets: dtln, seconds: 20 });
      expect(result).toMatchObject({ quanta: 2500, different: 0 });
      expect(result.loudness).toBeGreaterThan(0.001);
    },
  );

  test("of a bench without its two models is refused", async () => {
    await expect(runWorkletBench({ targets: ["one"] })).rejects.toMatchObject({ code: "option-invalid" });
  });
});
