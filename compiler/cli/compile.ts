/** `leafcutter compile`: a model file into a package folder. */
import { writeFile } from "node:fs/promises";
import { basename } from "node:path";
import type { Command } from "commander";
import type { RunEnergy } from "../budget/energy.ts";
import {
  formatReport,
  type Infeasibility,
  infeasibleHtml,
  LeafcutterError,
  type Package,
  type Report,
  reportHtml,
} from "../compile.ts";
import { type CompileFlags, compileModel, compileOptions, withCompileOptions } from "./compile-model.ts";
import { type EnergyFlags, energyOfPackage, withEnergyOptions } from "./energy.ts";
import { examples } from "./options.ts";
import { writePackage } from "./package-folder.ts";

const lessons = `

Limits can be combined; layers get the schemes (float32, float16, int8, int4) that keep all of them with the best objective.
Where nothing does, the exit code is 2, and the message names the limits that exclude one another and what would be enough
(all of it with --report). Latency and energy are those of the device's profile; a hard limit on energy needs a profile
measured on the device, or --accept-prior.

More examples:
  leafcutter compile model.onnx -o package --max-size 1MB --calibrate images --labels labels.txt --max-slice-drop 1
  leafcutter compile model.onnx -o package --objective latency --min-quality 0.99 --device device.json --report report.html
  leafcutter compile model.onnx -o package --precision int8 --calibrate images --preprocess imagenet
  leafcutter compile model.onnx -o again --locked package/manifest.json --calibrate images

Exit codes: 0 done, 1 failed, 2 nothing keeps the limits.`;

export function addCompile(program: Command): void {
  withEnergyOptions(
    withCompileOptions(
      program
        .command("compile")
        .description("compile a model file into a package")
        .argument("<model>", "an .onnx file"),
    ),
  )
    .optionsGroup("Output:")
    .requiredOption("-o, --output <dir>", "folder of the package")
    .option("--name <name>", "name of the package (default: the file's)")
    .option(
      "--report <file>",
      "write the compile report as JSON, or as a page when the file ends in .html (of a budget that cannot be kept: why)",
    )
    .option(
      "--locked <manifest>",
      "make the package of this manifest.json again, byte by byte, with its options; fails where model, samples, device profile or compiler differ",
    )
    .addHelpText("after", examples("compile model.onnx -o public/model --dim batch=1..4 --max-size 1MB") + lessons)
    .action(
      async (
        model: string,
        flags: CompileFlags & EnergyFlags & { readonly output: string; readonly report?: string },
      ) => {
        const { report } = flags;
        const result = await withReport(report, flags.name ?? basename(model), async () =>
          compileModel(model, await compileOptions(model, flags)),
        );
        await writePackage(flags.output, result.files);
        console.log(formatReport(result.report));
        if (flags.energy) {
          const { energy, lines } = await energyOfPackage(flags.output, flags);
          for (const line of lines) console.log(`  ${line}`);
          const excess = excessText(energy, flags.maxEnergy);
          if (excess !== undefined) console.log(`  ${excess}`);
          await writeReport(report, { ...result.report, measuredEnergy: energy });
        }
        for (const { name, value } of result.manifest.inputs)
          if (value) console.log(`  compiled for ${name} = ${value.join(",")} only: shapes depend on it (--value)`);
        console.log(`  written to ${flags.output}`);
      },
    );
}

/** A plan keeps its limit by the device's coefficients; what counters say of the package may differ. */
const excessText = (energy: RunEnergy, limit: number | undefined): string | undefined =>
  limit === undefined || energy.tier !== "A" || 1e3 * energy.joules <= limit
    ? undefined
    : `that is more than --max-energy ${limit} mJ, which the plan keeps by its predictions: profile this machine, or lower the limit`;

async function writeReport(file: string | undefined, report: Report): Promise<void> {
  if (file !== undefined)
    await writeFile(file, file.endsWith(".html") ? reportHtml(report) : JSON.stringify(report, undefined, 2));
}

async function withReport(file: string | undefined, name: string, work: () => Promise<Package>): Promise<Package> {
  try {
    const result = await work();
    await writeReport(file, result.report);
    return result;
  } catch (error) {
    if (file !== undefined && error instanceof LeafcutterError && error.code === "budget-infeasible") {
      const { diagnostic } = error;
      const page = (): string => infeasibleHtml(name, diagnostic.message, diagnostic.details as Infeasibility);
      await writeFile(file, file.endsWith(".html") ? page() : JSON.stringify({ infeasible: diagnostic }, undefined, 2));
    }
    throw error;
  }
}
