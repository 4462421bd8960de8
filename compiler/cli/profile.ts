/** `leafcutter profile`: what this machine's engines cost, measured for `compile --device`. */
import { writeFile } from "node:fs/promises";
import type { Command } from "commander";
import { Option } from "commander";
import { examples } from "./options.ts";
import { places } from "./places.ts";

export function addProfile(program: Command): void {
  program
    .command("profile")
    .description(
      "measure a device profile: what kernels, elementwise operations and memory cost in an engine of this machine, on synthetic shapes; about a minute, on an idle machine",
    )
    .requiredOption("-o, --output <file>", "where to write the profile, an input of `compile --device`")
    .option("--powercap <folder>", "where Linux's energy counters are (default: /sys/class/powercap)")
    .addOption(new Option("--in <where>", "the engine").choices(places).default("chromium"))
    .addHelpText(
      "after",
      examples(
        "profile --in firefox -o firefox.json",
        "compile model.onnx -o package --max-latency 20ms --device firefox.json",
      ),
    )
    .action(
      async (flags: { readonly output: string; readonly powercap?: string; readonly in: (typeof places)[number] }) => {
        const { measureDevice } = await import("../../bench/profile.ts");
        console.log(`measuring in ${flags.in}: about a minute`);
        const profile = await measureDevice(flags.in, (line) => console.log(line), flags.powercap);
        await writeFile(flags.output, `${JSON.stringify(profile, undefined, 2)}\n`);
        console.log(`${profile.name}: written to ${flags.output}`);
      },
    );
}
