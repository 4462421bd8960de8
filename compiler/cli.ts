#!/usr/bin/env node
/**
 * The `leafcutter` command: compile, inspect, run, verify, bench. With file-source.ts the only file of the compiler
 * that touches Node. Exit codes: 0 done, 1 failed, 2 the budget cannot be met.
 */
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Presets, SingleBar } from "cli-progress";
import { Command, Option } from "commander";
import { closest, LeafcutterError } from "../runtime/format/diagnostic.ts";
import { evaluateExtent } from "../runtime/format/extent.ts";
import type { Manifest } from "../runtime/format/manifest.ts";
import type { Program } from "../runtime/format/program.ts";
import { type Tensor, tensorOf, zeros } from "../runtime/format/tensor.ts";
import { type Backend, load } from "../runtime/index.ts";
import { collect, type Dims, parseDim, parseSize, parseState, parseThreads, parseValue } from "./cli-options.ts";
import { compile, formatBytes, formatReport, type Package, version } from "./compile.ts";
import { diskFolder, fileSource } from "./file-source.ts";
import { type DataTensor, readDataSets } from "./import/data-set.ts";
import { writeNpy } from "./import/npy.ts";
import type { InputValues } from "./import/onnx/fixed-input.ts";
import type { CostTable } from "./plan/cost-table.ts";
import type { StateNames } from "./plan/states.ts";

/** A progress bar on a terminal; nothing where the output is a file. */
function progressBar(): {
  readonly update: (stage: string, done: number, total: number) => void;
  readonly stop: () => void;
} {
  if (!process.stderr.isTTY) return { update: () => {}, stop: () => {} };
  const bar = new SingleBar(
    { format: "{stage} {bar} {percentage}%", hideCursor: true, clearOnComplete: true, stream: process.stderr },
    Presets.shades_classic,
  );
  bar.start(1, 0, { stage: "import" });
  return {
    update: (stage, done, total) => {
      bar.setTotal(Math.max(1, total));
      bar.update(done, { stage: stage.padEnd(12) });
    },
    stop: () => bar.stop(),
  };
}

interface CompileFlags {
  readonly dim?: Dims;
  readonly state?: StateNames;
  readonly value?: InputValues;
  readonly maxSize?: number;
  readonly samples?: string;
  readonly webgpu?: boolean;
  readonly threads?: boolean;
  readonly costs?: string;
  readonly name?: string;
}

/** The data sets of a folder, or of a folder of model folders' data. */
const dataSetsOf = (folder: string): ReturnType<typeof readDataSets> => readDataSets(diskFolder(folder));

async function samplesOf(folder: string): Promise<readonly (readonly DataTensor[])[]> {
  const sets = await dataSetsOf(folder);
  if (sets.length > 0) return sets.map(({ inputs }) => inputs);
  throw new LeafcutterError({
    code: "file-missing",
    where: folder,
    message: "there are no samples in the folder",
    expected: "test_data_set_0/input_0.pb, test_data_set_1/input_0.pb, …",
    advice: "Write each sample's inputs as TensorProto files, or leave --samples out to use seeded synthetic inputs.",
  });
}

async function compileModel(model: string, flags: CompileFlags): Promise<Package> {
  const bar = progressBar();
  try {
    const beside = await dataSetsOf(dirname(model));
    const samples = flags.samples === undefined ? undefined : await samplesOf(flags.samples);
    return await compile(fileSource(model), {
      ...(flags.name === undefined ? {} : { name: flags.name }),
      ...(flags.dim ? { dims: flags.dim } : {}),
      ...(flags.state ? { states: flags.state } : {}),
      ...(flags.value ? { values: flags.value } : {}),
      ...(beside[0] ? { sampleShapes: beside[0].inputs } : {}),
      ...(flags.maxSize === undefined ? {} : { maxSize: flags.maxSize }),
      ...(samples
        ? { samples: samples.map((tensors) => Object.fromEntries(tensors.map((tensor) => [tensor.name, tensor]))) }
        : {}),
      ...(flags.webgpu ? { webgpu: true } : {}),
      ...(flags.threads === undefined ? {} : { threads: flags.threads }),
      ...(flags.costs === undefined ? {} : { costs: JSON.parse(await readFile(flags.costs, "utf8")) as CostTable }),
      onProgress: bar.update,
    });
  } finally {
    bar.stop();
  }
}

