/** `leafcutter compile`: a model file into a package folder. */
import { writeFile } from "node:fs/promises";
import { basename } from "node:path";
import type { Command } from "commander";
import {
  formatReport,
  type Infeasibility,
  infeasibleHtml,
  LeafcutterError,
  type Package,
  reportHtml,
} from "../compile.ts";
import { type CompileFlags, compileModel, compileOptions, withCompileOptions } from "./compile-model.ts";
import { example } from "./options.ts";
import { writePackage } from "./package-folder.ts";

const lessons = `
Limits can be combined; layers get the schemes (float32, float16, int8, int4) that keep all of them with the best objective.
Where nothing does, the exit code is 2, and the message names the limits that exclude one another and what would be enough
(all of it with --report). Latency and energy are those of the device's profile; a hard limit on energy needs a profile
measured on the device, or --accept-prior.

  leafcutter compile model.onnx -o package --max-size 1MB --calibrate images --labels labels.txt --max-slice-drop 1
  leafcutter compile model.onnx -o package --objective latency --min-quality 0.99 --device device.json
  leafcutter compile model.onnx -o package --precision int8 --calibrate images`;

export function addCompile(program: Command): void {
  withCompileOptions(
    program.command("compile").description("compile a model file into a package").argument("<model>", "an .onnx file"),
  )
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
    .addHelpText("after", example("compile model.onnx -o public/model --dim batch=1..4 --max-size 1MB") + lessons)
    .action(async (model: string, flags: CompileFlags & { readonly output: string; readonly report?: string }) => {
      const { report } = flags;
      const result = await withReport(report, flags.name ?? basename(model), async () =>
        compileModel(model, await compileOptions(model, flags)),
      );
      await writePackage(flags.output, result.files);
      console.log(formatReport(result.report));
      for (const { name, value } of result.manifest.inputs)
        if (value) console.log(`  compiled for ${name} = ${value.join(",")} only: shapes depend on it (--value)`);
      console.log(`  written to ${flags.output}`);
    });
}

async function withReport(file: string | undefined, name: string, work: () => Promise<Package>): Promise<Package> {
  const isPage = file?.endsWith(".html") ?? false;
  const write = async (content: string): Promise<void> => {
    if (file !== undefined) await writeFile(file, content);
  };
  try {
    const result = await work();
    await write(isPage ? reportHtml(result.report) : JSON.stringify(result.report, undefined, 2));
    return result;
  } catch (error) {
    if (error instanceof LeafcutterError && error.code === "budget-infeasible") {
      const { diagnostic } = error;
      const page = (): string => infeasibleHtml(name, diagnostic.message, diagnostic.details as Infeasibility);
      await write(isPage ? page() : JSON.stringify({ infeasible: diagnostic }, undefined, 2));
    }
    throw error;
  }
}
