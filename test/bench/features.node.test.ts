/** The feature table: what this thread is seen to do, and how it is written down. */
import { expect, test } from "vitest";
import { findBrowser } from "../../bench/browser.ts";
import { type FeatureColumn, renderFeaturesMarkdown, renderFeaturesText, runFeatures } from "../../bench/features.ts";
import { measureFeatures } from "../../bench/measure/features.ts";

const seenIn = ({ features }: Pick<FeatureColumn, "features">): Readonly<Record<string, string>> =>
  Object.fromEntries(features.map(({ name, seen }) => [name, seen]));

test("this thread has SIMD and shared memory, and says of the rest what it is", async () => {
  const seen = seenIn({ features: await measureFeatures(undefined) });
  expect(seen).toMatchObject({ SIMD: "yes", "shared memory (threads)": "yes", "streaming compile": "–" });
  expect(seen["relaxed multiply-add"]).toMatch(/^(fused|not fused|no)$/);
  expect(seen["relaxed int8 dot"]).toMatch(/^(yes|no)$/);
});

test("a table has a column a place and a row for what any of them has", () => {
  const columns: readonly FeatureColumn[] = [
    { where: "webkit", version: "2.50", features: [{ name: "SIMD", seen: "yes" }] },
    { where: "node", version: "20.1", features: [{ name: "GPU", seen: "no: a | b" }] },
  ];
  expect(renderFeaturesMarkdown(columns)).toBe(
    [
      "| feature | WebKitGTK 2.50 | Node 20.1 |",
      "| --- | --- | --- |",
      "| SIMD | yes | – |",
      "| GPU | – | no: a \\| b |",
    ].join("\n"),
  );
  expect(renderFeaturesText(columns)).toBe("WebKitGTK 2.50\n  SIMD  yes\n\nNode 20.1\n  GPU  no: a | b");
});

test.skipIf("missing" in findBrowser("chromium"))(
  "Chromium is seen to run a package on the relaxed variant and to keep it",
  async () => {
    const [column] = await runFeatures({ where: ["chromium"], print: () => undefined });
    expect(seenIn({ features: column?.features ?? [] })).toMatchObject({
      "cross-origin isolated": "yes",
      "relaxed multiply-add": "fused",
      "streaming compile": "yes",
      "variant chosen": expect.stringMatching(/^wasm-relaxed/),
      "second load": "cache hit",
    });
  },
  180_000,
);
