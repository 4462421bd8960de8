import { describe, expect, test } from "vitest";
import type { TypeRule } from "../../compiler/graph/facts.ts";
import type { Graph, Node, Value } from "../../compiler/graph/graph.ts";
import { parseGraph } from "../../compiler/graph/parse.ts";
import { verifyGraph } from "../../compiler/graph/verify.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";

const sameAsInput: TypeRule = (node) => ({
  types: [node.inputs[0]?.type ?? { dtype: "float32", shape: [] }],
  elements: undefined,
});

const good = (): Graph =>
  parseGraph(`graph "good"
    symbol n 1..3
    input x: float32[n, 2]
    constant c: float32[2] = [1, 2]
    a: float32[n, 2] = A@1(x, c) # "first"
    b: float32[n, 2] = A@1(a) # "second"
    output "b" = b`);

const changed = (change: (graph: Graph) => Partial<Graph>): Graph => {
  const graph = good();
  return { ...graph, ...change(graph) };
};

const node = (graph: Graph, index: number, change: Partial<Node>): readonly Node[] =>
  graph.nodes.map((old, position) => (position === index ? { ...old, ...change } : old));

describe("verifyGraph", () => {
  test("accepts a sound graph", () => expect(() => verifyGraph(good(), sameAsInput, "test")).not.toThrow());

  test.each<[string, (graph: Graph) => Partial<Graph>, RegExp]>([
    [
      "order",
      ({ nodes }) => ({ nodes: [...nodes].reverse() }),
      /after test: node second \(A\): operand a is not produced earlier/,
    ],
    [
      "two producers",
      (graph) => ({ nodes: node(graph, 1, { outputs: graph.nodes[0]?.outputs ?? [] }) }),
      /value a is produced twice/,
    ],
    [
      "value names",
      (graph) => ({ nodes: node(graph, 1, { outputs: [{ name: "x", type: (graph.inputs[0] as Value).type }] }) }),
      /the name x belongs to two values/,
    ],
    ["node names", (graph) => ({ nodes: node(graph, 1, { name: "first" }) }), /the name belongs to two nodes/],
    [
      "types",
      (graph) => ({ nodes: node(graph, 1, { outputs: [{ name: "b", type: { dtype: "float32", shape: [3] } }] }) }),
      /expected float32\[n, 2\]; received float32\[3\]/,
    ],
    [
      "constants",
      ({ constants }) => ({
        constants: new Map([...constants.keys()].map((value) => [value, tensorOf("float32", [3], [1, 2, 3])])),
      }),
      /constant c: the tensor has another type/,
    ],
    ["symbols", () => ({ symbols: new Map() }), /symbol n has no bounds/],
    [
      "outputs",
      () => ({ outputs: [{ name: "b", value: { name: "lost", type: { dtype: "bool", shape: [] } } }] }),
      /value lost is not produced/,
    ],
    ["output names", ({ outputs }) => ({ outputs: [...outputs, ...outputs] }), /two outputs have this name/],
  ])("refuses a broken one: %s", (_, change, expected) => {
    expect(() => verifyGraph(changed(change), sameAsInput, "test")).toThrow(expected);
  });
});
