/** Matrix products against plain loops, over shapes, batches, kinds of B, epilogues, storages and split ranges. */
import { describe, expect, test } from "vitest";
import type { Storage } from "../../compiler/graph/graph.ts";
import { matmulFamily } from "../../compiler/kernels/matmul/family.ts";
import type { BlockForm, MatmulProblem, PlainStorage } from "../../compiler/kernels/problem.ts";
import { binary, constant, type Expression, input, unary } from "../../runtime/format/expression.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { evaluateElementwise } from "../../runtime/reference/expression.ts";
import { checkProduct, randomTensor, runProduct, targets } from "./product.ts";
import { stored, storedInBlocks } from "./storage.ts";

interface Product {
  /** Leading axes of A. */
  readonly batch?: readonly number[];
  readonly extents: readonly [rows: number, inner: number, columns: number];
  readonly b?: "constant" | "transposed" | "shared" | "batched";
  readonly bias?: boolean;
  readonly storage?: PlainStorage;
  /** B in blocks along its inner axis, instead. */
  readonly blocks?: Omit<BlockForm, "bias"> & { readonly kind: "int4" | "nf4" };
  readonly epilogue?: Expression;
  readonly operands?: readonly (readonly number[])[];
}

/** Few rows, with every number of steps behind the last four. */
const inBlocks: Readonly<Record<string, Product>> = Object.fromEntries(
  [1, 2, 3, 4, 5].flatMap((rows) =>
    (["int4", "nf4"] as const).flatMap((kind) =>
      [0, 1, 2, 3].map((rest): readonly [string, Product] => [
        `${kind}, ${rows} rows, ${rest} steps over`,
        {
          extents: [rows, 36 + rest, 21],
          b: rest % 2 === 0 ? "constant" : "transposed",
          bias: rest === 1,
          blocks: {
            kind,
            size: rest === 3 ? 32 : 16,
            zeros: kind === "int4" && rest !== 1,
            scaleType: rest === 2 ? "float32" : "float16",
          },
        },
      ]),
    ),
  ),
);

/** The storage of the transposed matrix. */
function turned(storage: Storage, inner: number, columns: number): Storage {
  if (storage.kind === "float16") return storage;
  if (storage.kind === "int8") return { ...storage, axis: 0 };
  const blocks = Math.ceil(inner / storage.blockSize);
  const place = (i: number): number => (i % blocks) * columns + Math.floor(i / blocks);
  return {
    ...storage,
    axis: 1,
    scales: storage.scales.map((_, i) => storage.scales[place(i)]!),
    ...(storage.zeros ? { zeros: storage.zeros.map((_, i) => storage.zeros![place(i)]!) } : {}),
  };
}

const relu = binary("maximum", input(0), constant(0));
const gelu = binary("multiply", input(0), unary("erf", input(0)));
const sum = binary("add", input(0), input(1));

