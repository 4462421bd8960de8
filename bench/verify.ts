/**
 * `leafcutter verify`: every model folder compiled to a float32 package and run on its data sets; every output
 * compared, those of quantised models by quantisation steps. A folder without data, an output that nothing was compared with, or another variant than the one asked
 * for is a failure.
 */
import { join } from "node:path";
import { compile, type Package } from "../compiler/compile.ts";
import { diskFolder, fileSource } from "../compiler/file-source.ts";
import { type DataSet, readDataSets } from "../compiler/import/data-set.ts";
import { matchPorts } from "../compiler/import/match-ports.ts";
import type { DimBinding } from "../compiler/import/onnx/dimensions.ts";
import { importOnnx, portNames } from "../compiler/import/onnx/import.ts";
import type { StateNames } from "../compiler/plan/states.ts";
import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import { contentOf } from "../runtime/format/inflate.ts";
import type { FileReference, PortDescription } from "../runtime/format/manifest.ts";
import { placesText } from "../runtime/format/placement.ts";
import type { Program } from "../runtime/format/program.ts";
import type { ShaderSet } from "../runtime/format/shader.ts";
import type { Tensor } from "../runtime/format/tensor.ts";
import { type Backend, load, type Stats } from "../runtime/index.ts";
import { type Agreement, compareOutputs } from "./compare.ts";
import type { BrowserName } from "./driven-browser.ts";
import { type OutputSteps, outputSteps } from "./quantisation-steps.ts";
import { runModel } from "./state.ts";

export interface VerifyOptions {
  readonly backend: Backend;
  readonly where: "node" | BrowserName;
  readonly dims?: Readonly<Record<string, DimBinding>>;
  readonly states?: StateNames;
  /** Threads that every model has to run on; default 1. */
  readonly threads?: number;
  /** One line a folder, as it is known. */
  readonly print: (line: string) => void;
}

export interface VerifySummary {
  readonly passed: number;
  readonly failed: number;
}

type Named = Readonly<Record<string, Tensor>>;

