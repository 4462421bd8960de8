/** `leafcutter features`: what the engines of this machine can do. */
import type { Command } from "commander";
import { examples } from "./options.ts";
import { oneOf, places } from "./places.ts";

export function addFeatures(program: Command): void {
  program
    .command("features")
    .description(
      "what each browser of this machine, and Node, was seen to do, and the variant the runtime chooses there",
    )
    .option("--in <places>", "comma-separated: chromium, firefox, webkit, node", "chromium,firefox,webkit,node")
    .option("--json <file>", "write the table as JSON")
    .option("--markdown <file>", "write the table as Markdown")
    .addHelpText("after", examples("features --in chromium,firefox --markdown features.md"))
    .action(async (flags: { readonly in: string; readonly json?: string; readonly markdown?: string }) => {
      const { runFeatures } = await import("../../bench/features.ts");
      await runFeatures({ ...flags, where: oneOf("--in", flags.in, places), print: (line) => console.log(line) });
    });
}