const cases: Readonly<Record<string, Product>> = {
  one: { extents: [1, 1, 1] },
  tiles: { extents: [12, 16, 16], epilogue: relu },
  ragged: { extents: [13, 19, 21], bias: true, epilogue: gelu },
  "seven rows": { extents: [7, 5, 9], bias: true },
  transposed: { extents: [9, 11, 10], b: "transposed", bias: true },
  batch: { batch: [2, 3], extents: [5, 8, 12], bias: true },
  "computed B": { batch: [3], extents: [7, 6, 11], b: "shared" },
  "computed B per batch": { batch: [2, 2], extents: [7, 6, 11], b: "batched", bias: true, epilogue: relu },
  operand: { batch: [2], extents: [7, 6, 11], epilogue: sum, operands: [[2, 7, 11]] },
  "operand, whole panels": { batch: [2], extents: [7, 6, 16], epilogue: sum, operands: [[2, 7, 16]] },
  "operand of every batch, whole panels": { batch: [2, 3], extents: [4, 6, 16], epilogue: sum, operands: [[3, 4, 16]] },
  "operand of every batch": { batch: [2, 3], extents: [4, 6, 11], epilogue: sum, operands: [[3, 4, 11]] },
  "operand per column": { batch: [2], extents: [7, 6, 11], epilogue: sum, operands: [[11]] },
  "operand of one value": { batch: [2], extents: [7, 6, 11], epilogue: sum, operands: [[1, 1]] },
  vector: { extents: [1, 37, 43], bias: true, epilogue: relu },
  "vector of a batch": { batch: [1, 1], extents: [1, 8, 16], epilogue: sum, operands: [[1, 1, 1, 16]] },
  "two rows": { batch: [2], extents: [1, 37, 43], bias: true },
  "three rows": { extents: [3, 6, 9], b: "shared", bias: true },
  "four rows": { extents: [4, 7, 17], b: "batched" },
  "five rows": { extents: [5, 9, 24], storage: "float16", bias: true },
  float16: { extents: [8, 9, 21], storage: "float16", bias: true },
  int8: { extents: [8, 9, 21], storage: "int8", bias: true },
  "int8 vector, transposed": { extents: [1, 32, 21], storage: "int8", b: "transposed" },
  int4: { extents: [8, 64, 21], bias: true, blocks: { kind: "int4", size: 32, zeros: true, scaleType: "float16" } },
  "int4, ragged block": {
    extents: [7, 41, 19],
    blocks: { kind: "int4", size: 16, zeros: false, scaleType: "float32" },
  },
  "int4, no whole block": {
    extents: [9, 5, 8],
    blocks: { kind: "int4", size: 128, zeros: true, scaleType: "float16" },
  },
  ...inBlocks,
  "vector, float16": { extents: [1, 67, 21], storage: "float16", bias: true, epilogue: relu },
  "two rows, float16": { extents: [2, 66, 21], storage: "float16", b: "transposed" },
  "three rows, float16": { extents: [3, 65, 24], storage: "float16", bias: true },
  "four rows, float16": { extents: [4, 64, 9], storage: "float16" },
  "vector, float16, short": { extents: [1, 2, 8], storage: "float16" },
  "vector, nf4 in long blocks": {
    extents: [1, 202, 21],
    blocks: { kind: "nf4", size: 128, zeros: false, scaleType: "float16" },
  },
  "vector, int4 in long blocks": {
    extents: [1, 202, 21],
    blocks: { kind: "int4", size: 128, zeros: true, scaleType: "float16" },
  },
  "two rows, nf4 in long blocks": {
    extents: [2, 131, 8],
    blocks: { kind: "nf4", size: 64, zeros: false, scaleType: "float32" },
  },
  long: { extents: [90, 800, 9] },
};

/** [batch or 1, panels, K, 8]. */
function inPanels({ shape, data }: Tensor<"float32">): Tensor<"float32"> {
  const [count, inner, columns] = shape as readonly [number, number, number];
  const panels = Math.ceil(columns / 8);
  const packed = new Float32Array(count * panels * inner * 8);
  for (let n = 0; n < count; n++)
    for (let k = 0; k < inner; k++)
      for (let column = 0; column < columns; column++)
        packed[((n * panels + Math.floor(column / 8)) * inner + k) * 8 + (column % 8)] =
          data[(n * inner + k) * columns + column]!;
  return { dtype: "float32", shape: [count, panels, inner, 8], data: packed };
}

