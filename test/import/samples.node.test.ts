import { existsSync } from "node:fs";
import { gzipSync } from "node:zlib";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { diskFolder } from "../../compiler/file-source.ts";
import type { Folder } from "../../compiler/import/data-set.ts";
import { writeNpy } from "../../compiler/import/npy.ts";
import { parsePreprocessing, preprocess } from "../../compiler/import/samples/preprocess.ts";
import { readSamples, type SampleOptions } from "../../compiler/import/samples/read-samples.ts";
import { resizePicture } from "../../compiler/import/samples/resize.ts";
import type { SamplePort } from "../../compiler/import/samples/sample-set.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";

const port = (name: string, dtype: "float32" | "int64", shape: readonly number[]): SamplePort => ({
  name,
  type: { dtype, shape },
});
const picture = port("image", "float32", [1, 3, 2, 2]);

/** A folder in memory; keys are paths. */
function folderOf(files: Readonly<Record<string, Uint8Array | string>>): Folder {
  return {
    list: async (path) => {
      const start = path === "" ? "" : `${path}/`;
      const inside = Object.keys(files).filter((file) => file.startsWith(start));
      return [...new Set(inside.map((file) => file.slice(start.length).split("/")[0] ?? ""))];
    },
    read: async (path) => {
      const content = files[path] ?? "";
      return typeof content === "string" ? new TextEncoder().encode(content) : content;
    },
  };
}

const read = (
  files: Readonly<Record<string, Uint8Array | string>>,
  ports: readonly SamplePort[],
  options: SampleOptions = {},
) => readSamples({ folder: folderOf(files), name: "samples" }, ports, options);

const file = (name: string, text: string) => ({ name, bytes: new TextEncoder().encode(text) });
const numbers = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

