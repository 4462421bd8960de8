/**
 * The packed project in applications (test/consumers): Vite's development server and build, webpack, a page with an
 * import map, each in Chromium under a strict Content-Security-Policy, and TypeScript against the packed types.
 */
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium } from "playwright";
import { build, createServer } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import webpack, { type Configuration, type Stats } from "webpack";
import { chromiumArguments, findChromium } from "../../bench/chromium.ts";
import { serve } from "../../bench/serve.ts";
import { diskFolder } from "../../compiler/file-source.ts";
import { readDataSets } from "../../compiler/import/data-set.ts";
import { install, pack, root, run, type Tarball } from "./packed.ts";

const patience = 300_000;
const digits = join(root, "demo/models/digits");
const executable = findChromium();

const policy = (scripts = ""): Readonly<Record<string, string>> => ({
  "Content-Security-Policy": `default-src 'self'; script-src 'self' 'wasm-unsafe-eval'${scripts}; worker-src 'self'; img-src 'self' data:`,
});

interface Answer {
  readonly logits: readonly number[];
  readonly variant: string;
  readonly notes: readonly string[];
}

interface Result {
  readonly served?: Answer;
  readonly compiled?: Answer;
  /** Of the page for onnxruntime-web. */
  readonly logits?: readonly { readonly data: readonly number[] }[];
  readonly error?: string;
}

let folder: string;
let tarball: Tarball;
let browser: Browser;
let golden: readonly number[];
/** Holds files/: the model, the package that the packed command line made of it, an input. */
let publicDir: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "leafcutter-consumers-"));
  tarball = await pack(join(folder, "project"));
  const [set] = await readDataSets(diskFolder(digits));
  const [image, logits] = [set?.inputs[0], set?.outputs[0]];
  if (image === undefined || logits === undefined) throw new Error("the demo model has no data set");
  golden = Array.from(logits.data.slice(0, 10), Number);
  browser = await chromium.launch({
    ...(executable === undefined ? {} : { executablePath: executable }),
    args: [...chromiumArguments],
  });
  publicDir = join(folder, "public");
  const files = join(publicDir, "files");
  mkdirSync(files, { recursive: true });
  cpSync(join(digits, "model.onnx"), join(files, "digits.onnx"));
  writeFileSync(join(files, "pixels.bin"), new Uint8Array(image.data.slice(0, 28 * 28).buffer));
  const cli = join(application("plain"), "node_modules/leafcutter/dist/compiler/cli.js");
  run(process.execPath, [cli, "compile", "digits.onnx", "-o", "digits"], files);
}, patience);

afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
}, patience);

/** An application of test/consumers with the tarball installed. */
function application(name: string): string {
  const app = join(folder, name);
  install(tarball, join(root, "test/consumers", name), app);
  return app;
}

/** Opens the page and returns what it found; fails on any violation of the policy and any uncaught error. */
async function resultOf(address: string): Promise<Result> {
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  try {
    const response = await page.goto(address);
    expect(response?.headers()["content-security-policy"]).not.toMatch(/unsafe-eval'(?<!wasm-unsafe-eval')|blob:/);
    const html = page.locator("html[data-result]");
    await html.waitFor({ state: "attached", timeout: patience / 2 }).catch((error: unknown) => {
      throw new Error([String(error), ...errors].join("\n"));
    });
    expect(errors).toEqual([]);
    const result = JSON.parse((await html.getAttribute("data-result")) ?? "") as Result;
    expect(result.error).toBeUndefined();
    return result;
  } finally {
    await page.close();
  }
}

/** The result of a page that a static server has, under a policy that names the page's import map. */
async function resultFrom(app: string, file = "index.html"): Promise<Result> {
  const mounts = {
    "/": app,
    "/files/": join(publicDir, "files"),
    "/onnxruntime-web/": join(root, "node_modules/onnxruntime-web/dist"),
  };
  const [, map] = /<script type="importmap">(.*)<\/script>/.exec(readFileSync(join(app, file), "utf8")) ?? [];
  const hash = map === undefined ? "" : ` 'sha256-${createHash("sha256").update(map).digest("base64")}'`;
  const server = await serve(
    Object.fromEntries(Object.entries(mounts).map(([prefix, path]) => [prefix, { kind: "folder", path }])),
    { isolated: false, headers: policy(hash) },
  );
  try {
    return await resultOf(`${server.url}/${file}`);
  } finally {
    await server.close();
  }
}