/** Writes a package over what was in the folder, once everything is there to be written. */
async function writePackage(folder: string, files: ReadonlyMap<string, Uint8Array>): Promise<void> {
  await mkdir(folder, { recursive: true });
  const stale = (await readdir(folder)).filter(
    (name) =>
      /^([0-9a-f]{64}\.bin|program\.json|shaders\.json|threads\.wasm|wasm-[a-z]+\.wasm)$/.test(name) &&
      !files.has(name),
  );
  for (const [name, bytes] of files) if (name !== "manifest.json") await writeFile(join(folder, name), bytes);
  await writeFile(join(folder, "manifest.json"), files.get("manifest.json") ?? new Uint8Array());
  for (const name of stale) await rm(join(folder, name));
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (status) => status.isDirectory(),
    () => false,
  );

async function readPackage(
  folder: string,
): Promise<{ manifest: Manifest; program: Program; files: Record<string, Uint8Array> }> {
  const read = async (name: string): Promise<Uint8Array> => {
    const source = fileSource(join(folder, name));
    return source.read(0, await source.size());
  };
  const text = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes));
  const manifestBytes = await read("manifest.json");
  const manifest = text(manifestBytes) as Manifest;
  const files: Record<string, Uint8Array> = { "manifest.json": manifestBytes };
  for (const { path } of [
    manifest.program,
    ...manifest.modules,
    ...(manifest.threads ? [manifest.threads] : []),
    ...(manifest.shaders ? [manifest.shaders] : []),
    ...manifest.shards,
  ])
    files[path] = await read(path);
  return { manifest, program: text(files[manifest.program.path] as Uint8Array) as Program, files };
}

const extentText = (extent: unknown): string =>
  Array.isArray(extent) ? `(${extentText(extent[1])}${extent[0]}${extentText(extent[2])})` : String(extent);
const portText = ({ name, dtype, shape, value }: Manifest["inputs"][number]): string =>
  `${name} ${dtype} [${shape.map(extentText).join(", ")}]${value ? ` = ${value.join(",")}` : ""}`;

