/** What `npm run build` promises to a page without a bundler, checked on a build into a temporary folder. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { builtinModules } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createContext, runInContext } from "node:vm";
import { brotliCompressSync } from "node:zlib";
import { createBuilder, parseSync } from "vite";

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { prepare } from "../../runtime/index.ts";
import { expectedOutput, tinyPackage, width } from "../runtime/tiny-package.ts";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const outDir = mkdtempSync(join(tmpdir(), "leafcutter-build-"));
const runtime = join(outDir, "runtime");

const staticImportsOf = (file: string): readonly string[] =>
  parseSync(file, readFileSync(join(runtime, file), "utf8")).module.staticImports.map(
    ({ moduleRequest }) => moduleRequest.value,
  );

/** `file` and all that loads with it, whatever is imported on demand left out. */
function loadedWith(file: string, seen: ReadonlySet<string> = new Set()): ReadonlySet<string> {
  if (seen.has(file)) return seen;
  return staticImportsOf(file)
    .filter((name) => name.startsWith("."))
    .map((name) => join(dirname(file), name))
    .reduce((all, next) => loadedWith(next, all), new Set([...seen, file]) as ReadonlySet<string>);
}

const scripts = (): readonly string[] =>
  readdirSync(runtime, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".js"));

describe.skipIf(!existsSync(join(root, "runtime/index.ts")))("the built runtime", () => {
  beforeAll(async () => {
    const builder = await createBuilder({ root, logLevel: "error", build: { outDir } });
    await builder.buildApp();
  }, 60_000);
  afterAll(() => rmSync(outDir, { recursive: true, force: true }));

  test("imports only its own files and Node's modules, so that it needs no bundler", () => {
    const bare = scripts().flatMap((file) =>
      staticImportsOf(file)
        .filter((name) => !name.startsWith(".") && !builtinModules.includes(name.replace(/^node:/, "")))
        .map((name) => `${file} imports ${name}`),
    );
    expect(bare).toEqual([]);
  });

  test("names its workers by URLs of files that were built", () => {
    const named = scripts().flatMap((file) =>
      [...readFileSync(join(runtime, file), "utf8").matchAll(/new URL\([`"](\.[^`"]+)[`"],import\.meta\.url\)/g)].map(
        (match) => join(runtime, dirname(file), match[1] ?? ""),
      ),
    );
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((file) => !existsSync(file))).toEqual([]);
  });

  test("the worklet's entry is one file that uses the language and WebAssembly alone", async () => {
    const code = readFileSync(join(runtime, "worklet.js"), "utf8");
    expect(parseSync("worklet.js", code).module).toMatchObject({ staticImports: [], dynamicImports: [] });
    const script = code.replace(/export\s*\{(.*?)\};?\s*$/s, (_, names: string) => {
      const pairs = names.split(",").map((name) => name.trim().split(/\s+as\s+/));
      return `({ ${pairs.map(([local = "", exported = local]) => `${exported}: ${local}`).join(", ")} })`;
    });
    const scope = createContext({ WebAssembly });
    const { instantiate } = runInContext(script, scope) as typeof import("../../runtime/worklet.ts");
    const session = instantiate(await prepare(await tinyPackage()));
    const data = Float32Array.from({ length: width }, (_, index) => index - 2);
    expect(Array.from(session.runSync({ x: { data } }).y?.data ?? [], Number)).toEqual([...expectedOutput(data)]);
  });

  test("what a page and its worker load is at most 30 KB of brotli, with Comlink", () => {
    const bytes = ["index.js", "worker/host.js"]
      .flatMap((entry) => [...loadedWith(entry)])
      .map((file) => brotliCompressSync(readFileSync(join(runtime, file))).byteLength)
      .reduce((sum, size) => sum + size, 0);
    expect(bytes).toBeLessThanOrEqual(30_000);
  });
});