function expectGolden(answer: Answer | undefined): void {
  expect(answer).toMatchObject({ variant: "wasm-relaxed", notes: [] });
  expect(answer?.logits.length).toBe(golden.length);
  for (const [index, logit] of (answer?.logits ?? []).entries()) expect(logit).toBeCloseTo(golden[index] ?? 0, 3);
}

test("the tarball is small, and holds what package.json names and no test", () => {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  };
  const named = Object.values(manifest.exports).flatMap((entry) =>
    typeof entry === "string" ? [entry] : Object.values(entry),
  );
  expect(named.filter((path) => !tarball.paths.includes(path.replace(/^\.\//, "")))).toEqual([]);
  expect(tarball.paths.filter((path) => /(^|\/)(test|demo|shared)\/|\.test\.|(?<!\.d)\.ts$/.test(path))).toEqual([]);
  expect(tarball.bytes).toBeLessThan(1_500_000);
});

describe("a Vite app", () => {
  let app: string;

  beforeAll(() => {
    app = application("vite");
  });

  test("in the development server runs a package, compiles the model and runs that", {
    timeout: patience,
  }, async () => {
    const server = await createServer({
      root: app,
      logLevel: "error",
      publicDir,
      server: { port: 0, host: "127.0.0.1", hmr: false, watch: null, headers: policy() },
    });
    try {
      await server.listen();
      const { served, compiled } = await resultOf(server.resolvedUrls?.local[0] ?? "");
      expectGolden(served);
      expectGolden(compiled);
    } finally {
      await server.close();
    }
  });

  test("built for production does the same", { timeout: patience }, async () => {
    await build({ root: app, publicDir, logLevel: "error" });
    const { served, compiled } = await resultFrom(join(app, "dist"));
    expectGolden(served);
    expectGolden(compiled);
  });
});

test("a webpack app, built for production, runs a package", { timeout: patience }, async () => {
  const app = application("webpack");
  const { default: configuration } = (await import(join(app, "webpack.config.js"))) as {
    readonly default: Configuration;
  };
  const stats = await new Promise<Stats>((resolve, reject) => {
    webpack({ ...configuration, context: app, output: { path: join(app, "dist") } }, (error, result) =>
      result === undefined ? reject(error) : resolve(result),
    );
  });
  const { errors, warnings } = stats.toJson({ all: false, errors: true, warnings: true });
  expect([errors, warnings]).toEqual([[], []]);
  expectGolden((await resultFrom(app)).served);
});

test("a page with an import map and no bundler runs a package", { timeout: patience }, async () => {
  const app = join(folder, "plain");
  expectGolden((await resultFrom(app)).served);
});

test("a page written for onnxruntime-web gives the same on both imports", { timeout: patience }, async () => {
  const app = application("ort");
  const { logits: own = [], ...answer } = await resultFrom(app, "leafcutter.html");
  const { logits: peer = [], ...expected } = await resultFrom(app, "onnxruntime.html");
  expect(answer).toEqual(expected);
  expect(own.length).toBe(peer.length);
  for (const [index, { data, ...description }] of own.entries()) {
    const { data: theirs = [], ...described } = peer[index] ?? {};
    expect(description).toEqual(described);
    for (const [element, value] of data.entries()) {
      expect(value).toBeCloseTo(theirs[element] ?? Number.NaN, 4);
      expect(value).toBeCloseTo(golden[element] ?? Number.NaN, 3);
    }
  }
});

test("the installed command line tries features of Node without the packages that drive browsers", () => {
  const cli = join(folder, "plain/node_modules/leafcutter/dist/compiler/cli.js");
  expect(run(process.execPath, [cli, "features", "--in", "node"], folder)).toMatch(/variant chosen/);
});

test("strict TypeScript accepts the packed types, as a bundler and as Node resolve them", { timeout: patience }, () => {
  const app = application("types");
  writeFileSync(join(app, "package.json"), '{ "type": "module" }');
  for (const resolution of ["bundler", "nodenext"]) {
    run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", `${resolution}.json`], app);
  }
});
