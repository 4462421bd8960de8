#!/usr/bin/env node
/**
 * The `leafcutter` command: compile, inspect, run, verify, bench, profile, features, each a file of cli/. Exit codes: 0 done,
 * 1 failed, 2 the budget cannot be met.
 */
import { Command } from "commander";
import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import { formatInfeasibility } from "./budget/format-infeasibility.ts";
import type { Infeasibility } from "./budget/outcome.ts";
import { addBench } from "./cli/bench.ts";
import { addCompile } from "./cli/compile.ts";
import { addFeatures } from "./cli/features.ts";
import { addInspect } from "./cli/inspect.ts";
import { addProfile } from "./cli/profile.ts";
import { addRun } from "./cli/run.ts";
import { addVerify } from "./cli/verify.ts";
import { version } from "./compile.ts";

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
  leafcutter compile model.onnx -o package --max-size 1MB --calibrate images --report report.html
                                                        compile into a budget; what it cost, as a page
  leafcutter compile model.onnx -o package --dim batch=1..4
                                                        one package for batches of 1 to 4
  leafcutter compile model.onnx -o package --state 'past.*=present.*' --dim past=0..511 --dim total=past+1
                                                        the session keeps the key-value cache
  leafcutter inspect package                            steps, memory map, bytes and time per layer
  leafcutter run package --input image=cat.jpg          one inference
  leafcutter verify models/* --in chromium              golden data of each folder, in a real browser
  leafcutter bench model.onnx --in chromium,node --peers ort --html report.html
  leafcutter profile -o device.json                     what kernels and memory cost here, for compile --device
  leafcutter features                                   what the browsers of this machine can do

Sizes: kB, MB and GB are 10^3, 10^6 and 10^9 bytes. Exit codes: 0 done, 1 failed, 2 nothing keeps the limits.
\`leafcutter COMMAND --help\` has the options of a command and an example.`,
  );

for (const add of [addCompile, addInspect, addRun, addVerify, addBench, addProfile, addFeatures]) add(program);

// Whoever reads the output may have seen enough: `leafcutter inspect package | head`.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit();
  });
}

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof LeafcutterError)) throw error;
  console.error(`leafcutter: ${error.message}`);
  const isInfeasible = error.code === "budget-infeasible";
  if (isInfeasible)
    for (const line of formatInfeasibility(error.diagnostic.details as Infeasibility)) console.error(`  ${line}`);
  process.exitCode = isInfeasible ? 2 : 1;
}
