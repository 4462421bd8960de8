/**
 * One configuration for the library build and the tests; the demo has its own.
 *
 * `vite build` writes dist/ with the same tree as the sources: what a page loads (runtime/index.js and each module
 * worker) has its dependencies inside and needs no bundler; what Node or another bundler loads (compiler/, bench/)
 * keeps its dependencies as imports. Each module worker is a file of its own.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, posix, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { playwright } from "@vitest/browser-playwright";
import type { EnvironmentOptions, Plugin, UserConfig } from "vite";
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";
import type { BrowserProviderOption } from "vitest/node";
import { findBrowser } from "./bench/browser.ts";
import { chromiumArguments, findChromium } from "./bench/chromium.ts";
import type { BrowserName } from "./bench/driven-browser.ts";
import { drivenBrowser } from "./test/setup/browser-provider.ts";

const root = dirname(fileURLToPath(import.meta.url));

/** SharedArrayBuffer needs a cross-origin isolated page. */
const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
} as const;

const pageEntries = ["runtime/index.ts"];
/** Entries apart: a worklet has few modules and no imports on demand, and what is in index.ts is no chunk of another. */
const separateEntries = ["runtime/worklet.ts", "runtime/ort.ts"];
const nodeEntries = ["compiler/compile.ts", "compiler/cli.ts", "bench/start.ts", "bench/node-child.ts"];

/** What the sources write to name a module worker (or another module that is loaded by its URL). */
const moduleUrl = /new URL\(\s*"(\.{1,2}\/[^"]+\.ts)",\s*import\.meta\.url,?\s*\)/g;

function sourcesBelow(folder: string): readonly string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => posix.join(folder, file.split(sep).join("/")));
}

/** Every module that the sources load by URL, but Node's own processes: each becomes an entry of its own. */
function modulesLoadedByUrl(): readonly string[] {
  const targets = ["runtime", "compiler", "bench"]
    .flatMap(sourcesBelow)
    .flatMap((file) =>
      [...readFileSync(join(root, file), "utf8").matchAll(moduleUrl)].map((match) =>
        posix.join(posix.dirname(file), match[1] ?? ""),
      ),
    );
  return [...new Set(targets)].filter((file) => existsSync(join(root, file)) && !nodeEntries.includes(file)).sort();
}

/**
 * Keeps `new URL("./x.ts", import.meta.url)` a literal that Node, browsers and other bundlers understand, and points
 * it from the built file to the built module. Vite's own treatment writes a form that other bundlers do not see.
 */
function keepModuleUrls(): Plugin {
  const targets = new Map<string, string>();
  return {
    name: "leafcutter:module-urls",
    apply: "build",
    enforce: "pre",
    transform(code, id) {
      if (!code.includes("import.meta.url")) return undefined;
      return code.replaceAll(moduleUrl, (expression: string, specifier: string) => {
        const target = relative(root, resolve(dirname(id), specifier))
          .split(sep)
          .join("/");
        if (!existsSync(join(root, target))) return expression;
        const placeholder = `__LEAFCUTTER_MODULE_${Buffer.from(target).toString("hex")}__`;
        targets.set(placeholder, target.replace(/\.ts$/, ".js"));
        return placeholder;
      });
    },
    renderChunk(code, chunk) {
      return code.replaceAll(/__LEAFCUTTER_MODULE_[0-9a-f]+__/g, (placeholder) => {
        const path = posix.relative(posix.dirname(chunk.fileName), targets.get(placeholder) ?? "");
        return `new URL("${path.startsWith(".") ? path : `./${path}`}", import.meta.url)`;
      });
    },
  };
}

/** An entry that stands on another finds it as a file of its own: a page that has both has it once. */
function keepRuntimeEntry(): Plugin {
  return {
    name: "leafcutter:runtime-entry",
    apply: "build",
    enforce: "pre",
    resolveId: (source, importer) =>
      source === "./index.ts" && /\/runtime\/ort[a-z-]*\.ts$/.test(importer ?? "")
        ? { id: "./index.js", external: true }
        : undefined,
  };
}

const nodeModules = new Set([...builtinModules, ...builtinModules.map((name) => `node:${name}`)]);

