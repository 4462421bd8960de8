/** What a loop nest means: reductions, finishing, parameters, symbolic extents, computed stores; and that nothing leaves its tensor. */
import { describe, expect, it } from "vitest";
import { addDims, multiplyDims } from "../../compiler/graph/dimension.ts";
import { identityOf, interpretNest } from "../../compiler/loop/interpret.ts";
import { along, broadcastAccess, fixed, identityAccess, type LoopNest } from "../../compiler/loop/loop.ts";
import { axis, binary, cast, constant, input, load, parameter, unary } from "../../runtime/format/expression.ts";
import { type Tensor, tensorOf, zeros } from "../../runtime/format/tensor.ts";

const float = (values: readonly number[], shape: readonly number[] = [values.length]): Tensor<"float32"> =>
  tensorOf("float32", shape, values);

const nestOf = (nest: Partial<LoopNest> & Pick<LoopNest, "extents" | "body">): LoopNest => ({
  reductions: 0,
  operands: [],
  parameters: [],
  output: { dtype: "float32", access: identityAccess(nest.extents.length - (nest.reductions ?? 0)) },
  ...nest,
});

function run(
  nest: LoopNest,
  operands: readonly Tensor[],
  shape: readonly number[],
  symbols: Readonly<Record<string, number>> = {},
): number[] {
  const output = zeros(nest.output.dtype, shape);
  interpretNest(nest, operands, output, new Map(Object.entries(symbols)));
  return Array.from(output.data as ArrayLike<number | bigint>, Number);
}

describe("points", () => {
  it("reads operands at affine coordinates", () => {
    const nest = nestOf({ extents: [3], operands: [{ dtype: "float32", access: [along(0, -1, 2)] }], body: input(0) });
    expect(run(nest, [float([1, 2, 3])], [3])).toEqual([3, 2, 1]);
  });

  it("broadcasts", () => {
    const operands = [[2, 3], [3], [2, 1], []].map((shape) => ({
      dtype: "float32" as const,
      access: broadcastAccess(shape, 2),
    }));
    const body = binary("add", binary("add", input(0), input(1)), binary("add", input(2), input(3)));
    const tensors = [float([0, 0, 0, 0, 0, 0], [2, 3]), float([1, 2, 3]), float([10, 20], [2, 1]), float([100], [])];
    expect(run(nestOf({ extents: [2, 3], operands, body }), tensors, [2, 3])).toEqual([111, 112, 113, 121, 122, 123]);
  });

  it("has one point without axes", () => {
    expect(run(nestOf({ extents: [], body: constant(7) }), [], [])).toEqual([7]);
  });

  it("binds extents, offsets, coefficients and parameters to symbols", () => {
    const nest = nestOf({
      extents: ["n"],
      operands: [{ dtype: "float32", access: [along(0, "n", addDims("n", -1))] }],
      parameters: [multiplyDims("n", 10)],
      body: binary("add", input(0), cast("float32", binary("add", parameter(0), axis(0)))),
    });
    const data = float([...Array(9).keys()]);
    expect(run(nest, [data], [2], { n: 2 })).toEqual([21, 24]);
    expect(run(nest, [data], [3], { n: 3 })).toEqual([32, 36, 40]);
  });
});

describe("reductions", () => {
  const rows = [{ dtype: "float32" as const, access: identityAccess(2) }];
  const data = float([1, 2, 3, 4, 5, 6], [2, 3]);

  it.each([
    ["add", [6, 15]],
    ["multiply", [6, 120]],
    ["maximum", [3, 6]],
    ["minimum", [1, 4]],
  ] as const)("%s", (combine, expected) => {
    expect(
      run(nestOf({ extents: [2, 3], reductions: 1, operands: rows, body: input(0), combine }), [data], [2]),
    ).toEqual(expected);
  });

  it("finish sees the reduced value before the operands", () => {
    const nest = nestOf({
      extents: [2, 3],
      reductions: 1,
      operands: [...rows, { dtype: "float32", access: [along(0)] }],
      body: input(0),
      combine: "add",
      finish: binary("divide", input(0), input(2)),
    });
    expect(run(nest, [data, float([2, 3])], [2])).toEqual([3, 5]);
  });

  it("gives the identity of the operation over no points", () => {
    const empty = (combine: NonNullable<LoopNest["combine"]>): number[] =>
      run(
        nestOf({ extents: [1, 0], reductions: 1, operands: rows, body: input(0), combine }),
        [float([], [1, 0])],
        [1],
      );
    expect([empty("add"), empty("multiply"), empty("maximum"), empty("minimum")].flat()).toEqual([
      0,
      1,
      -Infinity,
      Infinity,
    ]);
    expect([
      identityOf("maximum", "int8"),
      identityOf("minimum", "uint16"),
      identityOf("maximum", "int64"),
      identityOf("minimum", "bool"),
    ]).toEqual([-128, 65535, -(2n ** 63n), 1]);
  });

  it("rounds every partial sum", () => {
    const nest = nestOf({ extents: [1, 3], reductions: 1, operands: rows, body: input(0), combine: "add" });
    expect(run(nest, [float([2 ** 24, 1, 1], [1, 3])], [1])).toEqual([2 ** 24]);
  });
});