async function inspect(target: string, flags: CompileFlags & { readonly json?: boolean }): Promise<void> {
  const folder = await isFolder(target);
  const compiled = folder ? undefined : await compileModel(target, flags);
  const { manifest, program, files } = compiled
    ? {
        manifest: compiled.manifest,
        program: JSON.parse(new TextDecoder().decode(compiled.files.get("program.json"))) as Program,
        files: Object.fromEntries(compiled.files),
      }
    : await readPackage(target);
  const session = await load(files, { worker: false });
  await session.stats({ profile: true });
  const inputs = syntheticInputs(manifest);
  for (let round = 0; round < 5; round++) {
    // The inputs fit states as they are after a reset.
    await session.reset();
    await session.run(inputs);
  }
  const stats = await session.stats();
  await session.dispose();
  if (flags.json) {
    console.log(
      JSON.stringify({ manifest, memory: program.memory, steps: stats.steps, report: compiled?.report }, undefined, 2),
    );
    return;
  }
  const { memory } = program;
  console.log(`${manifest.name}, compiled by ${manifest.provenance.compiler} from ${manifest.provenance.source.name}`);
  for (const port of manifest.inputs) console.log(`  input   ${portText(port)}`);
  for (const port of manifest.outputs) console.log(`  output  ${portText(port)}`);
  for (const port of manifest.states ?? []) console.log(`  state   ${portText(port)}, next ${port.output}`);
  for (const { name, lower, upper } of manifest.symbols) console.log(`  symbol  ${name} in ${lower}..${upper}`);
  console.log(
    `  memory  ${memory.pages} pages: weights ${memory.weights.start}+${memory.weights.bytes}, table ${memory.table.start}+${memory.table.bytes}, arena ${memory.arena.start}+${memory.arena.bytes}`,
  );
  const sizes = [
    manifest.program,
    ...manifest.modules,
    ...(manifest.threads ? [manifest.threads] : []),
    ...(manifest.shaders ? [manifest.shaders] : []),
    ...manifest.shards,
  ];
  console.log(
    `  files   ${sizes.length + 1}, ${formatBytes(sizes.reduce((sum, { bytes }) => sum + bytes, files["manifest.json"]?.byteLength ?? 0))}`,
  );
  console.log(`  runs    ${stats.variant}: ${stats.reason}`);
  const hosts = program.steps.filter(({ kind }) => kind === "host");
  console.log(
    `  steps   ${program.steps.length}, of which ${hosts.length === 0 ? "none is a host step" : `${hosts.length} host steps: ${hosts.map(({ op }) => op).join(", ")}`}`,
  );
  console.log(
    `\n${"ms".padStart(9)} ${"share".padStart(6)} ${"MFLOP".padStart(9)} ${"GFLOP/s".padStart(8)} ${"weights".padStart(10)}  kernel                         step`,
  );
  const total = (stats.steps ?? []).reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  stats.steps?.forEach((step, index) => {
    const entry = program.steps[index];
    const weights = entry?.kind === "kernel" ? weightBytesOf(entry, memory) : 0;
    const goesTo = entry?.kind === "jump" || entry?.kind === "repeat" ? ` to step ${entry.target}` : "";
    const what = step.where === "host" && entry?.kind === "host" ? `host ${step.kernel}` : `${step.kernel}${goesTo}`;
    const rate = step.milliseconds > 0 && step.flops > 0 ? (step.flops / step.milliseconds / 1e6).toFixed(1) : "";
    console.log(
      `${step.milliseconds.toFixed(3).padStart(9)} ${`${((100 * step.milliseconds) / Math.max(total, 1e-9)).toFixed(1)}%`.padStart(6)} ${(step.flops / 1e6).toFixed(2).padStart(9)} ${rate.padStart(8)} ${(weights ? formatBytes(weights) : "").padStart(10)}  ${what.padEnd(30)} ${step.name}`,
    );
  });
  console.log(`${total.toFixed(3).padStart(9)} in all`);
}

function weightBytesOf(step: Extract<Program["steps"][number], { kind: "kernel" }>, memory: Program["memory"]): number {
  const end = memory.weights.start + memory.weights.bytes;
  return step.accesses.reduce(
    (sum, { start, bytes }) =>
      typeof start === "number" && typeof bytes === "number" && start < end ? sum + bytes : sum,
    0,
  );
}

/** Zeros of the smallest allowed shapes, or the value that an input has to have. */
function syntheticInputs(manifest: Manifest): Record<string, Tensor> {
  const bindings = new Map(manifest.symbols.map(({ name, lower }) => [name, lower]));
  return Object.fromEntries(
    manifest.inputs.map(({ name, dtype, shape, value }) => {
      const extents = shape.map((extent) => evaluateExtent(extent, bindings));
      return [name, value ? tensorOf(dtype, extents, value) : zeros(dtype, extents)];
    }),
  );
}

