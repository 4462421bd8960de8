/** `leafcutter inspect`: what a package holds, and where its time goes on this machine. */
import { stat } from "node:fs/promises";
import type { Command } from "commander";
import { evaluateExtent } from "../../runtime/format/extent.ts";
import { contentOf } from "../../runtime/format/inflate.ts";
import type { Manifest } from "../../runtime/format/manifest.ts";
import { placeOf, placesText } from "../../runtime/format/placement.ts";
import type { Program } from "../../runtime/format/program.ts";
import type { ShaderSet } from "../../runtime/format/shader.ts";
import { type Tensor, tensorOf, zeros } from "../../runtime/format/tensor.ts";
import { load } from "../../runtime/index.ts";
import { formatBytes } from "../compile.ts";
import { programOf } from "../package/program-of.ts";
import { type CompileFlags, compileModel, compileOptions, withCompileOptions } from "./compile-model.ts";
import { examples } from "./options.ts";
import { readPackage } from "./package-folder.ts";
import { portText } from "./port-text.ts";

export function addInspect(program: Command): void {
  withCompileOptions(
    program
      .command("inspect")
      .description("show inputs, outputs, steps, host steps, memory map, bytes and time per layer")
      .argument("<target>", "a package folder or a model file"),
  )
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      examples(
        "inspect public/model",
        "inspect model.onnx --precision int8       what a compile would make of it",
        "inspect public/model --json | jq '.steps[] | select(.where == \"host\")'",
      ),
    )
    .action(inspect);
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (status) => status.isDirectory(),
    () => false,
  );

async function inspect(target: string, flags: CompileFlags & { readonly json?: boolean }): Promise<void> {
  const folder = await isFolder(target);
  const compiled = folder ? undefined : await compileModel(target, await compileOptions(target, flags));
  const { manifest, program, files } = compiled
    ? {
        manifest: compiled.manifest,
        program: await programOf(compiled),
        files: Object.fromEntries(compiled.files),
      }
    : await readPackage(target);
  const session = await load(files, { worker: false });
  await session.stats({ profile: true });
  const inputs = syntheticInputs(manifest);
  for (let round = 0; round < 5; round++) {
    // The inputs fit states as they are after a reset.
    await session.reset();
    await session.run(inputs);
  }
  const stats = await session.stats();
  await session.dispose();
  if (flags.json) {
    console.log(
      JSON.stringify({ manifest, memory: program.memory, steps: stats.steps, report: compiled?.report }, undefined, 2),
    );
    return;
  }
  const { memory } = program;
  console.log(`${manifest.name}, compiled by ${manifest.provenance.compiler} from ${manifest.provenance.source.name}`);
  for (const port of manifest.inputs) console.log(`  input   ${portText(port)}`);
  for (const port of manifest.outputs) console.log(`  output  ${portText(port)}`);
  for (const port of manifest.states ?? []) console.log(`  state   ${portText(port)}, next ${port.output}`);
  for (const { name, lower, upper } of manifest.symbols) console.log(`  symbol  ${name} in ${lower}..${upper}`);
  console.log(
    `  memory  ${memory.pages} pages: weights ${memory.weights.start}+${memory.weights.bytes}, table ${memory.table.start}+${memory.table.bytes}, arena ${memory.arena.start}+${memory.arena.bytes}`,
  );
  const sizes = [
    manifest.program,
    ...manifest.modules,
    ...(manifest.threads ? [manifest.threads] : []),
    ...(manifest.shaders ? [manifest.shaders] : []),
    ...manifest.shards,
  ];
  console.log(
    `  files   ${sizes.length + 1}, ${formatBytes(sizes.reduce((sum, { bytes }) => sum + bytes, files["manifest.json"]?.byteLength ?? 0))}`,
  );
  console.log(`  runs    ${stats.variant}: ${stats.reason}`);
  const hosts = program.steps.filter(({ kind }) => kind === "host");
  const names = hosts.length === 0 ? "" : `: ${hosts.map(({ op }) => op).join(", ")}`;
  console.log(`  steps   ${program.steps.length}: ${placesText(program, [])}${names}`);
  if (manifest.shaders) {
    const content = await contentOf(manifest.shaders, files[manifest.shaders.path] ?? new Uint8Array());
    const { shaders } = JSON.parse(new TextDecoder().decode(content)) as ShaderSet;
    const beside = program.steps.filter((step) => step.kind === "kernel" && placeOf(step, shaders) === "wasm");
    const list = beside.length === 0 ? "" : `; on wasm: ${beside.map(({ name }) => name).join(", ")}`;
    console.log(`  webgpu  ${placesText(program, shaders)}${list}`);
  }
  console.log(
    `\n${"ms".padStart(9)} ${"share".padStart(6)} ${"MFLOP".padStart(9)} ${"GFLOP/s".padStart(8)} ${"weights".padStart(10)}  kernel                         step`,
  );
  const total = (stats.steps ?? []).reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  stats.steps?.forEach((step, index) => {
    const entry = program.steps[index];
    const weights = entry?.kind === "kernel" ? weightBytesOf(entry, memory) : 0;
    const goesTo = entry?.kind === "jump" || entry?.kind === "repeat" ? ` to step ${entry.target}` : "";
    const what = step.where === "host" && entry?.kind === "host" ? `host ${step.kernel}` : `${step.kernel}${goesTo}`;
    const rate = step.milliseconds > 0 && step.flops > 0 ? (step.flops / step.milliseconds / 1e6).toFixed(1) : "";
    console.log(
      `${step.milliseconds.toFixed(3).padStart(9)} ${`${((100 * step.milliseconds) / Math.max(total, 1e-9)).toFixed(1)}%`.padStart(6)} ${(step.flops / 1e6).toFixed(2).padStart(9)} ${rate.padStart(8)} ${(weights ? formatBytes(weights) : "").padStart(10)}  ${what.padEnd(30)} ${step.name}`,
    );
  });
  console.log(`${total.toFixed(3).padStart(9)} in all`);
}

function weightBytesOf(step: Extract<Program["steps"][number], { kind: "kernel" }>, memory: Program["memory"]): number {
  const end = memory.weights.start + memory.weights.bytes;
  return step.accesses.reduce(
    (sum, { start, bytes }) =>
      typeof start === "number" && typeof bytes === "number" && start < end ? sum + bytes : sum,
    0,
  );
}

/** Zeros of the smallest allowed shapes, or the value that an input has to have. */
function syntheticInputs(manifest: Manifest): Record<string, Tensor> {
  const bindings = new Map(manifest.symbols.map(({ name, lower }) => [name, lower]));
  return Object.fromEntries(
    manifest.inputs.map(({ name, dtype, shape, value }) => {
      const extents = shape.map((extent) => evaluateExtent(extent, bindings));
      return [name, value ? tensorOf(dtype, extents, value) : zeros(dtype, extents)];
    }),
  );
}
