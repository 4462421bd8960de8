/** Untrusted manifests and programs, and the hash they rest on. */
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { Program } from "../../runtime/format/program.ts";
import { Sha256 } from "../../runtime/format/sha256.ts";
import { checkAgreement, validateManifest } from "../../runtime/format/validate-manifest.ts";
import { validateProgram } from "../../runtime/format/validate-program.ts";
import { tinyPackage, tinyProgram } from "./tiny-package.ts";

const hexadecimal = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

test("SHA-256 agrees with Node's at every length around a block, in any pieces", () => {
  const bytes = Uint8Array.from({ length: 300 }, (_, index) => (index * 37 + 11) & 255);
  for (let length = 0; length <= bytes.length; length++) {
    const hash = new Sha256().update(bytes.subarray(0, length >> 1)).update(bytes.subarray(length >> 1, length));
    expect(hexadecimal(hash.digest())).toBe(createHash("sha256").update(bytes.subarray(0, length)).digest("hex"));
  }
});

type Json = Record<string | number, unknown>;

/** The error of a program (or manifest) in which one value was replaced. */
function errorAfter(
  source: unknown,
  path: readonly (string | number)[],
  value: unknown,
  check: (json: Json) => unknown,
) {
  const json = JSON.parse(JSON.stringify(source)) as Json;
  const place = path.slice(0, -1).reduce((node, key) => node[key] as Json, json);
  place[path.at(-1) ?? ""] = value;
  try {
    check(json);
  } catch (error) {
    if (error instanceof LeafcutterError) return error;
    throw error;
  }
  return undefined;
}

const program = tinyProgram({ reference: "Double", probe: true, divided: true, slow: { iterations: 2, rounds: 2 } });

test("a program with everything in it is valid", () => {
  expect(validateProgram(JSON.parse(JSON.stringify(program)))).toEqual(program);
});

const addresses = { condition: 1280, iteration: 1280 };
const controlled = {
  ...program,
  steps: [
    ...program.steps,
    { kind: "jump", name: "skip", op: "If", target: 6, condition: addresses.condition },
    { kind: "repeat", name: "again", op: "Loop", target: 1, count: "batch", ...addresses },
  ],
};

test("a program with jumps and repetitions is valid", () => {
  expect(validateProgram(JSON.parse(JSON.stringify(controlled)))).toEqual(controlled);
});

test.each<[name: string, path: (string | number)[], value: unknown, place: string]>([
  ["a jump backward", ["steps", 4, "target"], 2, "steps[4].target"],
  ["a jump to itself", ["steps", 4, "target"], 4, "steps[4].target"],
  ["a jump beyond the end", ["steps", 4, "target"], 7, "steps[4].target"],
  ["a jump to a part of a step", ["steps", 4, "target"], 5.5, "steps[4].target"],
  ["a condition outside memory", ["steps", 4, "condition"], 65536, "steps[4].condition"],
  ["a condition in the guard", ["steps", 4, "condition"], 0, "steps[4].condition"],
  ["a repetition of itself", ["steps", 5, "target"], 5, "steps[5].target"],
  ["a repetition of what follows", ["steps", 5, "target"], 6, "steps[5].target"],
  ["a repetition without end", ["steps", 5, "count"], 2 ** 31, "steps[5].count"],
  ["a repetition of no time", ["steps", 5, "count"], 0, "steps[5].count"],
  ["a counter in the weights", ["steps", 5, "iteration"], 64, "steps[5].iteration"],
  ["a counter that is not aligned", ["steps", 5, "iteration"], 1284, "steps[5].iteration"],
  ["an unknown kind of step", ["steps", 5, "kind"], "goto", "steps[5].kind"],
])("control flow with %s is refused at its place", (_, path, value, place) => {
  const error = errorAfter(controlled, path, value, (json) => validateProgram(json));
  expect(error?.code).toBe("program-invalid");
  expect(error?.diagnostic.where).toBe(place);
});

const symbolic = ["*", "batch", 1_000_000] as const;

