/**
 * `npm start`: the embedded CIFAR-10 network, compiled as it is and again to 40 % of its size, run in Node and in
 * Chromium, with its accuracy before and after and its latency beside onnxruntime-web. Writes report.html.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { compile, formatBytes, type Package } from "../compiler/compile.ts";
import { fileSource } from "../compiler/file-source.ts";
import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import { load } from "../runtime/index.ts";
import { runBench } from "./bench.ts";
import { findChromium } from "./chromium.ts";
import type { Target } from "./target.ts";
import type { Tensors } from "./tensor-bundle.ts";
import { openBrowserRunner } from "./verify-in-browser.ts";

const share = 0.4;
const channels = 3;
const side = 32;
const pixels = channels * side * side;

interface Labelled {
  readonly label: number;
  readonly inputs: Tensors;
}

/** Images of CIFAR-10's binary layout: a label byte, then three planes of bytes. */
async function readImages(path: string): Promise<readonly Labelled[]> {
  const bytes = await readFile(path);
  return Array.from({ length: Math.floor(bytes.length / (pixels + 1)) }, (_, index) => {
    const start = index * (pixels + 1);
    const data = Float32Array.from(bytes.subarray(start + 1, start + 1 + pixels), (value) => value / 255);
    const image = { dtype: "float32", shape: [1, channels, side, side], data } as const;
    return { label: bytes[start] ?? 0, inputs: { image } };
  });
}

/** Share of images whose largest logit is their label's. */
function accuracy(images: readonly Labelled[], outputs: readonly Tensors[]): number {
  const right = images.filter(({ label }, index) => {
    const scores = Array.from(outputs[index]?.logits?.data ?? [], Number);
    return scores.indexOf(Math.max(...scores)) === label;
  });
  return right.length / images.length;
}

async function runInNode({ files }: Package, images: readonly Labelled[]): Promise<readonly Tensors[]> {
  const session = await load(Object.fromEntries(files), { worker: false });
  const outputs: Tensors[] = [];
  for (const { inputs } of images) outputs.push(await session.run(inputs));
  await session.dispose();
  return outputs;
}

/** Outputs of each package in turn. */
async function runInChromium(
  packages: readonly Package[],
  images: readonly Labelled[],
): Promise<readonly (readonly Tensors[])[]> {
  const runner = await openBrowserRunner();
  try {
    const all: (readonly Tensors[])[] = [];
    for (const { files } of packages) {
      const runs = images.map(({ inputs }) => inputs);
      all.push((await runner.run({ files, runs, backend: "auto" })).outputs);
    }
    return all;
  } finally {
    await runner.close();
  }
}

/** The nearest folder above this file that holds the embedded models: the project's root. */
function projectRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, "demo/models/cifar10/model.onnx"))) return folder;
    if (folder === dirname(folder)) {
      throw new LeafcutterError({
        code: "file-missing",
        message: "the embedded models are not there",
        where: "demo/models",
        advice: "Run npm start in a clone of the project.",
      });
    }
  }
}

const inPercent = (value: number): string => `${(100 * value).toFixed(1)} %`;

async function start(): Promise<void> {
  const root = projectRoot();
  const folder = join(root, "demo/models/cifar10");
  const model = join(folder, "model.onnx");
  const calibration = await readImages(join(folder, "calibration-100.bin"));
  const images = await readImages(join(folder, "test-500.bin"));

  const whole = await compile(fileSource(model), { name: "cifar10" });
  console.log(`CIFAR-10 network compiled: ${formatBytes(whole.report.totalBytes)} of package, weights float32`);
  const maxSize = Math.floor(share * whole.report.totalBytes);
  const small = await compile(fileSource(model), {
    name: "cifar10-40%",
    maxSize,
    samples: calibration.map(({ inputs }) => inputs),
  });
  const storages = [...new Set(small.report.storage.map(({ storage }) => storage))].sort();
  console.log(
    `compiled again into ${formatBytes(maxSize)}: ${formatBytes(small.report.totalBytes)}, weights ${storages.join(", ")}`,
  );

  const chromium = findChromium() !== undefined;
  if (!chromium) console.log("There is no Chromium on this machine: everything is measured in Node only.");
  const inNode = [await runInNode(whole, images), await runInNode(small, images)];
  const inChromium = chromium ? await runInChromium([whole, small], images) : [];
  const say = (where: string, [before = [], after = []]: readonly (readonly Tensors[])[]): void => {
    const figures = [before, after].map((outputs) => inPercent(accuracy(images, outputs)));
    console.log(`accuracy on ${images.length} test images in ${where}: ${figures[0]} before, ${figures[1]} after`);
  };
  say("Node", inNode);
  if (chromium) say("Chromium", inChromium);

  const inputs = images[0]?.inputs ?? {};
  const targets: readonly Target[] = [
    { name: "cifar10", package: whole.files, model, precision: "float32", inputs },
    { name: "cifar10 at 40 %", package: small.files, precision: storages.join("+"), rounded: true, inputs },
  ];
  const html = resolve(root, "report.html");
  console.log("measuring, about a minute");
  await runBench({
    targets,
    where: chromium ? ["chromium", "node"] : ["node"],
    peers: ["ort"],
    rounds: 5,
    budgetMs: 3000,
    visits: 3,
    html,
    print: (line) => console.log(line),
  });
  console.log(`report: ${pathToFileURL(html).href}`);
}

try {
  await start();
} catch (error) {
  if (!(error instanceof LeafcutterError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
