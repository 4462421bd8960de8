/** A real network, from its file to its golden outputs, on WebGPU in a Worker of a real Chromium. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { findChromium } from "../../bench/chromium.ts";
import { verifyFolders } from "../../bench/verify.ts";

const folder = resolve("../shared/models/squeezenet_v1.1");
const reason = !existsSync(folder)
  ? "../shared/models/squeezenet_v1.1 is absent"
  : findChromium() === undefined
    ? "this machine has no Chromium"
    : undefined;

test.skipIf(reason !== undefined)(
  `squeezenet_v1.1 verifies on WebGPU${reason === undefined ? "" : `, skipped: ${reason}`}`,
  { timeout: 300_000 },
  async () => {
    const lines: string[] = [];
    const summary = await verifyFolders([folder], {
      backend: "webgpu",
      where: "chromium",
      print: (line) => lines.push(line),
    });
    expect(lines.join("\n")).toMatch(/^ok +squeezenet_v1\.1: .* webgpu in chromium$/);
    expect(summary).toEqual({ passed: 1, failed: 0 });
  },
);