describe("files of samples", () => {
  test("a folder of .npy files a sample, by name and by order", async () => {
    const ports = [port("a", "float32", [1, 2]), port("b", "int64", [1])];
    const a = writeNpy(tensorOf("float64", [1, 2], [1.5, 2]));
    const b = writeNpy(tensorOf("int64", [1], [7]));
    const set = await read({ "one/a.npy": a, "one/b.npy": b, "two/0.npy": a, "two/1.npy": b }, ports);
    expect(set.samples).toEqual(
      [1, 2].map(() => ({ a: tensorOf("float32", [1, 2], [1.5, 2]), b: tensorOf("int64", [1], [7]) })),
    );
  });

  test("arrays that hold many samples are taken apart, with and without the batch axis", async () => {
    const ports = [port("x", "float32", [1, 2])];
    for (const shape of [
      [3, 2],
      [3, 1, 2],
    ]) {
      const set = await read({ "x.npy": writeNpy(tensorOf("float32", shape, numbers(0, 6))) }, ports);
      expect(set.samples.map(({ x }) => [...(x?.data ?? [])])).toEqual([
        [0, 1],
        [2, 3],
        [4, 5],
      ]);
      expect(set.samples[0]?.x?.shape).toEqual([1, 2]);
    }
  });

  test("JSON lines: nested arrays and flat data with a shape", async () => {
    const ports = [port("x", "float32", [2, 2]), port("ids", "int64", [2])];
    const lines =
      '{"x": [[1, 2], [3, 4]], "ids": [5, 6]}\n\n{"x": {"data": [1, 2, 3, 4], "shape": [2, 2]}, "ids": [7, 8]}\n';
    const set = await read({ "s.jsonl": lines }, ports, {
      labels: file("l.txt", "3\n1\n"),
      groups: file("g.txt", "day\nnight"),
    });
    expect(set.samples[1]).toEqual({
      x: tensorOf("float32", [2, 2], [1, 2, 3, 4]),
      ids: tensorOf("int64", [2], [7, 8]),
    });
    expect(set).toMatchObject({ labels: [3, 1], groups: ["day", "night"] });
  });

  test("CIFAR-10 and IDX carry their labels; some of many are taken at equal distances", async () => {
    const record = (label: number) => [label, ...new Array<number>(1024).fill(255), ...new Array<number>(2048).fill(0)];
    const cifar = Uint8Array.from([4, 7, 9, 2].flatMap(record));
    const set = await read({ "x.bin": cifar }, [port("image", "float32", [1, 3, 32, 32])], { most: 2 });
    expect(set.labels).toEqual([4, 9]);
    expect([...(set.samples[0]?.image?.data ?? [])].slice(1022, 1026)).toEqual([1, 1, 0, 0]);
    const images = Uint8Array.from([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 51, 102, 255, 1, 2, 3, 4]);
    const labels = Uint8Array.from([0, 0, 8, 1, 0, 0, 0, 2, 6, 5]);
    const files = {
      "t-images-idx3-ubyte.gz": new Uint8Array(gzipSync(images)),
      "t-labels-idx1-ubyte.gz": new Uint8Array(gzipSync(labels)),
    };
    const digits = await read(files, [port("image", "float32", [1, 1, 2, 2])]);
    expect(digits.labels).toEqual([6, 5]);
    expect(digits.samples[0]?.image).toEqual(tensorOf("float32", [1, 1, 2, 2], [0, 0.2, 0.4, 1]));
  });

  test("folders of pictures are groups; the declared preprocessing is applied", async () => {
    const png = async (red: number) =>
      new Uint8Array(
        await sharp({ create: { width: 4, height: 4, channels: 3, background: { r: red, g: 0, b: 255 } } })
          .png()
          .toBuffer(),
      );
    const decode = async (bytes: Uint8Array) => {
      const { data, info } = await sharp(bytes).removeAlpha().raw().toBuffer({ resolveWithObject: true });
      return { width: info.width, height: info.height, channels: 3 as const, data: new Uint8Array(data) };
    };
    const set = await read({ "cats/1.png": await png(51), "dogs/1.png": await png(102) }, [picture], {
      decode,
      preprocess: '{"mean":[0.1,0,0],"std":[0.1,1,1],"channels":"RGB","resize":"shorter","crop":"center"}',
    });
    expect(set.groups).toEqual(["cats", "dogs"]);
    expect([...(set.samples[0]?.image?.data ?? [])].map((value) => Number(value).toFixed(4))).toEqual(
      [..."1111"]
        .map(() => "1.0000")
        .concat(
          [..."1111"].map(() => "0.0000"),
          [..."1111"].map(() => "1.0000"),
        ),
    );
  });

  test("folders of .npy files of the one input are groups; labels of some of many are theirs", async () => {
    const one = (value: number) => writeNpy(tensorOf("float32", [2], [value, 0]));
    const files = { "day/a.npy": one(1), "day/b.npy": one(2), "night/c.npy": one(3), "night/d.npy": one(4) };
    const options = { most: 2, labels: file("l.csv", "file,label\nc.npy,7\na.npy,8\nb.npy,0\nd.npy,0\n") };
    const set = await read(files, [port("x", "float32", [1, 2])], options);
    expect(set).toMatchObject({ groups: ["day", "night"], labels: [8, 7] });
    expect(set.samples.map(({ x }) => x?.data[0])).toEqual([1, 3]);
  });

  test("an input that follows from the others may be left out", async () => {
    const mask = {
      ...port("mask", "int64", [1, 2]),
      follows: ({ ids }: Readonly<Record<string, Tensor>>) => ids && tensorOf("int64", [1, 2], [1, 1]),
    };
    const set = await read({ "s.jsonl": '{"ids":[[5,6]]}' }, [port("ids", "int64", [1, 2]), mask]);
    expect(set.samples[0]?.mask).toEqual(tensorOf("int64", [1, 2], [1, 1]));
    await expect(read({ "s.jsonl": '{"mask":[[1,1]]}' }, [port("ids", "int64", [1, 2]), mask])).rejects.toThrow(
      "an input is missing; expected ids",
    );
  });

  test("integers of another width are taken where they fit", async () => {
    const ports = [port("ids", "int64", [2])];
    const set = await read({ "ids.npy": writeNpy(tensorOf("int32", [2], [5, -6])) }, ports);
    expect(set.samples[0]?.ids).toEqual(tensorOf("int64", [2], [5, -6]));
  });

  test("presets of preprocessing, changed by fields", () => {
    const image = { name: "x", dtype: "float32" as const, shape: [1, 3, 2, 2] };
    expect(parsePreprocessing("imagenet", image)).toMatchObject({
      size: [2, 2],
      resize: "shorter",
      std: [0.229, 0.224, 0.225],
    });
    expect(parsePreprocessing('{"preset":"tensorflow","channels":"BGR"}', image)).toMatchObject({
      mean: [0.5, 0.5, 0.5],
      channels: "BGR",
    });
    expect(parsePreprocessing("bytes", image)).toMatchObject({ scale: 1 });
    const grey = parsePreprocessing("imagenet", { ...image, shape: [1, 1, 2, 2] });
    expect(grey.mean[0]).toBeCloseTo(0.449, 3);
  });

  test("test_data_set folders, and the same content has the same hash", async ({ skip }) => {
    const folder = "../shared/demo-models/digits";
    if (!existsSync(folder)) skip("../shared is absent");
    const ports = [{ name: "image", type: { dtype: "float32" as const, shape: ["batch", 1, 28, 28] } }];
    const [first, again] = await Promise.all(
      [1, 2].map(() => readSamples({ folder: diskFolder(folder), name: folder }, ports)),
    );
    expect(first?.samples.length).toBeGreaterThan(0);
    expect(first?.hash).toMatch(/^[0-9a-f]{64}$/);
    expect(again?.hash).toBe(first?.hash);
  });
});