async function run(
  folder: string,
  flags: {
    readonly input?: readonly string[];
    readonly backend: Backend;
    readonly output?: string;
    readonly threads?: number;
  },
): Promise<void> {
  const [{ readInputFile }, { runModel }] = await Promise.all([
    import("../bench/input-file.ts"),
    import("../bench/state.ts"),
  ]);
  const session = await load((await readPackage(folder)).files, {
    worker: false,
    backend: flags.backend,
    ...(flags.threads === undefined ? {} : { threads: flags.threads }),
  });
  const ports = [...session.inputs, ...session.states];
  const inputs: Record<string, Tensor> = {};
  for (const text of flags.input ?? []) {
    const at = text.indexOf("=");
    const port =
      at < 0 && session.inputs.length === 1 ? session.inputs[0] : ports.find(({ name }) => name === text.slice(0, at));
    if (!port) {
      throw new LeafcutterError({
        code: "input-unknown",
        where: `--input ${text}`,
        message: "the model has no such input",
        expected: ports.map(portText).join("; "),
        advice: "Write --input name=FILE.",
      });
    }
    inputs[port.name] = await readInputFile(text.slice(at + 1), port);
  }
  const started = performance.now();
  const outputs = await runModel(session, inputs);
  const milliseconds = performance.now() - started;
  const { variant } = await session.stats();
  await session.dispose();
  console.log(`ran on ${variant} in ${milliseconds.toFixed(2)} ms`);
  for (const [name, tensor] of Object.entries(outputs)) {
    console.log(`${name} ${tensor.dtype} [${tensor.shape.join(", ")}]: ${describe(tensor)}`);
    if (flags.output !== undefined) {
      await mkdir(flags.output, { recursive: true });
      const path = join(flags.output, `${name.replace(/[^\w.-]/g, "_")}.npy`);
      await writeFile(path, writeNpy(tensor));
      console.log(`  written to ${path}`);
    }
  }
}

function describe({ data }: Tensor): string {
  const values = Array.from(data as ArrayLike<number | bigint>, Number);
  const short = (value: number): string => (Number.isInteger(value) ? String(value) : value.toPrecision(5));
  if (values.length <= 12) return values.map(short).join(" ");
  const top = values
    .map((value, index) => ({ value, index }))
    .sort((a, b) => b.value - a.value)
    .slice(0, 5);
  return `largest ${top.map(({ value, index }) => `[${index}] ${short(value)}`).join(", ")}`;
}

interface BenchFlags {
  readonly in: string;
  readonly peers: string;
  readonly peer?: readonly string[];
  readonly backend: Backend;
  readonly rounds?: number;
  readonly visits: number;
  readonly json?: string;
  readonly html?: string;
  readonly costs?: string;
  readonly seconds: number;
  readonly dim?: Dims;
  readonly state?: StateNames;
}

const places = ["chromium", "firefox", "webkit", "node"] as const;

function oneOf<T extends string>(flag: string, text: string, allowed: readonly T[]): readonly T[] {
  const words = text === "" ? [] : text.split(",").map((word) => word.trim());
  for (const word of words) {
    if (allowed.some((name) => name === word)) continue;
    const nearest = closest(word, allowed);
    throw new LeafcutterError({
      code: "option-invalid",
      where: flag,
      message: `${word} is not known`,
      expected: allowed.join(", "),
      ...(nearest === undefined ? {} : { advice: `Did you mean ${nearest}?` }),
    });
  }
  return words as readonly string[] as readonly T[];
}

async function bench(targets: readonly string[], flags: BenchFlags): Promise<void> {
  const wanted = oneOf("--in", flags.in, places);
  if (targets.length === 1 && targets[0] === "kernels") {
    const { runKernelBench } = await import("../bench/kernels.ts");
    await runKernelBench({
      where: wanted[0] ?? "chromium",
      ...(flags.costs === undefined ? {} : { costs: flags.costs }),
      ...(flags.json === undefined ? {} : { json: flags.json }),
      print: (line) => console.log(line),
    });
    return;
  }
  const [what, ...models] = targets;
  if (what === "worklet") {
    const { runWorkletBench } = await import("../bench/worklet.ts");
    const json = flags.json === undefined ? {} : { json: flags.json };
    await runWorkletBench({ targets: models, seconds: flags.seconds, ...json, print: (line) => console.log(line) });
    return;
  }
  const { runBench } = await import("../bench/bench.ts");
  const twins = Object.fromEntries(
    (flags.peer ?? []).map((text) => [text.slice(0, text.indexOf("=")), text.slice(text.indexOf("=") + 1)]),
  );
  await runBench({
    targets,
    where: wanted,
    peers: oneOf("--peers", flags.peers, ["ort", "tfjs"]),
    twins,
    backend: flags.backend,
    visits: flags.visits,
    ...(flags.rounds === undefined ? {} : { rounds: flags.rounds }),
    ...(flags.json === undefined ? {} : { json: flags.json }),
    ...(flags.html === undefined ? {} : { html: flags.html }),
    compile: { ...(flags.dim ? { dims: flags.dim } : {}), ...(flags.state ? { states: flags.state } : {}) },
    print: (line) => console.log(line),
  });
}

