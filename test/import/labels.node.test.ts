import { describe, expect, test } from "vitest";
import { writeNpy } from "../../compiler/import/npy.ts";
import { labelsOf, readLabels } from "../../compiler/import/samples/labels.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";

const text = (name: string, content: string) => ({ name, bytes: new TextEncoder().encode(content) });
const samples = (total: number, names?: readonly string[]) => ({
  total,
  places: Array.from({ length: total }, (_, i) => i),
  names,
});

describe("labels from files", () => {
  const boxes = tensorOf("float32", [2, 2], [1, 2, 3, 4]);
  test.each([
    ["lines", text("l.txt", "3\r\n1\n\n"), [3, 1]],
    ["words", text("groups", "day\nnight\n"), ["day", "night"]],
    ["a list", text("l.json", "[3, [1, 2]]"), [3, [1, 2]]],
    ["one number a sample", { name: "l.npy", bytes: writeNpy(tensorOf("int64", [2], [7, 9])) }, [7, 9]],
    [
      "a row a sample",
      { name: "l.npy", bytes: writeNpy(boxes) },
      [
        [1, 2],
        [3, 4],
      ],
    ],
    ["one column", text("l.csv", "label\n3\n1\n"), [3, 1]],
    [
      "several columns, without a header",
      text("l.csv", '1,"a, ""b"""\n2;c'),
      [
        [1, 'a, "b"'],
        [2, "c"],
      ],
    ],
  ])("%s", (_, file, expected) => {
    expect(labelsOf(readLabels(file), file.name, samples(2))).toEqual(expected);
  });

  test("by the names of the samples' files, in any order", () => {
    const names = ["cats/1.png", "dogs/2.png"];
    const files = [
      text("l.json", '{"dogs/2.png": 5, "1.png": 4}'),
      text("l.json", '{"2": 5, "1": 4}'),
      text("l.csv", "file,label\n2.png,5\n1.png,4\n"),
    ];
    for (const file of files) expect(labelsOf(readLabels(file), file.name, samples(2, names))).toEqual([4, 5]);
  });

  test("of samples that were left out, labels are left out", () => {
    const some = { total: 4, places: [0, 2], names: undefined };
    expect(labelsOf(readLabels(text("l.txt", "1\n2\n3\n4")), "l.txt", some)).toEqual([1, 3]);
  });

  test.each([
    ["too many", text("l.txt", "1\n2\n3"), "l.txt: there are not as many of them as samples; expected 2"],
    ["none", text("l.txt", ""), "l.txt: the file is empty"],
    ["no JSON", text("l.json", "[1,"), "l.json: the file is not JSON"],
    ["neither list nor object", text("l.json", "3"), "l.json: the file is neither a list nor an object"],
    ["a cut .npy", { name: "l.npy", bytes: writeNpy(boxes).subarray(0, 70) }, "l.npy: the header is truncated"],
    ["a ragged table", text("l.csv", "1,2\n3"), "l.csv: row 2 has another number of columns; expected 2; received 1"],
    ["a name that is missing", text("l.json", '{"a.png": 1}'), "nothing is said of the sample b.png"],
  ])("%s", (_, file, message) => {
    expect(() => labelsOf(readLabels(file), file.name, samples(2, ["a.png", "b.png"]))).toThrow(message);
  });
});
