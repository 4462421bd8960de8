/**
 * The built scripts of the bench's pages. From the built package they lie beside this file; from the sources they are
 * bundled with the project's own configuration into a temporary folder, once per content.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The page scripts, each under the name of its source. */
const scripts = {
  bench: new URL("./page/bench-page.ts", import.meta.url),
  features: new URL("./page/features-page.ts", import.meta.url),
  verify: new URL("./page/verify-page.ts", import.meta.url),
  worklet: new URL("./page/worklet-page.ts", import.meta.url),
  "cold-empty": new URL("./page/cold-empty.ts", import.meta.url),
  "cold-leafcutter": new URL("./page/cold-leafcutter.ts", import.meta.url),
  "cold-peer": new URL("./page/cold-peer.ts", import.meta.url),
} as const;

export type PageName = keyof typeof scripts;

export interface PageAssets {
  /** Folder to serve. */
  readonly root: string;
  readonly pages: readonly PageName[];
  /** Path of a page's script below the root. */
  readonly script: (page: PageName) => string;
}

/** The folder that holds bench/ and runtime/, of the sources or of the built package. */
const tree = dirname(dirname(dirname(fileURLToPath(scripts.bench))));
const isBuilt = scripts.bench.pathname.endsWith(".js");

function contentHash(): string {
  const hash = createHash("sha256");
  for (const folder of ["bench", "runtime", "compiler"]) {
    for (const file of readdirSync(join(tree, folder), { recursive: true, encoding: "utf8" }).sort()) {
      if (file.endsWith(".ts")) hash.update(`${folder}/${file}\0`).update(readFileSync(join(tree, folder, file)));
    }
  }
  return hash
    .update(readFileSync(join(tree, "vite.config.ts")))
    .digest("hex")
    .slice(0, 16);
}

async function bundle(): Promise<string> {
  const folder = join(tmpdir(), `leafcutter-bench-${contentHash()}`);
  if (existsSync(folder)) return folder;
  const { createBuilder } = await import("vite");
  const outDir = mkdtempSync(join(tmpdir(), "leafcutter-bench-build-"));
  const builder = await createBuilder({ root: tree, logLevel: "error", build: { outDir } }, null);
  for (const environment of Object.values(builder.environments)) {
    const { lib } = environment.config.build;
    const entries = lib === false || typeof lib.entry !== "object" ? [] : Object.keys(lib.entry);
    const isForPages = entries.every((entry) => /^(runtime|bench\/page)\//.test(entry));
    if (entries.length > 0 && isForPages) await builder.build(environment);
  }
  try {
    renameSync(outDir, folder);
  } catch {
    // Another process was faster.
    rmSync(outDir, { recursive: true, force: true });
  }
  return folder;
}

export async function pageAssets(): Promise<PageAssets> {
  return {
    pages: Object.keys(scripts) as PageName[],
    root: isBuilt ? tree : await bundle(),
    script: (page) => {
      const path = fileURLToPath(scripts[page]).slice(tree.length + 1);
      return path.split(/[\\/]/).join("/").replace(/\.ts$/, ".js");
    },
  };
}
