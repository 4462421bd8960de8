/** Options that several commands have. */
import { Option } from "commander";
import { parseDim, parseState, parseThreads } from "./parse.ts";

export const backendOption = (): Option =>
  new Option("--backend <name>", "where to run")
    .choices(["auto", "wasm", "wasm-simd", "wasm-relaxed", "wasm-simd-threads", "wasm-relaxed-threads", "webgpu"])
    .default("auto");

export const threadsOption = (): Option =>
  new Option("--threads <n>", "threads that run the model together (default: 1)").argParser(parseThreads);

export const dimOption = (): Option =>
  new Option(
    "--dim <name=N>",
    "bind a dimension: name=N, batch=1..4, input:axis=N, total=past+1; * in the name for all alike; default: the data set beside the model, a leading batch 1 (repeatable)",
  ).argParser(parseDim);

export const stateOption = (): Option =>
  new Option(
    "--state <input=output>",
    "keep an input between runs, its next value being an output; 'past.*=present.*' for many (repeatable)",
  ).argParser(parseState);

/** What stands under the options of a command's help. */
export const examples = (...lines: readonly string[]): string =>
  [lines.length > 1 ? "\nExamples:" : "\nExample:", ...lines.map((line) => `  leafcutter ${line}`)].join("\n");