function libraryEnvironment(entries: readonly string[], where: "page" | "node"): EnvironmentOptions {
  const isExternal = (id: string): boolean =>
    nodeModules.has(id) || (where === "node" && !/^[./\0]/.test(id) && !/^[A-Za-z]:/.test(id));
  return {
    consumer: where === "page" ? "client" : "server",
    build: {
      target: "es2022",
      emptyOutDir: false,
      copyPublicDir: false,
      lib: {
        entry: Object.fromEntries(entries.map((entry) => [entry.replace(/\.ts$/, ""), join(root, entry)])),
        formats: ["es"],
        fileName: (_, name) => `${name}.js`,
      },
      rolldownOptions: {
        external: isExternal,
        /** What an entry shares with its lazy parts stays in the entry: no second round trip before it runs. */
        preserveEntrySignatures: "allow-extension",
        output: {
          chunkFileNames: `${dirname(entries[0] ?? "")}/chunks/[name]-[hash].js`,
          // Names stay in what Node runs: its stack traces are read.
          minify: where === "page" || { compress: false, mangle: false, codegen: true },
        },
      },
    },
  };
}

function libraryBuild(): UserConfig {
  const existing = (entry: string): boolean => existsSync(join(root, entry));
  const builds: readonly (readonly [entries: readonly string[], where: "page" | "node"])[] = [
    [pageEntries.filter(existing), "page"],
    ...[...separateEntries, ...modulesLoadedByUrl()].map((entry) => [[entry], "page"] as const),
    [nodeEntries.filter(existing), "node"],
  ];
  const environments = Object.fromEntries(
    builds
      .filter(([entries]) => entries.length > 0)
      .map(([entries, where], index) => [`library${index}`, libraryEnvironment(entries, where)]),
  );
  return {
    environments,
    builder: {
      async buildApp(builder) {
        rmSync(resolve(root, builder.config.build.outDir), { recursive: true, force: true });
        for (const name of Object.keys(environments)) {
          const environment = builder.environments[name];
          if (environment !== undefined) await builder.build(environment);
        }
      },
    },
  };
}

/** Firefox's device answers on a tick of 100 ms: what asks it a thousand times is left to Chromium. */
const manyDeviceRuns = ["test/webgpu/graphs.browser.test.ts", "test/webgpu/operators.browser.test.ts"];

/** The suite once in each browser that is there; without Chromium its project says that there is none. */
function browserProjects(): TestProjectInlineConfiguration[] {
  if (process.env.VITEST === undefined) return [];
  const executablePath = findChromium();
  const project = (
    name: string,
    browser: BrowserName,
    provider: BrowserProviderOption,
    exclude: readonly string[] = [],
  ): TestProjectInlineConfiguration => ({
    extends: true,
    /** A dependency found in the middle of a run would reload the page under the tests. */
    optimizeDeps: {
      include: ["comlink/dist/esm/comlink.mjs", "comlink/dist/esm/node-adapter.mjs", "pbf", "fflate"],
      exclude: ["onnxruntime-web"],
    },
    test: {
      name,
      include: ["test/**/*.browser.test.ts"],
      exclude: [...exclude],
      testTimeout: 30_000,
      browser: {
        enabled: true,
        headless: true,
        screenshotFailures: false,
        connectTimeout: 180_000,
        provider,
        instances: [{ browser }],
      },
    },
  });
  const launchOptions = { ...(executablePath === undefined ? {} : { executablePath }), args: [...chromiumArguments] };
  const others = (["firefox", "webkit"] as const).flatMap((name) => {
    const found = findBrowser(name);
    return "missing" in found ? [] : [project(name, name, drivenBrowser(name, found.launch), manyDeviceRuns)];
  });
  return [project("browser", "chromium", playwright({ launchOptions })), ...others];
}

export default defineConfig(({ command }) => {
  return {
    root,
    publicDir: false,
    /** `../shared` holds models and reference outputs that tests use when they are there. */
    server: { headers: isolation, fs: { allow: [root, resolve(root, "../shared")] } },
    preview: { headers: isolation },
    plugins: [keepModuleUrls(), keepRuntimeEntry()],
    ...(command === "build" ? libraryBuild() : {}),
    test: {
      projects: [
        {
          extends: true,
          test: {
            name: "node",
            include: ["test/**/*.node.test.ts"],
            environment: "node",
            testTimeout: 30_000,
            execArgv: ["--import", new URL("./test/setup/typescript-in-workers.mjs", import.meta.url).href],
          },
        },
        ...browserProjects(),
      ],
    },
  };
});
