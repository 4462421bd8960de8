/** The project obeys its layers, and the check of it finds what it must find. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { checkLayers, type Packages } from "./layers.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const packages: Packages = { dependencies: ["comlink", "pbf"], devDependencies: ["vitest", "@tensorflow/tfjs"] };

/** Checks a small project given as one import (or none) per file. */
function violationsOf(files: Readonly<Record<string, string>>): readonly string[] {
  return checkLayers(new Map(Object.entries(files)), packages).map(
    ({ file, imports, rule }) => `${file} imports ${imports}: ${rule}`,
  );
}

test("every source file imports from its own folder and from rows below", () => {
  const sources = ["runtime", "compiler", "demo", "bench", "test"].flatMap((folder) =>
    readdirSync(root).includes(folder)
      ? readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
          .filter((file) => file.endsWith(".ts"))
          .map((file) => posix.join(folder, file.split(sep).join("/")))
          // Applications outside the project, which have it as a dependency.
          .filter((file) => !file.startsWith("test/consumers/"))
      : [],
  );
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Readonly<
    Record<"dependencies" | "devDependencies", Readonly<Record<string, string>>>
  >;
  const violations = checkLayers(new Map(sources.map((file) => [file, readFileSync(join(root, file), "utf8")])), {
    dependencies: Object.keys(manifest.dependencies),
    devDependencies: Object.keys(manifest.devDependencies),
  });
  expect(sources.length).toBeGreaterThan(0);
  expect(violations.map(({ file, imports, rule }) => `${file} imports ${imports}: ${rule}`)).toEqual([]);
});

test("imports down the rows, within a folder, and the listed exceptions are allowed", () => {
  expect(
    violationsOf({
      "runtime/format/dtype.ts": "export type DType = string;",
      "runtime/reference/add.ts": 'import type { DType } from "../format/dtype.ts";',
      "compiler/graph/graph.ts": 'import type { DType } from "../../runtime/format/dtype.ts";',
      "compiler/kernels/conv/contract.ts": 'import "../../graph/graph.ts";',
      "compiler/kernels/conv/wasm.ts": 'import "./contract.ts";',
      "compiler/ops/conv.ts": 'import "../kernels/conv/contract.ts";',
      "compiler/import/onnx/model.ts": 'import { PbfReader } from "pbf";',
      "compiler/compile.ts": 'import { run } from "../runtime/engine/wasm.ts"; import "./pipeline.ts";',
      "compiler/pipeline.ts": "",
      "compiler/cli.ts": 'import { argv } from "node:process"; import "./compile.ts";',
      "runtime/engine/wasm.ts": 'export const host = () => import("../reference/add.ts");',
      "runtime/worker/client.ts": 'import { wrap } from "comlink"; new Worker(new URL("./host.ts", import.meta.url));',
      "runtime/worker/host.ts": 'import "./client.ts";',
      "bench/start.ts": 'import "../compiler/compile.ts"; import "@tensorflow/tfjs";',
      "test/start.node.test.ts": 'import "../bench/start.ts"; import { test } from "vitest";',
    }),
  ).toEqual([]);
});

const refused: readonly (readonly [name: string, file: string, source: string, expected: RegExp])[] = [
  ["a row above", "compiler/graph/a.ts", 'import "../ops/index.ts";', /ops\/index\.ts: row 1 may not .* row 2/],
  ["a neighbour of the same row", "compiler/codegen/a.ts", 'import "../package/b.ts";', /both stand in row 5/],
  ["the demo in the bench", "bench/a.ts", 'import "../demo/b.ts";', /both stand in row 7/],
  ["format into reference", "runtime/format/a.ts", 'import "../reference/b.ts";', /both stand in row 0/],
  ["ops in kernels", "compiler/kernels/a.ts", 'import "../ops/index.ts";', /both stand in row 2/],
  ["a kernel's inside in ops", "compiler/ops/a.ts", 'import "../kernels/conv/wasm.ts";', /both stand in row 2/],
  ["the compiler in the runtime", "runtime/index.ts", 'import "../compiler/graph/a.ts";', /nothing from compiler/],
  ["the runtime's load in the compiler", "compiler/cli.ts", 'import "../runtime/load/a.ts";', /only runtime\/format/],
  ["the wasm engine outside compile.ts", "compiler/cli.ts", 'import "../runtime/engine/wasm.ts";', /only runtime\/f/],
  ["another engine in compile.ts", "compiler/compile.ts", 'import "../runtime/engine/ort.ts";', /only runtime\/for/],
  ["a file outside the project", "test/a.ts", 'import "../../other/a.ts";', /outside the folders/],
  ["a file without a row", "bench/a.ts", 'import "../compiler/helper.ts";', /outside the folders/],
  ["a type-only import", "runtime/load/a.ts", 'import type { T } from "../engine/b.ts";', /row 3 may not .* row 4/],
  ["a type in an import()", "runtime/load/a.ts", 'export type T = import("../engine/b.ts").T;', /row 3 may not/],
  ["a re-export", "runtime/load/a.ts", 'export { b } from "../engine/b.ts";', /row 3 may not/],
  ["a re-export of all", "runtime/load/a.ts", 'export * from "../engine/b.ts";', /row 3 may not/],
  ["a dynamic import", "runtime/load/a.ts", 'await import("../engine/b.ts");', /row 3 may not/],
  ["a worker's URL", "runtime/load/a.ts", 'new Worker(new URL("../worker/b.ts", import.meta.url));', /row 3 may not/],
  ["a computed import", "runtime/load/a.ts", "await import(name);", /names its module with a literal/],
  ["a package in the runtime", "runtime/load/a.ts", 'import "pbf";', /no packages but comlink/],
  ["onnxruntime-web outside its engine", "runtime/load/a.ts", 'import "onnxruntime-web/wasm";', /no packages but/],
  ["a development package in the compiler", "compiler/ops/a.ts", 'import "vitest";', /not in the dependencies/],
  ["an unlisted package", "bench/a.ts", 'import "left-pad";', /left-pad is not in package\.json/],
  ["Node in the compiler", "compiler/ops/a.ts", 'import "node:fs";', /only files of the compiler that touch Node/],
];

test.each(refused)("refuses %s", (_, file, source, expected) => {
  const [violation, ...others] = violationsOf({ [file]: source });
  expect(violation).toMatch(expected);
  expect(violation).toContain(file);
  expect(others).toEqual([]);
});

test("refuses a source file that stands in no row", () => {
  expect(violationsOf({ "compiler/helpers/a.ts": 'import "../graph/c.ts";', "runtime/b.ts": "" })).toEqual([
    "compiler/helpers/a.ts imports : the file stands in no row of the layers",
    "runtime/b.ts imports : the file stands in no row of the layers",
  ]);
});

test("refuses a cycle, also one of types only, and names its files", () => {
  const cycle = violationsOf({
    "runtime/load/a.ts": 'import { b } from "./b.ts";',
    "runtime/load/b.ts": 'import type { C } from "./c.ts";',
    "runtime/load/c.ts": 'export { a } from "./a.ts";',
  });
  expect(cycle).toEqual([
    "runtime/load/a.ts imports runtime/load/b.ts: import cycle: runtime/load/a.ts -> runtime/load/b.ts -> runtime/load/c.ts -> runtime/load/a.ts",
  ]);
});