describe("what is wrong with samples is said", () => {
  const ports = [port("x", "float32", [1, 2])];
  const npy = (shape: readonly number[], values: readonly number[]) => writeNpy(tensorOf("float32", shape, values));
  test.each([
    [
      "too few",
      { "x.npy": npy([1, 2], [1, 2]) },
      { least: 2 },
      "there are too few samples; expected at least 2; 32 or more are wise; received 1",
    ],
    [
      "NaN",
      { "a.npy": npy([1, 2], [1, Number.NaN]) },
      {},
      "sample 0 (a.npy), input x: a value is not finite; expected numbers; received NaN at element 1",
    ],
    [
      "a wrong shape",
      { "x.npy": npy([1, 3], [1, 2, 3]) },
      {},
      "input x has another shape; expected [1, 2]; received [1, 3]",
    ],
    [
      "labels",
      { "x.npy": npy([1, 2], [1, 2]) },
      { labels: file("l.txt", "1\n2") },
      "l.txt: there are not as many of them as samples; expected 1, one for each sample; received 2",
    ],
    [
      "a label that is no number",
      { "x.npy": npy([1, 2], [1, 2]) },
      { labels: file("l.txt", "cat") },
      "sample 0: its label is no class",
    ],
    ["an input that is missing", { "s.jsonl": "{}" }, {}, "an input is missing; expected x"],
    [
      "an input too many",
      { "s.jsonl": '{"x":[[1,2]],"y":[1]}' },
      {},
      "the model has no such input; expected x; received y",
    ],
    ["ragged arrays", { "s.jsonl": '{"x":[[1,2],[1]]}' }, {}, "s.jsonl:1, x: the arrays are ragged"],
    ["nothing", { "readme.txt": "" }, {}, "there are no samples here"],
    ["an empty folder", {}, {}, "there are no samples here"],
    ["infinity", { "s.jsonl": '{"x":[[1,1e999]]}' }, {}, "sample 0, input x: a value is not finite"],
    ["a cut .npy", { "x.npy": npy([1, 2], [1, 2]).subarray(0, 130) }, {}, "x.npy: the data does not fill the shape"],
    ["a .npy of text", { "x.npy": "hello" }, {}, "x.npy: this is not a .npy file"],
    ["another type", { "x.npy": writeNpy(tensorOf("int64", [1, 2], [1, 2])) }, {}, "expected float32; received int64"],
    ["a cut .pb", { "test_data_set_0/input_0.pb": Uint8Array.of(8, 1, 74, 40, 1) }, {}, "test_data_set_0/input_0.pb"],
    ["cut JSON lines", { "s.jsonl": '{"x":[[1,2]]}\n{"x":[[1,' }, {}, "s.jsonl:2: the line is not JSON"],
    ["a cut IDX file", { "x-idx3-ubyte": Uint8Array.of(0, 0, 8, 3, 0, 0) }, {}, "this is not an IDX file of pictures"],
    ["a cut .gz", { "x-idx3-ubyte.gz": Uint8Array.of(31, 139, 8) }, {}, "the file is not gzip, or ends early"],
    ["a broken CIFAR file", { "x.bin": new Uint8Array(10) }, {}, "this is not a CIFAR-10 binary file"],
    ["a broken IDX file", { "x-idx3-ubyte": new Uint8Array(20) }, {}, "this is not an IDX file of pictures"],
    ["a model that takes no picture", { "x.bin": new Uint8Array(3073) }, {}, "the model does not take one picture"],
  ])("%s", async (_, files, options, message) => {
    await expect(read(files as Record<string, Uint8Array | string>, ports, options)).rejects.toThrow(message);
  });

  test("inputs of different numbers of samples, and files of which input", async () => {
    const two = [port("a", "float32", [1, 2]), port("b", "float32", [1, 2])];
    const stacks = { "a.npy": npy([3, 2], numbers(0, 6)), "b.npy": npy([2, 2], numbers(0, 4)) };
    await expect(read(stacks, two)).rejects.toThrow(
      "b.npy: files that belong together do not hold equally many samples; expected 3",
    );
    await expect(read({ "c.npy": npy([1, 2], [1, 2]) }, two)).rejects.toThrow("c.npy: the model has several inputs");
  });

  test("a picture that cannot be decoded, and groups of which some samples have none", async () => {
    const decode = async (_: Uint8Array, name: string) => {
      if (name === "cats/2.png") throw new Error(`${name} is broken`);
      return { width: 2, height: 2, channels: 3 as const, data: new Uint8Array(12) };
    };
    await expect(read({ "cats/1.png": "", "cats/2.png": "" }, [picture], { decode })).rejects.toThrow("cats/2.png");
    const mixed = read({ "1.png": "", "cats/1.png": "" }, [picture], { decode });
    await expect(mixed).rejects.toThrow("some samples are in folders, which are their groups, and some are not");
    const said = await read({ "1.png": "", "cats/1.png": "" }, [picture], {
      decode,
      groups: file("g.txt", "dogs\ncats"),
    });
    expect(said.groups).toEqual(["dogs", "cats"]);
  });

  test("the file of a bad sample is named", async () => {
    const files = { "day/1.npy": npy([1, 2], [1, 2]), "day/2.npy": npy([1, 2], [1, Number.POSITIVE_INFINITY]) };
    await expect(read(files, ports)).rejects.toThrow(
      /sample 1 \(day\/2.npy\), input x: a value is not finite.*Infinity at element 1/,
    );
  });

  test.each([
    ['{"size":[0,2]}', "size is wrong"],
    ['{"std":0}', "std is wrong"],
    ['{"mena":0}', "a field is not known"],
    ['{"resize":"stretch","crop":"center"}', "crop is not known"],
    ['{"preset":"caffee"}', "the preset is not known"],
    ["[]", "the preprocessing is not an object"],
    ["{", "the preprocessing is not JSON"],
  ])("preprocessing %s", (text, message) => {
    expect(() => parsePreprocessing(text, { name: "image", dtype: "float32", shape: [1, 3, 2, 2] })).toThrow(message);
  });
});

describe("resizing", () => {
  const row = { width: 4, height: 1, channels: 1 as const, data: Uint8Array.of(0, 40, 80, 120) };
  test("shrinking averages what a pixel covers, growing interpolates, the middle is cut out", () => {
    expect([...resizePicture(row, 2, 1, "stretch")]).toEqual([29, 91]);
    expect([...resizePicture({ ...row, width: 2, data: Uint8Array.of(0, 40) }, 4, 1, "stretch")]).toEqual([
      0, 10, 30, 40,
    ]);
    expect([...resizePicture({ ...row, height: 1 }, 1, 1, "shorter")]).toEqual([60]);
  });
  test("BGR and NHWC", () => {
    const settings = parsePreprocessing('{"channels":"BGR","layout":"NHWC","scale":1,"size":[1,1]}', {
      name: "x",
      dtype: "float32",
      shape: [],
    });
    expect([...preprocess({ width: 1, height: 1, channels: 3, data: Uint8Array.of(1, 2, 3) }, settings).data]).toEqual([
      3, 2, 1,
    ]);
  });
});
