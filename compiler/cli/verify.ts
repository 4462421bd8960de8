/** `leafcutter verify`: golden data of model folders, compared with what their packages compute. */
import type { Command } from "commander";
import { Option } from "commander";
import type { Backend } from "../../runtime/index.ts";
import type { StateNames } from "../plan/states.ts";
import { backendOption, dimOption, examples, stateOption, threadsOption } from "./options.ts";
import type { Dims } from "./parse.ts";
import { places } from "./places.ts";

export function addVerify(program: Command): void {
  program
    .command("verify")
    .description("compile model folders to float32 and compare every output with their golden data")
    .argument("<folder...>", "folders that hold model.onnx and test_data_set_*")
    .addHelpText(
      "after",
      "\nFloats agree within 1e-4 of the largest value plus 1e-3 of their own. Outputs of quantised models are counted in " +
        "\nsteps of their last rounding (1/127 of the largest value where floats follow it): 90 % within one step, 99 % within " +
        "\nthree, all within eight.",
    )
    .addHelpText(
      "after",
      examples(
        "verify models/* --in firefox",
        "verify models/resnet --backend webgpu --in chromium   falling back counts as a failure",
      ),
    )
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
          readonly in: (typeof places)[number];
          readonly dim?: Dims;
          readonly state?: StateNames;
          readonly threads?: number;
        },
      ) => {
        const { verifyFolders } = await import("../../bench/verify.ts");
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
}
