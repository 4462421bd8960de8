/**
 * The project as a reader installs it: built, packed by `npm pack` with the rules of package.json, and unpacked into the
 * node_modules of an application in a temporary folder, beside its dependencies from the project's own. No network.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createBuilder } from "vite";

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const modules = join(root, "node_modules");

/** Dependencies that only Node loads: native, and large. */
const onlyNode: ReadonlySet<string> = new Set(["sharp"]);

/** Runs a command to its end; throws with what it printed when it fails. */
export function run(command: string, args: readonly string[], folder: string): string {
  const windows = process.platform === "win32";
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: "utf8", shell: windows });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

export interface Tarball {
  readonly file: string;
  readonly bytes: number;
  /** Paths inside the package. */
  readonly paths: readonly string[];
}

/** Builds the project and packs it below `folder`. */
export async function pack(folder: string): Promise<Tarball> {
  const dist = join(folder, "dist");
  mkdirSync(folder, { recursive: true });
  for (const file of ["package.json", "README.md", "LICENSE"]) cpSync(join(root, file), join(folder, file));
  const builder = await createBuilder({ root, logLevel: "error", build: { outDir: dist } });
  await builder.buildApp();
  const compiler = join(modules, "typescript/bin/tsc");
  run(process.execPath, [compiler, "-p", join(root, ".config/types.json"), "--outDir", dist], root);
  const [packed] = JSON.parse(run("npm", ["pack", "--ignore-scripts", "--json"], folder)) as readonly {
    readonly filename: string;
    readonly size: number;
    readonly files: readonly { readonly path: string }[];
  }[];
  if (packed === undefined) throw new Error("npm pack made nothing");
  return {
    file: join(folder, packed.filename),
    bytes: packed.size,
    paths: packed.files.map(({ path }) => path),
  };
}

/** A package's dependencies in the project's node_modules, and theirs. */
function closure(names: readonly string[], seen: Set<string> = new Set()): ReadonlySet<string> {
  for (const name of names) {
    if (seen.has(name)) continue;
    seen.add(name);
    const manifest = JSON.parse(readFileSync(join(modules, name, "package.json"), "utf8")) as {
      readonly dependencies?: Readonly<Record<string, string>>;
    };
    if (!onlyNode.has(name)) closure(Object.keys(manifest.dependencies ?? {}), seen);
  }
  return seen;
}

/** Makes `folder` an application (with the files of `fixture`) that has the tarball and its dependencies installed. */
export function install({ file }: Tarball, fixture: string, folder: string): void {
  cpSync(fixture, folder, { recursive: true });
  const target = join(folder, "node_modules/leafcutter");
  mkdirSync(target, { recursive: true });
  run("tar", ["-xzf", file, "--strip-components=1", "-C", target], folder);
  const { dependencies } = JSON.parse(readFileSync(join(target, "package.json"), "utf8")) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  for (const name of closure(Object.keys(dependencies))) {
    const place = join(folder, "node_modules", name);
    mkdirSync(dirname(place), { recursive: true });
    if (onlyNode.has(name)) symlinkSync(join(modules, name), place, "junction");
    else cpSync(join(modules, name), place, { recursive: true });
  }
}
