/** `leafcutter run`: one run of a package, its inputs from files. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { type Backend, load } from "../../runtime/index.ts";
import { writeNpy } from "../import/npy.ts";
import { type EnergyFlags, energyOfRuns, withEnergyOptions } from "./energy.ts";
import { backendOption, examples, threadsOption } from "./options.ts";
import { readPackage } from "./package-folder.ts";
import { collect } from "./parse.ts";
import { portText } from "./port-text.ts";

export function addRun(program: Command): void {
  withEnergyOptions(program.command("run"))
    .description("run a package once and print its outputs")
    .argument("<dir>", "package folder")
    .option(
      "--input <name=file>",
      "an input, or a state (default zero): .npy, .pb (TensorProto), .json or an image (repeatable)",
      collect,
    )
    .option("-o, --output <dir>", "write every output as .npy (default: print the numbers, or the largest five)")
    .addHelpText(
      "after",
      examples(
        "run public/model --input image=cat.jpg -o outputs",
        "run public/model --input ids=ids.npy --input mask=mask.json --backend wasm-simd",
        "run public/model --input image=cat.jpg --energy",
      ),
    )
    .addOption(backendOption())
    .addOption(threadsOption())
    .option("--device <file>", "with --energy: device profile of `leafcutter profile`, for estimates")
    .action(run);
}

async function run(
  folder: string,
  flags: EnergyFlags & {
    readonly input?: readonly string[];
    readonly backend: Backend;
    readonly output?: string;
    readonly threads?: number;
  },
): Promise<void> {
  const [{ readInputFile }, { roundOf, runModel }] = await Promise.all([
    import("../../bench/input-file.ts"),
    import("../../bench/state.ts"),
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
  const energy = flags.energy ? await energyOfRuns(session, roundOf(session, inputs), flags) : undefined;
  await session.dispose();
  console.log(`ran on ${variant} in ${milliseconds.toFixed(2)} ms`);
  for (const line of energy?.lines ?? []) console.log(line);
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
