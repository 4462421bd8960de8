/** `leafcutter compile`: a model file into a package folder. */
import { writeFile } from "node:fs/promises";
import type { Command } from "commander";
import { formatReport } from "../compile.ts";
import { type CompileFlags, compileModel, withCompileOptions } from "./compile-model.ts";
import { example } from "./options.ts";
import { writePackage } from "./package-folder.ts";

export function addCompile(program: Command): void {
  withCompileOptions(
    program.command("compile").description("compile a model file into a package").argument("<model>", "an .onnx file"),
  )
    .requiredOption("-o, --output <dir>", "folder of the package")
    .option("--name <name>", "name of the package (default: the file's)")
    .option("--report <file>", "write the compile report as JSON")
    .addHelpText("after", example("compile model.onnx -o public/model --dim batch=1..4 --max-size 1MB"))
    .action(async (model: string, flags: CompileFlags & { readonly output: string; readonly report?: string }) => {
      const result = await compileModel(model, flags);
      await writePackage(flags.output, result.files);
      if (flags.report !== undefined) await writeFile(flags.report, JSON.stringify(result.report, undefined, 2));
      console.log(formatReport(result.report));
      for (const { name, value } of result.manifest.inputs)
        if (value) console.log(`  compiled for ${name} = ${value.join(",")} only: shapes depend on it (--value)`);
      console.log(`  written to ${flags.output}`);
    });
}
