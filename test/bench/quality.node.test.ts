import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readTokens } from "../../bench/language-text.ts";
import { runQualityBench } from "../../bench/quality.ts";

const folder = join(dirname(fileURLToPath(import.meta.url)), "../../demo/models/autocomplete");

test("eval.txt has the tokens that the model's training counted", async () => {
  const tokens = await readTokens(folder, "eval.txt");
  expect(tokens).toHaveLength(140_249);
  expect(tokens.filter((token) => token === 0)).toHaveLength(49);
}, 60_000);

test("a folder without text and a scheme that there is not are named", async () => {
  await expect(readTokens(join(folder, "../digits"), "eval.txt")).rejects.toMatchObject({ code: "file-missing" });
  const options = { folder, mixes: "int8-weights,int3/32" };
  await expect(runQualityBench(options)).rejects.toMatchObject({
    diagnostic: { code: "option-invalid", where: "--schemes", message: "int3/32 is no scheme" },
  });
});

test("one window: float32 as it is costs nothing, int8 little, and bits count everything", async () => {
  const rows = await runQualityBench({ folder, mixes: "int8-weights", windows: 1 });
  const [float, int8] = rows;
  expect(rows).toHaveLength(2);
  expect(float).toMatchObject({ mix: "float32", change: 0, changeError: 0 });
  expect(float?.effectiveBits).toBeGreaterThan(32);
  expect(int8?.effectiveBits).toBeGreaterThan(8);
  expect(int8?.effectiveBits).toBeLessThan(8.6);
  expect(Math.abs(int8?.change ?? 1)).toBeLessThan(0.02);
}, 240_000);