test.each<[name: string, path: (string | number)[], value: unknown, place: string]>([
  ["pages beyond 4 GiB", ["memory", "pages"], 65537, "memory.pages"],
  ["a region outside memory", ["memory", "arena", "bytes"], 65536, "memory.arena.bytes"],
  ["overlapping regions", ["memory", "table", "start"], 64, "memory"],
  ["a region in the guard", ["memory", "weights", "start"], 0, "memory.weights.start"],
  ["a table too small for the records", ["memory", "table", "bytes"], 16, "memory.table"],
  ["an input in the weights", ["inputs", 0, "address"], 64, "inputs[0]"],
  ["a misaligned output", ["outputs", 0, "address"], 1283, "outputs[0].address"],
  ["an output that is too long", ["outputs", 0, "shape"], ["batch", 65536], "outputs[0]"],
  ["an unknown element type", ["inputs", 0, "dtype"], "float128", "inputs[0].dtype"],
  ["an unknown symbol", ["inputs", 0, "shape"], ["time", 8], "inputs[0].shape[0]"],
  ["a symbol that no input binds", ["inputs", 0, "shape"], [4, 8], "symbols"],
  ["a kernel that does not exist", ["steps", 0, "kernel"], 3, "steps[0].kernel"],
  ["a range below zero", ["steps", 0, "range"], -1, "steps[0].range"],
  ["a division by zero", ["steps", 0, "range"], ["/", "batch", 0], "steps[0].range[2]"],
  ["numbers beyond 2^53", ["steps", 0, "range"], ["%", ["*", 2 ** 52, 2 ** 52], 7], "steps[0].range[1]"],
  ["an unknown operation", ["steps", 0, "range"], ["^", "batch", 2], "steps[0].range[0]"],
  ["an extent outside memory", ["steps", 0, "accesses", 0, "bytes"], symbolic, "steps[0].accesses[0].bytes"],
  ["an access outside the arena", ["steps", 0, "accesses", 0, "bytes"], 60_000, "steps[0].accesses[0]"],
  ["a write to the weights", ["steps", 0, "accesses", 1, "mode"], "write", "steps[0].accesses[1]"],
  ["an address outside its access", ["steps", 0, "arguments", 0], 0, "steps[0].accesses[0]"],
  ["an access of no argument", ["steps", 0, "accesses", 0, "word"], 9, "steps[0].accesses[0].word"],
  ["a grain of nothing", ["steps", 0, "grain"], 0, "steps[0].grain"],
  [
    "scratch that moves",
    ["steps", 2, "accesses", 0],
    { word: 0, start: ["+", 1584, "batch"], bytes: 4, mode: "scratch" },
    "steps[2].accesses[0].start",
  ],
  ["a host step without a name of its function", ["steps", 3, "reference"], 3, "steps[3].reference"],
  ["a host step outside memory", ["steps", 3, "outputs", 0, "address"], 65532, "steps[3].outputs[0]"],
  ["a host step into the weights", ["steps", 3, "outputs", 0, "address"], 64, "steps[3].outputs[0]"],
  [
    "a tensor attribute with too few bytes",
    ["steps", 3, "attributes"],
    { value: { kind: "tensor", dtype: "float32", shape: [2], data: "AAAA" } },
    "steps[3].attributes.value.data",
  ],
  ["a probe of another kernel's step", ["kernels", 0, "probe", "step"], 1, "kernels[0].probe.step"],
  ["a probe that fills the weights", ["kernels", 0, "probe", "fills", 0, "start"], 64, "kernels[0].probe.fills[0]"],
  ["a sample outside memory", ["kernels", 0, "probe", "samples", 0, "address"], 65535, "kernels[0].probe.samples[0]"],
  ["steps that are no list", ["steps"], {}, "steps"],
])("a program with %s is refused at its place", (_, path, value, place) => {
  const error = errorAfter(program, path, value, (json) => validateProgram(json));
  expect(error?.code).toBe("program-invalid");
  expect(error?.diagnostic.where).toBe(place);
});

const stateful: Program = {
  ...program,
  symbols: [...program.symbols, { name: "past", lower: 0, upper: 3 }],
  states: [
    { kind: "fixed", name: "h", output: "h next", dtype: "float32", shape: [2, 4], address: 1280, source: 1312 },
    {
      kind: "growing",
      name: "key",
      output: "key next",
      dtype: "float32",
      shape: [2, "past", 2],
      address: 1344,
      axis: 1,
      capacity: 4,
      length: ["+", "past", 1],
    },
    {
      kind: "growing",
      name: "value",
      output: "value next",
      dtype: "float32",
      shape: ["past", 2],
      address: 1408,
      axis: 0,
      capacity: 4,
      length: ["+", "past", 1],
    },
  ],
};

test("a program with states is valid, and they bind its symbol", () => {
  expect(validateProgram(JSON.parse(JSON.stringify(stateful)))).toEqual(stateful);
});

test.each<[name: string, path: (string | number)[], value: unknown, place: string]>([
  ["the name of an input", ["states", 0, "name"], "x", "states[0].name"],
  ["the name of another", ["states", 1, "name"], "h", "states"],
  ["no output", ["states", 0, "output"], 1, "states[0].output"],
  ["an unknown kind", ["states", 0, "kind"], "shrinking", "states[0].kind"],
  ["an address in the weights", ["states", 0, "address"], 64, "states[0]"],
  ["an address that is no word", ["states", 0, "address"], 1281, "states[0].address"],
  ["a source outside memory", ["states", 0, "source"], 65_532, "states[0].source"],
  ["a source that is no number", ["states", 0, "source"], "past", "states[0].source"],
  ["a symbol in a fixed shape", ["states", 0, "shape", 0], "past", "states[0].shape[0]"],
  ["an axis that it does not have", ["states", 1, "axis"], 3, "states[1].axis"],
  ["a number as its length", ["states", 1, "shape", 1], 2, "states[1].shape[1]"],
  ["another open extent", ["states", 1, "shape", 0], "batch", "states[1].shape[0]"],
  ["a capacity below its bound", ["states", 1, "capacity"], 2, "states[1].shape[1]"],
  ["a length beyond its capacity", ["states", 1, "length"], ["+", "past", 2], "states[1].length"],
  ["a length below zero", ["states", 1, "length"], ["+", "past", -1], "states[1].length"],
  ["another length than its like", ["states", 2, "length"], "past", "states[2].length"],
  ["a capacity beyond memory", ["states", 1, "capacity"], 2 ** 20, "states[1]"],
])("a program whose state has %s is refused at its place", (_, path, value, place) => {
  const error = errorAfter(stateful, path, value, (json) => validateProgram(json));
  expect(error?.code).toBe("program-invalid");
  expect(error?.diagnostic.where).toBe(place);
});