/** Verifies folders one after another. Errors of one folder are its failure, not the command's. */
export async function verifyFolders(folders: readonly string[], options: VerifyOptions): Promise<VerifySummary> {
  const place = await openPlace(options.where);
  let passed = 0;
  let failed = 0;
  for (const folder of folders) {
    const name = folder.replace(/\/+$/, "").split("/").at(-1) ?? folder;
    try {
      const { agreement, variant, sets, where } = await verifyFolder(folder, options, place.run);
      const { largestError, withinStep } = agreement;
      const steps = withinStep === undefined ? "" : `, ${(100 * withinStep).toFixed(1)} % within one step`;
      const error = `largest error ${largestError.toExponential(2)}${steps}`;
      if (agreement.difference === undefined) {
        passed++;
        options.print(
          `ok      ${name}: ${error}, ${sets} data set${sets === 1 ? "" : "s"}, ${variant} in ${options.where}, steps: ${where}`,
        );
      } else {
        failed++;
        options.print(`FAILED  ${name}: ${agreement.difference}; ${error}, ${variant} in ${options.where}`);
      }
    } catch (error) {
      failed++;
      options.print(`FAILED  ${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  await place.close();
  return { passed, failed };
}

interface FolderResult {
  readonly agreement: Agreement;
  readonly variant: string;
  readonly sets: number;
  /** Numbers of steps by the place where they run: "92 webgpu, 1 wasm, 0 host". */
  readonly where: string;
}

async function verifyFolder(folder: string, options: VerifyOptions, run: Runner): Promise<FolderResult> {
  const sets = await readDataSets(diskFolder(folder));
  if (sets.length === 0) throw missing(folder, "there is no test_data_set_0 in the folder");
  const { backend, threads = 1 } = options;
  let largestError = 0;
  let difference: string | undefined;
  let variant = "";
  let where = "";
  let rest = sets;
  let withinStep: number | undefined;
  while (rest.length > 0) {
    const first = rest[0] as DataSet;
    const { files, manifest } = await compile(fileSource(join(folder, "model.onnx")), {
      sampleShapes: first.inputs,
      batchFromSample: true,
      webgpu: backend === "webgpu",
      ...(threads === 1 ? {} : { threads: true }),
      ...(options.dims ? { dims: options.dims } : {}),
      ...(options.states ? { states: options.states } : {}),
    });
    const steps = await stepsOf(folder, first, options);
    const ports = options.states ? await portNames(fileSource(join(folder, "model.onnx"))) : manifest;
    const group = rest.filter((set) => fits(set, first, manifest.inputs));
    rest = rest.filter((set) => !group.includes(set));
    const inputs = group.map((set) => byPort(ports.inputs, set.inputs, folder));
    const runs = await run({ files, inputs, backend, threads });
    variant = threads === 1 ? runs.variant : `${runs.variant}, ${runs.threads} threads`;
    where = await placesOf(files, manifest, runs.variant);
    if (!["auto", "wasm", runs.variant].includes(backend)) difference ??= `runs on ${runs.variant}: ${runs.reason}`;
    if (runs.threads !== threads) difference ??= `runs on ${runs.threads} threads instead of ${threads}`;
    group.forEach((set, index) => {
      const expected = byPort(ports.outputs, set.outputs, folder);
      const agreement = compareOutputs(runs.outputs[index] as Named, expected, steps);
      if (agreement.withinStep !== undefined) withinStep = Math.min(withinStep ?? 1, agreement.withinStep);
      largestError = Math.max(largestError, agreement.largestError);
      if (agreement.difference !== undefined) difference ??= `${set.name}: ${agreement.difference}`;
    });
  }
  const agreement = { difference, largestError, ...(withinStep === undefined ? {} : { withinStep }) };
  return { agreement, variant, sets: sets.length, where };
}

/** How the model's outputs are graded, for one that is quantised. */
async function stepsOf(folder: string, first: DataSet, { dims }: VerifyOptions): Promise<OutputSteps | undefined> {
  const graph = await importOnnx(fileSource(join(folder, "model.onnx")), {
    sampleShapes: first.inputs,
    batchFromSample: true,
    ...(dims ? { dims } : {}),
  });
  return outputSteps(graph);
}

async function placesOf(
  files: Package["files"],
  { program, shaders }: Package["manifest"],
  variant: string,
): Promise<string> {
  const read = async <T>(file: FileReference): Promise<T> =>
    JSON.parse(new TextDecoder().decode(await contentOf(file, files.get(file.path) ?? new Uint8Array()))) as T;
  const set = shaders && variant === "webgpu" ? (await read<ShaderSet>(shaders)).shaders : [];
  return placesText(await read<Program>(program), set);
}

/** Whether a package made for `first` serves `set`: the same shapes, and the values that the ports fix. */
function fits(set: DataSet, first: DataSet, ports: readonly PortDescription[]): boolean {
  if (set === first) return true;
  const shapes = ({ inputs }: DataSet): string => JSON.stringify(inputs.map(({ shape }) => shape));
  const tensors = matchPorts(
    ports.map(({ name }) => name),
    set.inputs,
  );
  return (
    shapes(set) === shapes(first) &&
    ports.every(({ name, value }) => !value || value.every((one, i) => Number(tensors.get(name)?.data[i]) === one))
  );
}

function byPort(ports: readonly { readonly name: string }[], tensors: DataSet["inputs"], folder: string): Named {
  const names = ports.map(({ name }) => name);
  const matched = matchPorts(names, tensors);
  const absent = names.filter((name) => !matched.has(name));
  if (absent.length > 0) throw missing(folder, `the data set has nothing for ${absent.join(", ")}`);
  return Object.fromEntries([...matched].map(([name, { dtype, shape, data }]) => [name, { dtype, shape, data }]));
}

function missing(folder: string, message: string): LeafcutterError {
  return new LeafcutterError({
    code: "file-missing",
    where: folder,
    message,
    expected: "model.onnx and test_data_set_0/{input,output}_0.pb",
    advice: "Put the golden data beside the model: nothing is verified without it.",
  });
}

interface Runs {
  readonly outputs: readonly Named[];
  readonly variant: string;
  /** Why that variant: what was rejected before it. */
  readonly reason: string;
  readonly threads: number;
}

interface RunOrder {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly inputs: readonly Named[];
  readonly backend: Backend;
  readonly threads: number;
}

type Runner = (order: RunOrder) => Promise<Runs>;

/** Where packages run, until it is closed. */
interface Place {
  readonly run: Runner;
  readonly close: () => Promise<void>;
}

async function openPlace(where: VerifyOptions["where"]): Promise<Place> {
  if (where === "node") return { run: runInNode, close: async () => {} };
  // Loaded here, so that verifying in Node needs no browser driver.
  const { openBrowserRunner } = await import("./verify-in-browser.ts");
  const runner = await openBrowserRunner(where);
  return {
    run: async ({ inputs, ...order }) => {
      const { outputs, stats } = await runner.run({ ...order, runs: inputs });
      return { outputs, ...chosen(stats) };
    },
    close: () => runner.close(),
  };
}

function chosen({ variant, reason, rejected, threads }: Stats): Omit<Runs, "outputs"> {
  return { variant, threads, reason: [reason, ...rejected.map((one) => `${one.variant}: ${one.why}`)].join("; ") };
}

async function runInNode({ files, inputs, backend, threads: wanted }: RunOrder): Promise<Runs> {
  const session = await load(Object.fromEntries(files), { worker: false, backend, threads: wanted });
  const outputs: Named[] = [];
  for (const input of inputs) outputs.push(await runModel(session, input));
  const stats = await session.stats();
  await session.dispose();
  return { outputs, ...chosen(stats) };
}
