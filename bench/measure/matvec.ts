/**
 * Few rows by constant weights in every storage, in turns with float32: whether narrow weights are slower anywhere
 * between the first cache and memory.
 */
import { type WasmTarget, wasmRelaxed, wasmSimd } from "../../compiler/assemble/target.ts";
import { familyOf } from "../../compiler/kernels/families.ts";
import type { WeightStorage } from "../../compiler/kernels/problem.ts";
import { defaultCosts } from "../../compiler/plan/default-costs.ts";
import { selectVariant } from "../../compiler/plan/select.ts";
import { type BoundCase, bindCase, extent, instantiate, recordsAt } from "./bound-case.ts";
import { matmul } from "./kernel-cases.ts";
import { median } from "./statistics.ts";

export interface MatvecTime {
  readonly target: WasmTarget["name"];
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
  /** The least and the median of one product. */
  readonly times: readonly { readonly storage: WeightStorage; readonly least: number; readonly median: number }[];
}

/** Float weights in the first cache, the second, the last, and in memory; then few rows at once. */
const shapes: readonly (readonly [rows: number, inner: number, columns: number])[] = [
  ...[64, 256, 512, 1024, 2048, 3072].map((size) => [1, size, size] as const),
  ...[2, 3, 4, 5, 8].map((rows) => [rows, 512, 512] as const),
];
const rounds = 40;
const roundMs = 1;
const warmUpMs = 30;

type Shape = (typeof shapes)[number];

interface Product {
  readonly storage: WeightStorage;
  readonly bound: BoundCase;
}

function productsOf([rows, inner, columns]: Shape): readonly Product[] {
  return matmul(rows, inner, columns).flatMap((item) => {
    const { problem } = item;
    const family = familyOf(problem);
    const variant = selectVariant(family, problem, extent, defaultCosts);
    if (problem.family !== "matmul" || !variant) return [];
    return [{ storage: problem.storage, bound: bindCase(family, variant, item) }];
  });
}

/** Nanoseconds; undefined where the target cannot run. */
function measureProducts(
  products: readonly Product[],
  target: WasmTarget,
  [rows, inner, columns]: Shape,
): MatvecTime | undefined {
  const contenders = products.flatMap(({ storage, bound }) => {
    const loaded = instantiate(bound, target, 1, extent(bound.step.range));
    const call = (): void => loaded?.walk(recordsAt, 0, recordsAt, -1);
    return loaded ? [{ storage, call, samples: [] as number[] }] : [];
  });
  if (contenders.length === 0) return undefined;
  const repeats = contenders.map(({ call }) => {
    const start = performance.now();
    let calls = 0;
    for (; performance.now() - start < warmUpMs; calls++) call();
    return Math.max(1, Math.round((calls * roundMs) / warmUpMs));
  });
  for (let round = 0; round < rounds; round++)
    contenders.forEach(({ call, samples }, index) => {
      const count = repeats[index] ?? 1;
      // The others' weights leave the caches first.
      call();
      const start = performance.now();
      for (let repeat = 0; repeat < count; repeat++) call();
      samples.push(((performance.now() - start) / count) * 1e6);
    });
  const times = contenders.map(({ storage, samples }) => ({
    storage,
    least: Math.min(...samples),
    median: median(samples),
  }));
  return { target: target.name, rows, inner, columns, times };
}

/** About a tenth of a second a storage, shape and target. */
export const measureMatvec = (): readonly MatvecTime[] =>
  shapes.flatMap((shape) => {
    const products = productsOf(shape);
    return [wasmSimd, wasmRelaxed].flatMap((target) => measureProducts(products, target, shape) ?? []);
  });