describe("computed coordinates", () => {
  const indices = { dtype: "int32" as const, access: [along(0)] };

  it("loads", () => {
    const nest = nestOf({
      extents: [2],
      operands: [{ dtype: "float32", access: "indexed" }, indices],
      body: load(0, [input(1)]),
    });
    expect(run(nest, [float([5, 6, 7]), tensorOf("int32", [2], [2, 0])], [2])).toEqual([7, 5]);
  });

  it("stores in order: the last one wins", () => {
    const nest = nestOf({
      extents: [3],
      operands: [indices, { dtype: "float32", access: [along(0)] }],
      body: input(1),
      output: { dtype: "float32", access: { computed: [input(0)] } },
    });
    expect(run(nest, [tensorOf("int32", [3], [1, 0, 1]), float([7, 8, 9])], [2])).toEqual([8, 9]);
  });

  it("reads what earlier iterations wrote", () => {
    const output = float([1, 0, 0, 0]);
    const previous = load(0, [axis(0)]);
    const nest = nestOf({
      extents: [3],
      operands: [{ dtype: "float32", access: "indexed" }],
      body: binary("multiply", previous, constant(2)),
      output: { dtype: "float32", access: { computed: [binary("add", axis(0), constant(1, "int32"))] } },
    });
    interpretNest(nest, [output], output);
    expect([...output.data]).toEqual([1, 2, 4, 8]);
  });
});

describe("refuses", () => {
  const reading = (offset: number): LoopNest =>
    nestOf({ extents: [2], operands: [{ dtype: "float32", access: [along(0, 1, offset)] }], body: input(0) });

  it("to read outside an operand", () => {
    expect(() => run(reading(1), [float([1, 2])], [2])).toThrow("operand 0: coordinate [2] is outside [2]");
    expect(() => run(reading(-1), [float([1, 2])], [2])).toThrow("operand 0: coordinate [-1] is outside [2]");
  });

  it("to load outside an operand, on one axis only", () => {
    const nest = nestOf({
      extents: [1],
      operands: [{ dtype: "float32", access: "indexed" }],
      body: load(0, [constant(0, "int32"), constant(2, "int32")]),
    });
    expect(() => run(nest, [float([1, 2, 3, 4], [2, 2])], [1])).toThrow(
      "operand 0: coordinate [0, 2] is outside [2, 2]",
    );
  });

  it("to write outside the output", () => {
    expect(() => run(reading(0), [float([1, 2])], [1])).toThrow("output: coordinate [1] is outside [1]");
  });

  it("other element types than declared", () => {
    expect(() => run(reading(0), [tensorOf("int32", [2], [1, 2])], [2])).toThrow(
      "operand 0: expected float32, received int32",
    );
    expect(() => run(nestOf({ extents: [1], body: constant(1, "int32") }), [], [1])).toThrow(
      "the nest computes int32, declares float32 and writes float32",
    );
  });

  it("to read an indexed operand directly, and leaves that do not exist", () => {
    const indexed = nestOf({
      extents: [1],
      operands: [{ dtype: "float32", access: "indexed" }],
      body: unary("negate", input(0)),
    });
    expect(() => run(indexed, [float([1])], [1])).toThrow("operand 0 is read only through load");
    expect(() => run(nestOf({ extents: [1], body: cast("float32", parameter(0)) }), [], [1])).toThrow(
      "parameter 0 does not exist",
    );
    expect(() =>
      run(nestOf({ extents: [1], body: input(0), operands: [{ dtype: "float32", access: [fixed(0)] }] }), [], [1]),
    ).toThrow("operand 0 is missing");
  });
});
