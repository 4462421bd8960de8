/** What a model stores in fewer bits has readers for it: weights that only some kernels can read so. */
import { expect, test } from "vitest";
import { withReadableStorage } from "../../compiler/budget/readable-storage.ts";
import { integerAttribute } from "../../compiler/graph/attribute.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Graph, Storage } from "../../compiler/graph/graph.ts";
import { storedTensor } from "../../compiler/graph/int8-storage.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { optimise } from "../../compiler/pipeline.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";

const integers = Int8Array.from({ length: 32 * 16 }, (_, index) => ((index * 37) % 255) - 127);

function stored(axis: number, scales: readonly number[]) {
  const storage = { kind: "int8", axis, scales: Float32Array.from(scales) } as const;
  return { tensor: storedTensor([32, 16], integers, storage), storage };
}

const uniform = (count: number): number[] => new Array<number>(count).fill(0.25);
const rising = (count: number): number[] => Array.from({ length: count }, (_, index) => 0.25 + index / 64);

/** A product with the weights, or a Softmax that has no int8 operand. */
function graphOf({ tensor, storage }: { tensor: Tensor; storage: Storage }, op: string): Graph {
  const builder = new GraphBuilder("model", inferNode);
  const weights = builder.constant("w", tensor, storage);
  const x = builder.input("x", "float32", [4, 32]);
  builder.output("y", op === "MatMul" ? builder.add("MatMul", [x, weights]) : builder.add(op, [weights]));
  return builder.finish();
}

function storageOf(graph: Graph): Storage | undefined {
  const [value] = withReadableStorage(graph).constants.keys();
  return value?.type.storage;
}

test("one scale for all goes along the axis that the reader wants", () => {
  const storage = storageOf(optimise(graphOf(stored(0, uniform(32)), "MatMul")));
  expect(storage).toEqual({ kind: "int8", axis: 1, scales: Float32Array.from(uniform(16)) });
});

test("scales along the reader's axis stay, those along another one do not", () => {
  expect(storageOf(optimise(graphOf(stored(1, rising(16)), "MatMul")))?.kind).toBe("int8");
  expect(storageOf(optimise(graphOf(stored(0, rising(32)), "MatMul")))).toBeUndefined();
});

test("a reader of floats gets floats", () => {
  const graph = graphOf(stored(0, uniform(32)), "Softmax");
  expect(storageOf(graph)).toBeUndefined();
  expect([...withReadableStorage(graph).constants.values()]).toEqual([stored(0, uniform(32)).tensor]);
});

test("a constant that is an output is stored as it is", () => {
  const { tensor, storage } = stored(0, uniform(32));
  const builder = new GraphBuilder("model", inferNode);
  builder.output("w", builder.constant("w", tensor, storage));
  const graph = withReadableStorage(builder.finish());
  expect(graph.outputs[0]?.value.type.storage).toBeUndefined();
  expect(graph.constants.get(graph.outputs[0]?.value as never)).toBe(tensor);
});

test("nothing stored: the graph itself", () => {
  const builder = new GraphBuilder("model", inferNode);
  const scale = builder.constant("s", tensorOf("float32", [], [2]));
  builder.output("y", builder.add("Flatten", [scale], { axis: integerAttribute(0) }));
  const graph = builder.finish();
  expect(withReadableStorage(graph)).toBe(graph);
});