/** Every value of a JSON tree, by path. */
function pathsOf(node: unknown, path: readonly (string | number)[] = []): readonly (readonly (string | number)[])[] {
  if (typeof node !== "object" || node === null) return [path];
  return [
    ...(path.length > 0 ? [path] : []),
    ...Object.entries(node).flatMap(([key, item]) => pathsOf(item, [...path, key])),
  ];
}

const hostile: readonly unknown[] = [
  ...[null, -1, 0.5, 1e308, 2 ** 53, "", "batch", "__proto__", true, [], {}, [[]], ["+", 1], ["/", 1, 0]],
  ...[
    ["*", 2 ** 52, 2 ** 52],
    ["%", ["*", 2 ** 40, ["*", 2 ** 40, "batch"]], 7],
    ["+", "batch", ["*", -4, "batch"]],
  ],
  JSON.parse("[".repeat(5000) + "]".repeat(5000)),
];

test("whatever replaces a value of a program, the answer is a program or a typed error", () => {
  const sources = [stateful, controlled];
  const outcomes = sources.flatMap((source) =>
    pathsOf(source).flatMap((path) =>
      hostile.map((value) => errorAfter(source, path, value, (json) => validateProgram(json))?.code),
    ),
  );
  expect(new Set(outcomes)).toEqual(new Set([undefined, "program-invalid"]));
  expect(outcomes.filter((code) => code === undefined).length).toBeLessThan(outcomes.length / 5);
});

const files = await tinyPackage({ threads: new Uint8Array(8) });
const selfTestOf = (rootMeanSquare: number) => ({
  seed: 1,
  bindings: { batch: 1 },
  outputs: [],
  absolute: 0,
  relative: 0,
  rootMeanSquare,
});
const manifest: unknown = JSON.parse(new TextDecoder().decode(files["manifest.json"]));

test.each<[name: string, path: (string | number)[], value: unknown, place: string]>([
  ["another format", ["format"], "leafcutter/2", "format"],
  ["a path out of the folder", ["shards", 0, "path"], "../../etc/passwd", "shards[0].path"],
  ["a path that is the folder", ["program", "path"], "..", "program.path"],
  ["an absolute address", ["modules", 0, "path"], "https://example.org", "modules[0].path"],
  ["a hash of another length", ["program", "sha256"], "abc", "program.sha256"],
  ["a form of weights that is no text", ["weights"], [{ form: 8, bytes: 1 }], "weights[0].form"],
  ["less than no weights", ["weights"], [{ form: "int8", bytes: -1 }], "weights[0].bytes"],
  ["a tolerance below 0", ["selfTest"], { ...selfTestOf(-1) }, "selfTest.rootMeanSquare"],
  ["a shard over 4 MiB", ["shards", 1, "bytes"], 4 * 1024 * 1024 + 1, "shards[1].bytes"],
  ["a compressed shard", ["shards", 0, "contentBytes"], 4, "shards[0].contentBytes"],
  ["more content than DEFLATE can hold", ["program", "contentBytes"], 2 ** 27, "program.contentBytes"],
  ["no module", ["modules"], [], "modules"],
  ["an unknown variant", ["modules", 0, "variant"], "native", "modules[0].variant"],
  ["two outputs of one name", ["outputs"], [1, 2].map(() => ({ name: "y", dtype: "float32", shape: [1] })), "outputs"],
])("a manifest with %s is refused at its place", (_, path, value, place) => {
  const error = errorAfter(manifest, path, value, validateManifest);
  expect(error?.code).toBe("package-invalid");
  expect(error?.diagnostic.where).toBe(place);
});

test.each<[name: string, path: (string | number)[], value: unknown, place: string]>([
  ["an input of another type", ["inputs", 0, "dtype"], "int32", "inputs"],
  ["another batch", ["symbols", 0, "upper"], 3, "symbols"],
  ["a missing shard", ["shards"], [], "shards"],
])("a manifest that disagrees with its program by %s is refused", (_, path, value, place) => {
  const error = errorAfter(manifest, path, value, (json) => checkAgreement(validateManifest(json), tinyProgram()));
  expect(error?.diagnostic.where).toBe(place);
});

test("whatever replaces a value of a manifest, the answer is a manifest or a typed error", () => {
  const outcomes = pathsOf(manifest).flatMap((path) =>
    hostile.map((value) => errorAfter(manifest, path, value, validateManifest)?.code),
  );
  expect(new Set(outcomes)).toEqual(new Set([undefined, "package-invalid"]));
});
