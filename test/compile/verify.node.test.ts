/**
 * `leafcutter verify` over the embedded models and the real ones in `../shared/models`: in Node on wasm-simd, and in a
 * Worker of a real Chromium on wasm-relaxed; there on wasm-simd the embedded ones, for Node runs the same modules.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { findChromium } from "../../bench/chromium.ts";
import { verifyFolders } from "../../bench/verify.ts";

const embedded = ["cifar10", "digits"].map((name) => resolve("demo/models", name));
const shared = [
  "squeezenet_v1.1",
  "mobilenetv2_float",
  "ultraface_rfb320",
  "yolox_nano",
  "super_resolution",
  "bert_mlm_g2p",
  "magika_v3_3",
  "dtln_1",
  "dtln_2",
  "gtcrn_simple",
].map((name) => resolve("../shared/models", name));
const present = shared.filter(existsSync);
const folders = [...embedded, ...present];
const note =
  present.length === shared.length ? "" : ` (${shared.length - present.length} models of ../shared/models are absent)`;

async function failures(
  where: "node" | "chromium",
  backend: "wasm-simd" | "wasm-relaxed",
  folders: readonly string[],
): Promise<readonly string[]> {
  const lines: string[] = [];
  const { passed, failed } = await verifyFolders(folders, { where, backend, print: (line) => lines.push(line) });
  expect(passed + failed).toBe(folders.length);
  expect(lines.filter((line) => line.startsWith("ok")).every((line) => line.includes(`${backend} in ${where}`))).toBe(
    true,
  );
  return lines.filter((line) => !line.startsWith("ok"));
}

describe(`golden outputs${note}`, { timeout: 300_000 }, () => {
  it("in Node on wasm-simd", async () => {
    expect(await failures("node", "wasm-simd", folders)).toEqual([]);
  });

  const browser = findChromium() === undefined ? it.skip : it;
  browser("in Chromium on wasm-relaxed (skipped without a Chromium)", async () => {
    expect(await failures("chromium", "wasm-relaxed", folders)).toEqual([]);
  });

  browser("in Chromium on wasm-simd (skipped without a Chromium)", async () => {
    expect(await failures("chromium", "wasm-simd", embedded)).toEqual([]);
  });
});
