/**
 * Real networks, from their files to their golden outputs, on WebGPU in a Worker of a real Chromium: convolutions,
 * recurrent layers, attention, regions and key-value caches, every step on the device.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { findChromium } from "../../bench/chromium.ts";
import { verifyFolders } from "../../bench/verify.ts";

const folders = [
  ...["cifar10", "digits"].map((name) => resolve("demo/models", name)),
  ...["squeezenet_v1.1", "bert_mlm_g2p", "dtln_1", "gtcrn_simple", "stories260K_kv"].map((name) =>
    resolve("../shared/models", name),
  ),
];
const present = folders.filter(existsSync);
const absent = folders.length - present.length;

/** The lines of `verify`, which are also its verdicts. */
async function verified(states: Readonly<Record<string, string>>, ...targets: readonly string[]): Promise<string> {
  const lines: string[] = [];
  await verifyFolders(targets, {
    backend: "webgpu",
    where: "chromium",
    states,
    print: (line) => lines.push(line),
  });
  return lines.join("\n");
}

describe.skipIf(findChromium() === undefined)("on WebGPU (skipped without a Chromium)", { timeout: 600_000 }, () => {
  test(`models verify${absent === 0 ? "" : ` (${absent} of ../shared/models are absent)`}`, async () => {
    const lines = (await verified({}, ...present)).split("\n");
    expect(lines.length).toBe(present.length);
    for (const line of lines)
      expect(line).toMatch(/^ok .* webgpu in chromium, steps: [1-9]\d* webgpu, 0 wasm, 0 host$/);
  });

  const stateful = resolve("../shared/models/silero_vad_v5");
  test.skipIf(!existsSync(stateful))("a state stays on the device (skipped without ../shared/models)", async () => {
    expect(await verified({ state: "stateN" }, stateful)).toMatch(/^ok .* webgpu, 0 wasm, 0 host$/);
  });
});
