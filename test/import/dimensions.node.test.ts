import { describe, expect, test } from "vitest";
import { addDims, divideDims, multiplyDims, subtractDims } from "../../compiler/graph/dimension.ts";
import { parseDimExpression } from "../../compiler/import/onnx/dim-expression.ts";
import { bindDimensions, type DeclaredInput, type DimOptions } from "../../compiler/import/onnx/dimensions.ts";

const input = (name: string, ...dims: readonly (number | string | undefined)[]): DeclaredInput => ({ name, dims });

function bind(inputs: readonly DeclaredInput[], options: DimOptions = {}): Record<string, unknown> {
  const { shapes, symbols } = bindDimensions(inputs, options);
  return {
    ...Object.fromEntries(shapes),
    symbols: [...symbols.values()].map(({ name, lower, upper }) => `${name} ${lower}..${upper}`),
  };
}

const range = { lower: 1, upper: 4 };

describe("numbers", () => {
  test("fixed shapes stay", () => {
    expect(bind([input("x", 1, 3, 8)])).toEqual({ x: [1, 3, 8], symbols: [] });
  });
  test("a leading batch is 1 unless bound", () => {
    expect(bind([input("x", "N", 3), input("y", undefined, 2)])).toEqual({ x: [1, 3], y: [1, 2], symbols: [] });
    expect(bind([input("x", "N", 3)], { dims: { N: 5 } })).toEqual({ x: [5, 3], symbols: [] });
    expect(bind([input("x", "N", 3)], { sampleShapes: [{ name: "x", index: 0, shape: [7, 3] }] })).toEqual({
      x: [1, 3],
      symbols: [],
    });
  });
  test("a batch may be that of the sample", () => {
    const sampleShapes = [{ name: "x", index: 0, shape: [7, 3] }];
    const inputs = [input("x", "N", 3), input("y", "M")];
    expect(bind(inputs, { sampleShapes, batchFromSample: true })).toEqual({ x: [7, 3], y: [1], symbols: [] });
  });
  test("the same name is the same dimension", () => {
    expect(bind([input("x", 1, "s"), input("y", "s", "s")], { dims: { s: 6 } })).toEqual({
      x: [1, 6],
      y: [6, 6],
      symbols: [],
    });
  });
  test("an unnamed one is bound as input:axis, also where the input's name has a colon", () => {
    const inputs = [input("in:0", 1, undefined), input("y", 1, "?", "?")];
    expect(bind(inputs, { dims: { "in:0:1": 9, "y:1": 2, "y:2": 3 } })).toEqual({
      "in:0": [1, 9],
      y: [1, 2, 3],
      symbols: [],
    });
  });
  test("input:axis binds a named one everywhere", () => {
    expect(bind([input("x", 1, "s"), input("y", 1, "s")], { dims: { "y:1": 4 } })).toEqual({
      x: [1, 4],
      y: [1, 4],
      symbols: [],
    });
  });
  test("a negative extent in the file is an open one", () => {
    expect(bind([input("x", -1, 2)])).toEqual({ x: [1, 2], symbols: [] });
  });
});

describe("ranges stay symbols", () => {
  test("by name", () => {
    expect(bind([input("x", "N", 3), input("y", "N")], { dims: { N: range } })).toEqual({
      x: ["N", 3],
      y: ["N"],
      symbols: ["N 1..4"],
    });
  });
  test("batch is axis 0 of every input that is symbolic there", () => {
    const inputs = [input("x", "N", 3), input("y", undefined, 2), input("z", 5)];
    expect(bind(inputs, { dims: { batch: range } })).toEqual({
      x: ["batch", 3],
      y: ["batch", 2],
      z: [5],
      symbols: ["batch 1..4"],
    });
  });
  test("a symbol that is called batch is just that symbol", () => {
    expect(bind([input("x", "batch", 3), input("y", "M")], { dims: { batch: range } })).toEqual({
      x: ["batch", 3],
      y: [1],
      symbols: ["batch 1..4"],
    });
  });
  test("what is bound by its own name is left out of batch", () => {
    const inputs = [input("x", "N", 3), input("y", "L", 2)];
    expect(bind(inputs, { dims: { batch: range, L: 7 } })).toEqual({ x: ["N", 3], y: [7, 2], symbols: ["N 1..4"] });
  });
  test("a range of one value is a number", () => {
    expect(bind([input("x", "N")], { dims: { N: { lower: 3, upper: 3 } } })).toEqual({ x: [3], symbols: [] });
  });
});