const backendOption = (): Option =>
  new Option("--backend <name>", "where to run")
    .choices(["auto", "wasm", "wasm-simd", "wasm-relaxed", "wasm-simd-threads", "wasm-relaxed-threads", "webgpu"])
    .default("auto");
const threadsOption = (): Option =>
  new Option("--threads <n>", "threads that run the model together (default: 1)").argParser(parseThreads);
const dimOption = (): Option =>
  new Option(
    "--dim <name=N>",
    "bind a dimension: name=N, batch=1..4, input:axis=N, total=past+1; * in the name for all alike (repeatable)",
  ).argParser(parseDim);
const stateOption = (): Option =>
  new Option(
    "--state <input=output>",
    "keep an input between runs, its next value being an output; 'past.*=present.*' for many (repeatable)",
  ).argParser(parseState);

const valueOption = (): Option =>
  new Option(
    "--value <input=N,N>",
    "compile for one value of an input that shapes depend on, such as axes; default: its value in the data set beside the model (repeatable)",
  ).argParser(parseValue);

function withCompileOptions(command: Command): Command {
  return command
    .addOption(dimOption())
    .addOption(stateOption())
    .addOption(valueOption())
    .addOption(
      new Option(
        "--max-size <size>",
        "most bytes of all files of the package, such as 1MB (10^6 bytes); chooses float32, float16 or int8 per layer",
      ).argParser(parseSize),
    )
    .option(
      "--samples <dir>",
      "folder with test_data_set_N/input_M.pb on which the size budget measures errors (default: seeded synthetic inputs)",
    )
    .option("--webgpu", "also emit WGSL for the same plan")
    .option("--threads", "let several threads run the package (default: when they would save time)")
    .option("--no-threads", "one thread, whatever the model")
    .option("--costs <file>", "cost table to choose kernels by, made by `leafcutter bench kernels --costs FILE`");
}

const program = new Command("leafcutter")
  .description(
    "Compiles a trained model into a small package of WebAssembly, WGSL and weight shards, and runs it in the browser and in Node.",
  )
  .version(version)
  .addHelpText(
    "after",
    `
Examples:
  leafcutter compile model.onnx -o package              compile; float32 weights
  leafcutter compile model.onnx -o package --max-size 1MB   compile into a size budget
  leafcutter compile model.onnx -o package --dim batch=1..4 one package for batches of 1 to 4
  leafcutter compile model.onnx -o package --state 'past.*=present.*' --dim past=0..511
                                                        the session keeps the key-value cache
  leafcutter inspect package                            steps, memory map, bytes and time per layer
  leafcutter run package --input image=cat.jpg          one inference
  leafcutter verify models/* --in chromium              golden data of each folder, in a real browser
  leafcutter bench model.onnx --in chromium,node --peers ort --html report.html`,
  );

withCompileOptions(
  program.command("compile").description("compile a model file into a package").argument("<model>", "an .onnx file"),
)
  .requiredOption("-o, --output <dir>", "folder of the package")
  .option("--name <name>", "name of the package")
  .option("--report <file>", "write the compile report as JSON")
  .action(async (model: string, flags: CompileFlags & { readonly output: string; readonly report?: string }) => {
    const result = await compileModel(model, flags);
    await writePackage(flags.output, result.files);
    if (flags.report !== undefined) await writeFile(flags.report, JSON.stringify(result.report, undefined, 2));
    console.log(formatReport(result.report));
    for (const { name, value } of result.manifest.inputs)
      if (value) console.log(`  compiled for ${name} = ${value.join(",")} only: shapes depend on it (--value)`);
    console.log(`  written to ${flags.output}`);
  });

