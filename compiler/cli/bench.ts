/** `leafcutter bench`: models and packages beside other engines, kernels beside the roof, a model in an AudioWorklet, accuracy. */
import { type Command, Option } from "commander";
import type { Backend } from "../../runtime/index.ts";
import { publishedEnergy } from "../budget/energy.ts";
import { parseDeviceProfile, type Scheme } from "../compile.ts";
import type { StateNames } from "../plan/states.ts";
import { type EnergyFlags, withEnergyOptions } from "./energy.ts";
import { backendOption, dimOption, examples, stateOption } from "./options.ts";
import { collect, type Dims, parsePrecision, parseShares, parseThreadList } from "./parse.ts";
import { oneOf, places } from "./places.ts";
import { readText } from "./read-text.ts";

export function addBench(program: Command): void {
  withEnergyOptions(program.command("bench"))
    .description("measure models or packages beside onnxruntime-web and tfjs, interleaved in one run")
    .argument(
      "<target...>",
      ".onnx files, model folders or package folders; or `kernels` (and names of families, or `matvec`): every kernel as a share of the roof, and few rows by narrow weights beside float; or `quality` and the folder of a language model (perplexity), `cifar` or `agreement` (networks that see pictures): what fewer bits do; or `sizes` and models: each compiled to a half and a quarter of its bytes; or `worklet` and the two models of DTLN: noise suppression in an AudioWorklet",
    )
    .option("--in <places>", "comma-separated: chromium, firefox, webkit, node", "chromium")
    .option("--peers <names>", "comma-separated: ort, tfjs; empty for none", "ort")
    .option(
      "--peer <name=path>",
      "a twin of the model in the peer's own format: tfjs=PATH/model.json (repeatable)",
      collect,
    )
    .addOption(backendOption())
    .option("--rounds <n>", "interleaved rounds (default: 8, in about 8 s a model)", Number)
    .addOption(
      new Option("--threads <n,n>", "threads to run on, each number beside the others")
        .argParser(parseThreadList)
        .default([1], "1"),
    )
    .option("--visits <n>", "fresh pages per engine for loading and memory; 0 leaves them out", Number, 5)
    .option("--json <file>", "write the rows")
    .option("--html <file>", "write the report")
    .option("--seconds <n>", "with `worklet`: length of the audio in seconds", Number, 600)
    .option(
      "--schemes <names>",
      "with `quality` of a language model: comma-separated schemes, or two joined by + for products and tables",
      "int8-weights,int4/32+int8-weights,int4/32",
    )
    .option(
      "--windows <n>",
      "with `quality` of a language model: evaluate so many evenly spaced windows of eval.txt (default: all)",
      Number,
    )
    .option("--quick", "with `quality` of a language model: a tenth of the windows, without calibration.txt")
    .option(
      "--data <dir>",
      "with `quality cifar` and `agreement`: the folder with data, models and demo-models",
      "../shared",
    )
    .option("--images <n>", "with `quality agreement`: images to compare on (default: 200)", Number)
    .option("--each <n>", "with `quality cifar`: score every n-th image only", Number)
    .option("--model <name>", "with `quality agreement`: this model only (repeatable)", collect)
    .addOption(
      new Option("--shares <n,n>", "with `sizes`: shares of the bytes of the model's file")
        .argParser(parseShares)
        .default([0.5, 0.25], "0.5,0.25"),
    )
    .addOption(
      new Option(
        "--precisions <names>",
        "comma-separated schemes for all layers, each of which makes a package of every model: float32, float16, int8-weights, int8, int8-dynamic, int4, …",
      ).argParser((text) => text.split(",").map((name) => parsePrecision(name.trim()))),
    )
    .option("--device <file>", "device profile of `leafcutter profile`, whose predictions stand beside the medians")
    .addOption(dimOption())
    .addOption(stateOption())
    .addHelpText(
      "after",
      examples(
        "bench model.onnx --in chromium,node --peers ort --html report.html",
        "bench model.onnx package --peers '' --visits 0        ours alone, without fresh pages",
        "bench model.onnx --precisions float32,int8 --device device.json",
        "bench quality cifar agreement --data ../shared",
      ),
    )
    .action(bench);
}

