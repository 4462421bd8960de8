/**
 * Attention against its reference: every variant on both targets, layouts, grouped heads, masks, causality, windows,
 * lengths, caps, ragged extents, several blocks of keys, operands inside wider buffers, cut ranges.
 */
import { setFlagsFromString } from "node:v8";
import { describe, expect, test } from "vitest";
import { wasmRelaxed, wasmSimd } from "../../compiler/assemble/target.ts";
import { attentionFamily } from "../../compiler/kernels/attention/family.ts";
import { attentionVariants, blockOf } from "../../compiler/kernels/attention/variants.ts";
import type { Buffer, View } from "../../compiler/kernels/contract.ts";
import type { AttentionLayout, AttentionProblem } from "../../compiler/kernels/problem.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { attention } from "../../runtime/reference/attention.ts";
import { runSteps } from "./run.ts";
import { collect, denseBuffer, expectClose, gappedBuffer, noise, scatter, sizeOf, tensor } from "./tensors.ts";

setFlagsFromString("--experimental-wasm-relaxed-simd");

interface Case {
  readonly batch?: number;
  readonly heads?: number;
  readonly keyHeads?: number;
  readonly queries: number;
  readonly keys: number;
  readonly depth?: number;
  readonly valueDepth?: number;
  readonly layouts?: readonly [AttentionLayout, AttentionLayout, AttentionLayout, AttentionLayout];
  readonly mask?: readonly number[];
  readonly hidden?: number;
  readonly lengths?: readonly number[];
  readonly causal?: boolean;
  readonly window?: number;
  readonly softcap?: number;
  readonly gaps?: boolean;
}

const block = blockOf(64, 64);

const cases: Readonly<Record<string, Case>> = {
  one: { queries: 1, keys: 1, depth: 1, valueDepth: 1 },
  "odd extents": { batch: 2, queries: 7, keys: 13, depth: 7, valueDepth: 5 },
  "whole tiles": { heads: 3, queries: 24, keys: 32, depth: 16, valueDepth: 16 },
  "tokens before heads": { heads: 3, queries: 11, keys: 9, layouts: ["BSHD", "BSHD", "BSHD", "BSHD"] },
  "transposed keys": { heads: 2, queries: 9, keys: 21, depth: 10, layouts: ["BHSD", "BHDS", "BHSD", "BSHD"] },
  "grouped heads": { batch: 2, heads: 6, keyHeads: 2, queries: 5, keys: 17 },
  "one query of nine heads": { heads: 9, keyHeads: 3, queries: 1, keys: 77 },
  "one query of five heads": { heads: 5, keyHeads: 1, queries: 1, keys: 19, depth: 6, valueDepth: 22 },
  "two queries": { heads: 2, queries: 2, keys: 30, depth: 12, valueDepth: 20 },
  "more rows than a unit": { heads: 2, keyHeads: 1, queries: 130, keys: 11, depth: 4, valueDepth: 4 },
  "mask of every row": { batch: 2, heads: 2, queries: 9, keys: 13, mask: [2, 2, 9, 13], gaps: true },
  "mask of every batch": {
    batch: 2,
    heads: 2,
    queries: 5,
    keys: 11,
    mask: [2, 1, 1, 11],
    hidden: -3.4028234663852886e38,
  },
  "mask of every head": { heads: 4, keyHeads: 2, queries: 3, keys: 10, mask: [4, 1, 10], hidden: -Infinity },
  "mask of one value a row": { queries: 6, keys: 12, mask: [6, 1], hidden: -Infinity },
  causal: { heads: 2, queries: 29, keys: 29, causal: true, gaps: true },
  "causal with a past": { heads: 4, keyHeads: 2, queries: 7, keys: 31, causal: true },
  "causal, more queries than keys": { queries: 20, keys: 9, causal: true },
  window: { heads: 2, queries: 40, keys: 47, causal: true, window: 9 },
  "window without causality": { queries: 13, keys: 20, window: 4, mask: [20] },
  lengths: { batch: 3, heads: 2, queries: 4, keys: 19, lengths: [0, 19, 10] },
  "lengths and causality": {
    batch: 3,
    heads: 4,
    keyHeads: 1,
    queries: 3,
    keys: 40,
    lengths: [2, 40, 21],
    causal: true,
  },
  softcap: { queries: 8, keys: 24, softcap: 2, mask: [8, 24], hidden: -Infinity },
  "two blocks": { heads: 2, queries: 10, keys: block + 5, depth: 64, valueDepth: 64 },
  "many blocks, causal": { queries: block + 7, keys: 2 * block + 3, depth: 64, valueDepth: 64, causal: true },
  "many blocks, window": {
    heads: 2,
    keyHeads: 1,
    queries: block,
    keys: 3 * block,
    depth: 64,
    valueDepth: 66,
    causal: true,
    window: 100,
  },
  "many blocks, hidden": {
    batch: 2,
    queries: 3,
    keys: 2 * block,
    depth: 64,
    valueDepth: 64,
    lengths: [block, 1],
    mask: [3, 1],
    hidden: -Infinity,
  },
  "one query of many blocks": {
    heads: 3,
    keyHeads: 1,
    queries: 1,
    keys: 4 * block - 3,
    depth: 64,
    valueDepth: 64,
    gaps: true,
  },
};

const shapeIn = (layout: AttentionLayout, b: number, h: number, s: number, d: number): readonly number[] =>
  [...layout].map((axis) => ({ B: b, H: h, S: s, D: d })[axis] as number);

