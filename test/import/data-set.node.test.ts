import { expect, test } from "vitest";
import { type Folder, readDataSets } from "../../compiler/import/data-set.ts";
import { matchPorts } from "../../compiler/import/match-ports.ts";
import { tensorBytes } from "./onnx-writer.ts";

const file = (name: string, value: number): Blob =>
  new Blob([tensorBytes({ name, dims: [1], type: 6, int32s: [value] }) as Uint8Array<ArrayBuffer>]);

/** A folder in memory: path -> content. `root` is its path, "" for the top. */
function folderOf(files: ReadonlyMap<string, Blob>, root: string): Folder {
  const prefix = root === "" ? "" : `${root}/`;
  return {
    list: async (path) => {
      const start = path === "" ? prefix : `${prefix}${path}/`;
      const inside = [...files.keys()].filter((file) => file.startsWith(start));
      return [...new Set(inside.map((file) => file.slice(start.length).split("/")[0] ?? ""))];
    },
    read: async (path) => new Uint8Array(await (files.get(prefix + path) as Blob).arrayBuffer()),
  };
}

test("sets and tensors stand in the order of their numbers", async () => {
  const files = new Map([
    ["m/test_data_set_10/input_0.pb", file("x", 100)],
    ["m/test_data_set_2/input_10.pb", file("k", 10)],
    ["m/test_data_set_2/input_2.pb", file("c", 2)],
    ["m/test_data_set_2/output_0.pb", file("y", 7)],
    ["m/test_data_set_2/notes.txt", new Blob(["x"])],
    ["m/model.onnx", new Blob([])],
    ["other/test_data_set_0/input_0.pb", file("x", 1)],
  ]);
  const sets = await readDataSets(folderOf(files, "m"));
  expect(
    sets.map(({ name, inputs, outputs }) => [
      name,
      inputs.map(({ index, data }) => [index, data[0]]),
      outputs.map(({ name: port }) => port),
    ]),
  ).toEqual([
    [
      "test_data_set_2",
      [
        [2, 2],
        [10, 10],
      ],
      ["y"],
    ],
    ["test_data_set_10", [[0, 100]], []],
  ]);
  expect((await readDataSets(folderOf(files, ""))).length).toBe(0);
});

test("a damaged tensor file is named", async () => {
  const files = new Map([["test_data_set_0/input_0.pb", new Blob([new Uint8Array([8, 4, 16, 1])])]]);
  await expect(readDataSets(folderOf(files, ""))).rejects.toThrow(
    /^test_data_set_0\/input_0\.pb: .*expected 4.*\[model-invalid\]$/,
  );
});

test("tensors are matched by name, else by position", () => {
  const tensors = (...names: readonly string[]) => names.map((name, index) => ({ name, index }));
  const match = (ports: readonly string[], names: readonly string[]) =>
    Object.fromEntries([...matchPorts(ports, tensors(...names))].map(([port, { index }]) => [port, index]));
  expect(match(["a", "b"], ["a", "b"])).toEqual({ a: 0, b: 1 });
  expect(match(["a", "b"], ["b", "a"])).toEqual({ a: 1, b: 0 });
  expect(match(["a", "b"], ["", ""])).toEqual({ a: 0, b: 1 });
  expect(match(["a", "b"], ["a", "foreign"])).toEqual({ a: 0, b: 1 });
  expect(match(["a"], ["foreign", "more"])).toEqual({ a: 0 });
  expect(match(["a", "b"], ["b", "b"])).toEqual({ b: 0 });
});