interface BenchFlags extends EnergyFlags {
  readonly in: string;
  readonly peers: string;
  readonly peer?: readonly string[];
  readonly backend: Backend;
  readonly rounds?: number;
  readonly threads: readonly number[];
  readonly visits: number;
  readonly json?: string;
  readonly html?: string;
  readonly seconds: number;
  readonly shares: readonly number[];
  readonly precisions?: readonly Scheme[];
  readonly schemes: string;
  readonly windows?: number;
  readonly quick?: boolean;
  readonly data: string;
  readonly images?: number;
  readonly each?: number;
  readonly model?: readonly string[];
  readonly dim?: Dims;
  readonly state?: StateNames;
}

async function bench(targets: readonly string[], flags: BenchFlags): Promise<void> {
  const wanted = oneOf("--in", flags.in, places);
  if (targets[0] === "kernels") {
    const { runKernelBench } = await import("../../bench/kernels.ts");
    await runKernelBench({
      where: wanted[0] ?? "chromium",
      families: targets.slice(1),
      ...(flags.json === undefined ? {} : { json: flags.json }),
      print: (line) => console.log(line),
    });
    return;
  }
  const [what, ...models] = targets;
  if (what === "worklet") {
    const { runWorkletBench } = await import("../../bench/worklet.ts");
    const json = flags.json === undefined ? {} : { json: flags.json };
    await runWorkletBench({ targets: models, seconds: flags.seconds, ...json, print: (line) => console.log(line) });
    return;
  }
  if (what === "sizes") {
    const { runSizesBench } = await import("../../bench/sizes.ts");
    const json = flags.json === undefined ? {} : { json: flags.json };
    await runSizesBench({ targets: models, shares: flags.shares, ...json, print: (line) => console.log(line) });
    return;
  }
  if (what === "quality") {
    const { runQualityBench } = await import("../../bench/quality.ts");
    const { imageMeasures, runImageQuality } = await import("../../bench/image-quality.ts");
    const measures = imageMeasures.filter((name) => models.includes(name));
    if (measures.length > 0)
      await runImageQuality({
        measures,
        data: flags.data,
        ...(flags.images === undefined ? {} : { images: flags.images }),
        ...(flags.each === undefined ? {} : { each: flags.each }),
        ...(flags.model === undefined ? {} : { models: flags.model }),
        ...(flags.json === undefined ? {} : { json: flags.json }),
        print: (line) => console.log(line),
      });
    for (const folder of models.filter((name) => measures.every((measure) => measure !== name)))
      await runQualityBench({
        folder,
        mixes: flags.schemes,
        ...(flags.windows === undefined ? {} : { windows: flags.windows }),
        quick: flags.quick ?? false,
        ...(flags.json === undefined ? {} : { json: flags.json }),
        print: (line) => console.log(line),
      });
    return;
  }
  const { runBench } = await import("../../bench/bench.ts");
  const twins = Object.fromEntries(
    (flags.peer ?? []).map((text) => [text.slice(0, text.indexOf("=")), text.slice(text.indexOf("=") + 1)]),
  );
  const device =
    flags.device === undefined ? undefined : parseDeviceProfile(await readText("--device", flags.device), flags.device);
  await runBench({
    targets,
    where: wanted,
    peers: oneOf("--peers", flags.peers, ["ort", "tfjs"]),
    twins,
    backend: flags.backend,
    threads: flags.threads,
    visits: flags.visits,
    ...(flags.rounds === undefined ? {} : { rounds: flags.rounds }),
    ...(flags.json === undefined ? {} : { json: flags.json }),
    ...(flags.html === undefined ? {} : { html: flags.html }),
    ...(flags.precisions ? { precisions: flags.precisions } : {}),
    ...(flags.energy
      ? {
          energy: {
            coefficients: device?.energy ?? publishedEnergy,
            ...(flags.powercap === undefined ? {} : { powercap: flags.powercap }),
          },
        }
      : {}),
    compile: {
      ...(device === undefined ? {} : { device }),
      ...(flags.dim ? { dims: flags.dim } : {}),
      ...(flags.state ? { states: flags.state } : {}),
    },
    print: (line) => console.log(line),
  });
}
