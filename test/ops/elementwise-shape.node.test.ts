/** Elementwise operators on shapes: integers with symbols, broadcasting of symbolic extents, and what is refused. */
import { describe, expect, it } from "vitest";
import { integerAttribute } from "../../compiler/graph/attribute.ts";
import { type Dim, divideDims, multiplyDims } from "../../compiler/graph/dimension.ts";
import { FactStore } from "../../compiler/graph/facts.ts";
import type { Attributes, Node, TensorType, Value } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { DType } from "../../runtime/format/dtype.ts";

const nodeOf = (op: string, types: readonly TensorType[], attributes: Attributes, version: number): Node => ({
  op,
  version,
  name: "node",
  sources: ["node"],
  inputs: types.map((type, index): Value => ({ name: `${index}`, type })),
  outputs: [{ name: "output", type: { dtype: "float32", shape: [] } }],
  attributes,
});

const infer = (op: string, types: readonly TensorType[], attributes: Attributes = {}, version = 14) =>
  inferNode(nodeOf(op, types, attributes, version), new FactStore());

/** Integers in output 0 for integers in the inputs. */
function elements(
  op: string,
  lists: readonly (readonly Dim[])[],
  dtypes: readonly DType[] = [],
): readonly Dim[] | undefined {
  const facts = new FactStore();
  const types = lists.map((list, index): TensorType => ({ dtype: dtypes[index] ?? "int64", shape: [list.length] }));
  const attributes = op === "Cast" ? { to: integerAttribute(6) } : {};
  const node = nodeOf(op, types, attributes, 14);
  node.inputs.forEach((value, index) => {
    if (value) facts.setElements(value, lists[index] ?? []);
  });
  return inferNode(node, facts).elements;
}

describe("integers", () => {
  it.each([
    ["Add", [["h", 3], [1]], [["+", "h", 1], 4]],
    [
      "Sub",
      [
        ["h", 3],
        ["h", 5],
      ],
      [0, -2],
    ],
    ["Mul", [["h", 3], [2]], [multiplyDims("h", 2), 6]],
    ["Div", [[multiplyDims("h", 4), 7, -7], [2]], [multiplyDims("h", 2), 3, -3]],
    ["Div", [["h"], [2]], [divideDims("h", 2)]],
    ["Div", [["h"], [0]], undefined],
    ["Mod", [[multiplyDims("h", 4), -7], [2]], [0, 1]],
    ["Min", [["h", 3], [-1]], [-1, -1]],
    ["Max", [["h", 3], [-1]], ["h", 3]],
    ["Neg", [["h", 3]], [["*", "h", -1], -3]],
    ["Abs", [["h", -3]], ["h", 3]],
    ["Equal", [["h", 3], [-1]], [0, 0]],
    [
      "Equal",
      [
        ["h", 3],
        ["h", 3],
      ],
      [1, 1],
    ],
    ["Equal", [["h"], ["w"]], undefined],
    [
      "Less",
      [
        [-1, 2],
        ["h", 2],
      ],
      [1, 0],
    ],
    ["GreaterOrEqual", [["h", 2], [0]], [1, 1]],
    ["Identity", [["h", 2]], ["h", 2]],
    ["Cast", [["h", 2]], ["h", 2]],
  ] as const)("%s %j", (op, lists, expected) => {
    expect(elements(op, lists as readonly (readonly Dim[])[])).toEqual(expected);
  });

  it("chooses by what is known", () => {
    expect(
      elements(
        "Where",
        [
          [0, 1],
          [7, "w"],
          ["h", 8],
        ],
        ["bool"],
      ),
    ).toEqual(["h", "w"]);
    expect(elements("Where", [["h"], ["w"], [8]], ["bool"])).toBeUndefined();
  });
});

describe("types", () => {
  it("broadcast a symbol against 1 and itself, but not a number", () => {
    const type = (...shape: readonly Dim[]): TensorType => ({ dtype: "float32", shape });
    expect(infer("Add", [type("n", 1, 4), type("h", 1)]).types).toEqual([type("n", "h", 4)]);
    expect(infer("Add", [type("n", 3), type("n", 3)]).types).toEqual([type("n", 3)]);
    expect(() => infer("Add", [type("n"), type(3)])).toThrow(/a dimension with a range meets a fixed one/);
    expect(infer("Less", [type("n"), type()]).types).toEqual([{ dtype: "bool", shape: ["n"] }]);
  });

  it.each([
    ["extents that differ", "Add", [[2], [3]], ["float32", "float32"]],
    ["two element types", "Add", [[2], [2]], ["float32", "int32"]],
    ["an element type the operator does not take", "Exp", [[2]], ["int32"]],
    ["bool arithmetic", "Add", [[2], [2]], ["bool", "bool"]],
    ["a slope larger than the input", "PRelu", [[1], [3]], ["float32", "float32"]],
    ["too many inputs", "Exp", [[2], [2]], ["float32", "float32"]],
    ["too few inputs", "Where", [[2]], ["bool"]],
    ["a condition that is not bool", "Where", [[2], [2], [2]], ["int32", "float32", "float32"]],
    ["a cast without a type", "Cast", [[2]], ["float32"]],
  ] as const)("refuse %s", (_, op, shapes, dtypes) => {
    const types = shapes.map((shape, index): TensorType => ({ dtype: dtypes[index] ?? "float32", shape }));
    const attempt = (): unknown => infer(op, types);
    expect(attempt).toThrow(LeafcutterError);
    expect(attempt).toThrow(/node node \(/);
  });
});
