import { describe, expect, test } from "vitest";
import { integersAttribute } from "../../compiler/graph/attribute.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { TypeRule } from "../../compiler/graph/facts.ts";
import type { Graph, Value } from "../../compiler/graph/graph.ts";
import { type Rewrite, removeDead, rewriteNodes } from "../../compiler/graph/rewrite.ts";
import { verifyGraph } from "../../compiler/graph/verify.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";

/** Outputs have the type of input 0: enough to look at the driver alone. */
const sameAsInput: TypeRule = (node) => ({
  types: [node.inputs[0]?.type ?? { dtype: "float32", shape: [] }],
  elements: undefined,
});

const chain = (length: number, op = "A"): Graph => {
  const builder = new GraphBuilder("chain", sameAsInput);
  let value: Value = builder.input("x", "float32", [2]);
  for (let index = 0; index < length; index++) value = builder.add(op, [value]);
  builder.output("y", value);
  return builder.finish();
};

describe("rewriteNodes", () => {
  test("returns the graph itself when nothing applies", () => {
    const graph = chain(5);
    expect(rewriteNodes(graph, sameAsInput, () => undefined)).toBe(graph);
  });

  test("a replacement of the same type takes over the value and the name; sources add up", () => {
    const graph = chain(2);
    const fuse: Rewrite = (node, context) => {
      const producer = node.op === "A" ? context.producer(node.inputs[0] as Value) : undefined;
      return producer && context.emit("B", producer.inputs, {}, { name: producer.name });
    };
    const result = rewriteNodes(graph, sameAsInput, fuse);
    verifyGraph(result, sameAsInput, "test");
    expect(result.nodes).toHaveLength(1);
    expect(result.nodes[0]).toMatchObject({ op: "B", name: "A_0", sources: ["A_0", "A_1"] });
    expect(result.nodes[0]?.outputs[0]).toBe(graph.outputs[0]?.value);
  });

  test("new nodes are visited too, and stand in order", () => {
    const expand: Rewrite = (node, context) => {
      if (node.op === "A") return context.emit("C", [context.emit("B", node.inputs)]);
      return node.op === "C" ? context.emit("D", [context.emit("B", node.inputs)]) : undefined;
    };
    const result = rewriteNodes(chain(3), sameAsInput, expand);
    verifyGraph(result, sameAsInput, "test");
    expect(result.nodes.map(({ op }) => op).join("")).toBe("BBDBBDBBD");
    expect(new Set(result.nodes.map(({ name }) => name)).size).toBe(9);
  });

  test("what a rewrite emits in vain leaves no trace", () => {
    const graph = chain(2);
    const vain: Rewrite = (node, context) => {
      context.emit("B", node.inputs);
      return undefined;
    };
    expect(rewriteNodes(graph, sameAsInput, vain)).toBe(graph);
  });

  test("nodes and constants without a reader disappear, unless they are outputs", () => {
    const builder = new GraphBuilder("dead", sameAsInput);
    const x = builder.input("x", "float32", [2]);
    const used = builder.add("A", [x, builder.constant("used", tensorOf("float32", [2], [1, 2]))]);
    builder.add("A", [builder.add("A", [used, builder.constant("unused", tensorOf("float32", [2], [1, 2]))])]);
    builder.output("y", used);
    const result = removeDead(builder.finish(), sameAsInput);
    expect(result.nodes.map(({ name }) => name)).toEqual(["A_0"]);
    expect([...result.constants.keys()].map(({ name }) => name)).toEqual(["used"]);
  });

  test("outputs follow a replacement by an existing value", () => {
    const graph = chain(3);
    const result = rewriteNodes(graph, sameAsInput, (node) => node.inputs[0] as Value);
    expect(result.nodes).toHaveLength(0);
    expect(result.outputs).toEqual([{ name: "y", value: graph.inputs[0] }]);
  });

  test("rules that undo each other are reported with pass and node", () => {
    const flip: Rewrite = (node, context) => context.emit(node.op === "A" ? "B" : "A", node.inputs);
    expect(() => rewriteNodes(chain(1), sameAsInput, flip, "flip")).toThrow(
      /pass flip, node A_0.*does not come to an end/,
    );
  });

  test("visits grow linearly with the graph, whatever the direction in which changes travel", () => {
    const visitsOf = (length: number, rewrite: Rewrite): number => {
      let visits = 0;
      rewriteNodes(chain(length), sameAsInput, (node, context) => {
        visits++;
        return rewrite(node, context);
      });
      return visits / length;
    };
    // Towards the outputs: a mark travels from the first node to the last.
    const forward: Rewrite = (node, context) => {
      const producer = context.producer(node.inputs[0] as Value);
      return node.op === "A" && (!producer || producer.op === "B") ? context.emit("B", node.inputs) : undefined;
    };
    // Pairs collapse until one node is left.
    const collapse: Rewrite = (node, context) => {
      const producer = context.producer(node.inputs[0] as Value);
      return producer && context.emit("A", producer.inputs, { axes: integersAttribute([1]) });
    };
    for (const rewrite of [forward, collapse]) {
      expect(visitsOf(2000, rewrite)).toBeLessThan(8);
      expect(visitsOf(2000, rewrite)).toBeLessThan(1.1 * visitsOf(500, rewrite));
    }
  });
});