describe("the sample beside the model", () => {
  const inputs = [input("ids", "batch", "seq"), input("mask", "batch", "seq")];
  test("by name and by position", () => {
    const byName = [{ name: "mask", index: 0, shape: [1, 12] }];
    const byPosition = [{ name: "", index: 1, shape: [1, 12] }];
    for (const sampleShapes of [byName, byPosition])
      expect(bind(inputs, { sampleShapes })).toMatchObject({ ids: [1, 12], mask: [1, 12] });
  });
  test("two sizes for one dimension are refused", () => {
    const sampleShapes = [
      { name: "ids", index: 0, shape: [1, 12] },
      { name: "mask", index: 1, shape: [1, 13] },
    ];
    expect(() => bind(inputs, { sampleShapes })).toThrow(
      /expected 12, as at ids:1; received 13 at mask:1.*\[option-invalid\]/,
    );
    expect(bind(inputs, { sampleShapes, dims: { seq: 13 } })).toMatchObject({ ids: [1, 13] });
  });
  test("gives the rank of an input without a shape", () => {
    const open: readonly DeclaredInput[] = [{ name: "x", dims: undefined }];
    expect(bind(open, { sampleShapes: [{ name: "x", index: 0, shape: [2, 3] }] })).toEqual({ x: [2, 3], symbols: [] });
    expect(() => bind(open)).toThrow(/x \(shape unknown\)/);
  });
});

describe("arithmetic in names", () => {
  const inputs = [input("past", 1, "past"), input("ids", 1, "seq"), input("mask", 1, "past + seq")];
  test("follows from the other symbols", () => {
    expect(bind(inputs, { dims: { past: 64, seq: 1 } })).toMatchObject({ mask: [1, 65] });
    expect(bind(inputs, { dims: { past: { lower: 1, upper: 63 }, seq: 1 } })).toMatchObject({
      past: [1, "past"],
      mask: [1, addDims("past", 1)],
    });
  });
  test("a binding that contradicts it is refused", () => {
    expect(() => bind(inputs, { dims: { past: 64, seq: 1, "mask:1": 60 } })).toThrow(/expected 65; received 60/);
  });
  test("a sample that contradicts it counts more: the exporter only made up a name", () => {
    const odd = [input("x", 1, "s70"), input("y", 1, "(1//s70)")];
    expect(bind(odd, { dims: { s70: 8 }, sampleShapes: [{ name: "y", index: 1, shape: [1, 1] }] })).toMatchObject({
      y: [1, 1],
    });
  });
  test("over names that are no symbols it is a name", () => {
    expect(bind([input("x", 1, "sequence-length")], { dims: { "sequence-length": 5 } })).toMatchObject({ x: [1, 5] });
  });

  const known = (name: string): string | undefined => (["a", "b", "s0"].includes(name) ? name : undefined);
  test.each([
    ["2*s0 - 1", addDims(multiplyDims("s0", 2), -1)],
    ["(a - b)//4", divideDims(subtractDims("a", "b"), 4)],
    ["Max(1, a)", ["max", 1, "a"]],
    ["-(a) + a", 0],
    ["((8))", 8],
  ])("%s", (name, expected) => {
    expect(parseDimExpression(name, known)).toEqual(expected);
  });
  test.each(["a", "a +", "a b", "(a", "a//0", "constructor(a)", "unknown + 1", "", "a $ b", "(".repeat(1000)])(
    "%j is no arithmetic",
    (name) => {
      expect(parseDimExpression(name, known)).toBeUndefined();
    },
  );
});

describe("errors", () => {
  test("one error lists all that is open, with the flags that would bind it", () => {
    expect(() => bind([input("x", "N", "height", "width"), input("y", 1, undefined)])).toThrow(
      /height \(x:1\); width \(x:2\); y:1 \(y:1\).*--dim height=N --dim width=N --dim y:1=N.*\[dimension-unbound\]/,
    );
  });
  const inputs = [input("x", "batch", "sequence", 8)];
  test.each<readonly [string, DimOptions, RegExp]>([
    ["a misspelt name", { dims: { sequnce: 4 } }, /no dimension called sequnce.*Did you mean sequence\?/],
    [
      "two values for one dimension",
      { dims: { sequence: 4, "x:1": 5 } },
      /x:1 and sequence bind.*expected 4; received 5/,
    ],
    ["a fixed dimension", { dims: { "x:2": 9, sequence: 1 } }, /x:2 is fixed in the model; expected 8; received 9/],
    ["no whole number", { dims: { sequence: 1.5 } }, /received 1.5/],
    ["a negative number", { dims: { sequence: -1 } }, /received -1/],
    ["an empty range", { dims: { sequence: { lower: 4, upper: 3 } } }, /received 4..3/],
    ["a range from 0", { dims: { sequence: { lower: 0, upper: 3 } } }, /received 0..3/],
  ])("%s", (_, options, message) => {
    expect(() => bind(inputs, options)).toThrow(message);
    expect(() => bind(inputs, options)).toThrow(/\[option-invalid\]$/);
  });
  test("repeating the value of a fixed dimension is no error", () => {
    expect(bind(inputs, { dims: { "x:2": 8, sequence: 2 } })).toMatchObject({ x: [1, 2, 8] });
  });
  test("batch on a model without a symbolic axis 0", () => {
    expect(() => bind([input("x", 1, 3)], { dims: { batch: 4 } })).toThrow(/batch fits no dimension.*all fixed/);
  });
});