function build(product: Product) {
  const { batch = [], extents, b: kind = "constant", storage = "float32", operands = [] } = product;
  const [rows, inner, columns] = extents;
  const count = batch.reduce((total, extent) => total * extent, 1);
  const a = randomTensor([...batch, rows, inner], 1);
  const dynamicB = kind === "shared" || kind === "batched";
  const raw = randomTensor([kind === "batched" ? count : 1, inner, columns], 2);
  const { blocks } = product;
  const matrix = { ...raw, shape: raw.shape.slice(1) };
  const flat = blocks
    ? storedInBlocks(matrix, blocks.kind, 0, blocks)
    : stored(matrix, dynamicB ? "float32" : storage, 1);
  const b = dynamicB ? raw.data : flat.tensor.data;
  const bias = product.bias ? randomTensor([columns], 3) : undefined;
  const data = new Float32Array(count * rows * columns);
  for (let n = 0; n < count; n++)
    for (let m = 0; m < rows; m++)
      for (let column = 0; column < columns; column++) {
        let total = bias?.data[column] ?? 0;
        for (let k = 0; k < inner; k++)
          total +=
            a.data[(n * rows + m) * inner + k]! * b[((kind === "batched" ? n : 0) * inner + k) * columns + column]!;
        data[(n * rows + m) * columns + column] = total;
      }
  const outputShape = [...batch, rows, columns];
  const others = operands.map((shape, k) => randomTensor(shape, 4 + k));
  const plain: Tensor = { dtype: "float32", shape: outputShape, data };
  const expected = product.epilogue ? evaluateElementwise(product.epilogue, [plain, ...others]) : plain;
  const transposed: Tensor<"float32"> = {
    dtype: "float32",
    shape: [columns, inner],
    data: Float32Array.from(b.slice(0, inner * columns), (_, i) => b[(i % inner) * columns + Math.floor(i / inner)]!),
  };
  const weights = dynamicB ? inPanels(raw) : kind === "transposed" ? transposed : flat.tensor;
  const problem: MatmulProblem = {
    family: "matmul",
    batch: count,
    rows,
    inner,
    columns,
    dynamicB,
    batchedB: kind === "batched",
    transposeB: kind === "transposed",
    storage: blocks?.kind ?? storage,
    ...(blocks ? { blocks: { ...blocks, bias: product.bias === true } } : {}),
    epilogue: product.epilogue,
    epilogueOperands: operands.length,
  };
  return {
    item: {
      family: matmulFamily,
      problem,
      tensors: [a, weights, bias, ...others],
      outputShape,
      ...(flat.storage ? { storage: kind === "transposed" ? turned(flat.storage, inner, columns) : flat.storage } : {}),
    },
    expected: expected.data as Float32Array,
  };
}

describe.each(targets)("$name", (target) => {
  for (const variant of matmulFamily.variants) {
    test.each(
      Object.entries(cases).filter(([, product]) => matmulFamily.accepts(variant, build(product).item.problem)),
    )(`${variant.name}: %s`, (_, product) => {
      const { item, expected } = build(product);
      const range = variant.overPanels
        ? Math.ceil((item.problem.columns as number) / 8)
        : item.outputShape.slice(0, -1).reduce((n, extent) => n * extent, 1);
      // Few rows are rounded to 16 bits for weights in blocks.
      checkProduct(target, { ...item, variant }, expected, range, product.blocks && variant.overPanels ? 5e-5 : 1e-5);
    });
  }
});

test("every variant accepts some product", () => {
  for (const variant of matmulFamily.variants)
    expect(Object.values(cases).some((product) => matmulFamily.accepts(variant, build(product).item.problem))).toBe(
      true,
    );
});

describe.each(targets)("few rows by weights in blocks, $name", (target) => {
  const variant = matmulFamily.variants.find(({ name }) => name === "vector 1")!;
  const compute = (kind: "int4" | "nf4", change: (x: Float32Array) => void): Float32Array => {
    const blocks = { kind, size: 16, zeros: kind === "int4", scaleType: "float16" } as const;
    const { item } = build({ extents: [1, 64, 8], blocks });
    const [a, ...others] = item.tensors;
    const data = Float32Array.from(a!.data);
    change(data);
    return runProduct(target, { ...item, tensors: [{ ...a!, data }, ...others], variant });
  };

  test.each(["int4", "nf4"] as const)("%s: what is not finite stays visible, whatever else is there", (kind) => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY])
      for (const place of [0, 5, 63])
        for (const y of compute(kind, (x) => x.fill(value, place, place + 1))) expect(y).not.toSatisfy(Number.isFinite);
  });

  test.each(["int4", "nf4"] as const)("%s: the size of one block's values does not blur another's", (kind) => {
    const alone = compute(kind, (x) => x.fill(0, 0, 16));
    const tiny = compute(kind, (x) => x.set(x.fill(0, 0, 16).map((value) => value * 1e-30)));
    tiny.forEach((y, column) => expect(y * 1e30).toBeCloseTo(alone[column]!, 4));
    const large = compute(kind, (x) => x.fill(1e30, 0, 16));
    const onlyLarge = compute(kind, (x) => x.fill(1e30, 0, 16).fill(0, 16));
    large.forEach((y, column) => expect(y / onlyLarge[column]!).toBeCloseTo(1, 5));
    expect(compute(kind, (x) => x.fill(0))).toEqual(new Float32Array(8));
    expect(compute(kind, (x) => x.fill(1e-42)).every(Number.isFinite)).toBe(true);
  });
});
