import { expect, test } from "vitest";
import { importOnnx } from "../../compiler/import/onnx/import.ts";
import { type ByteSource, checkRange } from "../../compiler/import/source.ts";
import { modelBytes, tensorBytes } from "./onnx-writer.ts";

function varint(value: number): number[] {
  const result: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...result, rest];
    result.push((rest % 128) | 0x80);
  }
}

const key = (field: number): number => (field << 3) | 2;

/** A file of `before`, then `gap` zeros that exist on paper only, then `after`. */
function sparseFile(before: readonly number[], gap: number, after: readonly number[]) {
  const size = before.length + gap + after.length;
  const byteAt = (offset: number): number => before[offset] ?? after[offset - before.length - gap] ?? 0;
  const reads: number[] = [];
  const source: ByteSource = {
    name: "large.onnx",
    size: async () => size,
    read: async (offset, length) => {
      checkRange("large.onnx", size, offset, length);
      reads.push(length);
      return Uint8Array.from({ length }, (_, index) => byteAt(offset + index));
    },
  };
  return { source, reads };
}

/** The content of the graph field of a small model. */
function graphContent(): readonly number[] {
  const model = modelBytes({
    nodes: [{ op: "Relu", inputs: ["x"], outputs: ["y"] }],
    inputs: [{ name: "x", dims: [1, 2] }],
    outputs: ["y"],
  });
  const start = model.indexOf(key(7)) + 2;
  return [...model.slice(start, start + (model[start - 1] ?? 0))];
}

test("a file of 6 GB is walked without its weights", async () => {
  const bytes = 6e9;
  const head = [...tensorBytes({ name: "unused", dims: [bytes / 4], type: 1 }), key(9), ...varint(bytes)];
  const graph = graphContent();
  const tensor = [key(5), ...varint(head.length + bytes), ...head];
  const before = [key(7), ...varint(tensor.length + bytes + graph.length), ...tensor];
  const opset = [key(8), 4, 0x0a, 0, 0x10, 17];
  const { source, reads } = sparseFile(before, bytes, [...graph, ...opset]);
  expect(await source.size()).toBeGreaterThan(2 ** 32);
  const imported = await importOnnx(source);
  expect(imported.nodes.map(({ op }) => op)).toEqual(["Relu"]);
  expect(reads.reduce((sum, length) => sum + length, 0)).toBeLessThan(2 ** 20);
});
