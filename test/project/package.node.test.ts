/** The shape of the repository and of the package that is published. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const read = (file: string): string => readFileSync(join(root, file), "utf8");

test("the top level holds the agreed folders and files, dotfiles, lockfile and licence, and nothing else", () => {
  const folders = ["runtime", "compiler", "demo", "bench", "test"];
  const files = ["package.json", "tsconfig.json", "vite.config.ts", "README.md", "package-lock.json", "LICENSE"];
  const ignored = read(".gitignore")
    .split("\n")
    .map((line) => line.replace(/\/$/, ""));
  const unexpected = readdirSync(root).filter(
    (name) => ![...folders, ...files, ...ignored].includes(name) && !name.startsWith(".") && !name.endsWith(".tgz"),
  );
  expect(unexpected).toEqual([]);
});

test("the lockfile pins integrity and names no download host", () => {
  const { packages } = JSON.parse(read("package-lock.json")) as {
    readonly packages: Readonly<Record<string, { readonly integrity?: string; readonly resolved?: string }>>;
  };
  const installed = Object.entries(packages).filter(([path]) => path !== "");
  expect(installed.length).toBeGreaterThan(0);
  expect(installed.filter(([, entry]) => entry.resolved !== undefined).map(([path]) => path)).toEqual([]);
  expect(installed.filter(([, entry]) => entry.integrity === undefined).map(([path]) => path)).toEqual([]);
});

test("every version in package.json is exact", () => {
  const manifest = JSON.parse(read("package.json")) as Readonly<
    Record<"dependencies" | "devDependencies", Readonly<Record<string, string>>>
  >;
  const versions = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
  expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
});