withCompileOptions(
  program
    .command("inspect")
    .description("show inputs, outputs, steps, host steps, memory map, bytes and time per layer")
    .argument("<target>", "a package folder or a model file"),
)
  .option("--json", "print JSON")
  .action(inspect);

program
  .command("run")
  .description("run a package once and print its outputs")
  .argument("<dir>", "package folder")
  .option(
    "--input <name=file>",
    "an input, or a state (default zero): .npy, .pb (TensorProto), .json or an image (repeatable)",
    collect,
  )
  .option("-o, --output <dir>", "write every output as .npy")
  .addOption(backendOption())
  .addOption(threadsOption())
  .action(run);

program
  .command("verify")
  .description("compile model folders to float32 and compare every output with their golden data")
  .argument("<folder...>", "folders that hold model.onnx and test_data_set_*")
  .addOption(backendOption())
  .addOption(new Option("--in <where>", "where to run").choices(places).default("node"))
  .addOption(dimOption())
  .addOption(stateOption())
  .addOption(threadsOption())
  .action(
    async (
      folders: string[],
      flags: {
        readonly backend: Backend;
        readonly in: "node" | "chromium" | "firefox" | "webkit";
        readonly dim?: Dims;
        readonly state?: StateNames;
        readonly threads?: number;
      },
    ) => {
      const { verifyFolders } = await import("../bench/verify.ts");
      const { passed, failed } = await verifyFolders(folders, {
        backend: flags.backend,
        where: flags.in,
        ...(flags.dim ? { dims: flags.dim } : {}),
        ...(flags.state ? { states: flags.state } : {}),
        ...(flags.threads === undefined ? {} : { threads: flags.threads }),
        print: (line) => console.log(line),
      });
      console.log(`${passed} passed, ${failed} failed`);
      if (failed > 0) process.exitCode = 1;
    },
  );

program
  .command("bench")
  .description("measure models or packages beside onnxruntime-web and tfjs, interleaved in one run")
  .argument(
    "<target...>",
    ".onnx files, model folders or package folders; or `kernels`: every kernel as a share of the roof; or `worklet` and the two models of DTLN: noise suppression in an AudioWorklet",
  )
  .option("--in <places>", "comma-separated: chromium, firefox, webkit, node", "chromium")
  .option("--peers <names>", "comma-separated: ort, tfjs; empty for none", "ort")
  .option("--peer <name=path>", "a twin of the model in the peer's own format: tfjs=PATH/model.json", collect)
  .addOption(backendOption())
  .option("--rounds <n>", "interleaved rounds", Number)
  .option("--visits <n>", "fresh pages per engine for loading and memory; 0 leaves them out", Number, 5)
  .option("--json <file>", "write the rows")
  .option("--html <file>", "write the report")
  .option("--seconds <n>", "with `worklet`: length of the audio", Number, 600)
  .option("--costs <file>", "with `kernels`: write the cost table that `compile --costs` takes")
  .addOption(dimOption())
  .addOption(stateOption())
  .action(bench);

program
  .command("features")
  .description("what each browser of this machine, and Node, was seen to do, and the variant the runtime chooses there")
  .option("--in <places>", "comma-separated: chromium, firefox, webkit, node", "chromium,firefox,webkit,node")
  .option("--json <file>", "write the table as JSON")
  .option("--markdown <file>", "write the table as Markdown")
  .action(async (flags: { readonly in: string; readonly json?: string; readonly markdown?: string }) => {
    const { runFeatures } = await import("../bench/features.ts");
    await runFeatures({ ...flags, where: oneOf("--in", flags.in, places), print: (line) => console.log(line) });
  });

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof LeafcutterError)) throw error;
  console.error(`leafcutter: ${error.message}`);
  process.exitCode = error.code === "budget-infeasible" ? 2 : 1;
}