function build(one: Case) {
  const { batch = 1, heads = 1, queries, keys, depth = 8, valueDepth = 8 } = one;
  const keyHeads = one.keyHeads ?? heads;
  const layouts = one.layouts ?? (["BHSD", "BHSD", "BHSD", "BHSD"] as const);
  const random = (shape: readonly number[], seed: number): Tensor => tensor(shape, noise(sizeOf(shape), seed));
  const lengths: Tensor | undefined = one.lengths && {
    dtype: "int32",
    shape: [batch],
    data: Int32Array.from(one.lengths),
  };
  const mask =
    one.mask &&
    tensor(
      one.mask,
      noise(sizeOf(one.mask), 9).map((value, index) => (index % 3 === 1 ? value + (one.hidden ?? 0) : value)),
    );
  const inputs = [
    random(shapeIn(layouts[0], batch, heads, queries, depth), 1),
    random(shapeIn(layouts[1], batch, keyHeads, keys, depth), 2),
    random(shapeIn(layouts[2], batch, keyHeads, keys, valueDepth), 3),
    mask,
    lengths,
  ];
  const problem: AttentionProblem = {
    family: "attention",
    queryLayout: layouts[0],
    keyLayout: layouts[1],
    valueLayout: layouts[2],
    outputLayout: layouts[3],
    batch,
    heads,
    keyHeads,
    queries,
    keys,
    depth,
    valueDepth,
    scale: 0.6,
    causal: one.causal ?? false,
    window: one.window,
    softcap: one.softcap,
  };
  const [expected] = attention({
    inputs,
    attributes: {
      queryLayout: layouts[0],
      keyLayout: layouts[1],
      valueLayout: layouts[2],
      outputLayout: layouts[3],
      scale: 0.6,
      causal: one.causal ? 1 : 0,
      window: one.window ?? 0,
      softcap: one.softcap ?? 0,
    },
    version: 1,
    outputCount: 1,
  }) as readonly [Tensor];
  return { problem, inputs, expected, gaps: one.gaps ?? false };
}

const place = (name: string, { dtype, shape }: Tensor, gaps: boolean): View =>
  gaps
    ? gappedBuffer(
        name,
        dtype,
        shape,
        shape.map((_, axis) => (axis === shape.length - 1 ? 0 : 4)),
        3,
      )
    : denseBuffer(name, dtype, shape);

function run(
  { problem, inputs, expected, gaps }: ReturnType<typeof build>,
  variant: (typeof attentionVariants)[number],
  target: typeof wasmSimd,
  parts: number,
  asked: AttentionProblem = problem,
): Tensor {
  const initial = new Map<Buffer, Uint8Array>();
  const operands = inputs.map((input, index) => {
    if (!input) return undefined;
    const view = place(`operand ${index}`, input, gaps && input.shape.length > 1);
    initial.set(view.buffer, scatter(view, input));
    return view;
  });
  const output = place("output", expected, gaps);
  const bytes = attentionFamily.scratchBytes?.(variant, asked) ?? 0;
  const scratch: Buffer = { kind: "scratch", name: "scratch", dtype: "uint8", bytes };
  const bindings = new Map([
    ["M", Number(problem.queries)],
    ["T", Number(problem.keys)],
  ]);
  const step = attentionFamily.bind(variant, asked, operands, [output], undefined, scratch);
  const result = runSteps([step], { initial, parts, target, bindings });
  return collect(output, result.get(output.buffer) as Uint8Array);
}

describe.each(attentionVariants.map((variant) => [variant.name, variant] as const))("%s", (_, variant) => {
  test.each(Object.entries(cases))("%s", (__, one) => {
    const built = build(one);
    if (!attentionFamily.accepts(variant, built.problem)) {
      expect(built.problem.keyLayout).toBe("BHDS");
      return;
    }
    for (const target of [wasmSimd, wasmRelaxed]) {
      const whole = run(built, variant, target, 1);
      expectClose(whole, built.expected, 1e-5);
      expect(run(built, variant, target, 3)).toEqual(whole);
    }
  });
});

test("queries and keys known at run time: few rows are streamed, many packed", () => {
  const [variant] = attentionVariants as readonly [(typeof attentionVariants)[number]];
  for (const queries of [1, 2, 30])
    for (const layout of ["BHSD", "BHDS"] as const) {
      const layouts = ["BHSD", layout, "BHSD", "BHSD"] as const;
      const built = build({
        heads: 6,
        keyHeads: 2,
        queries,
        keys: 600,
        depth: 32,
        valueDepth: 32,
        causal: true,
        layouts,
      });
      const asked = { ...built.problem, queries: "M", keys: "T" };
      expectClose(run(built, variant, wasmRelaxed, 2, asked), built.expected, 1e-5);
    }
});

test("a query with NaN gives NaN, its neighbours do not", () => {
  const built = build({ queries: 3, keys: 9 });
  (built.inputs[0] as Tensor).data[8] = Number.NaN;
  for (const variant of attentionVariants) {
    const { data } = run(built, variant, wasmSimd, 1);
    expect(Array.from(data as Float32Array, Number.isNaN)).toEqual(
      Array.from({ length: 24 }, (_, index) => index >= 8 && index < 16),
    );
  }
});

test("no matrix of scores: scratch does not grow with the sequence", () => {
  const { problem } = build({ queries: 1, keys: 1, depth: 64, valueDepth: 64 });
  const long = { ...problem, queries: 2048, keys: 2048 };
  for (const variant of attentionVariants)
    expect(Number(attentionFamily.scratchBytes?.(variant, long))).toBeLessThan(160 * 1024);
});
