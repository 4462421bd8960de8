/** A canonical graph into the files of a package: plan, code, self-test, manifest. */
import type { WasmEngine } from "../runtime/engine/wasm.ts";
import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import { extentBounds } from "../runtime/format/extent.ts";
import type { Manifest } from "../runtime/format/manifest.ts";
import type { Program } from "../runtime/format/program.ts";
import { wasmRelaxed, wasmSimd } from "./assemble/target.ts";
import type { Sample } from "./budget/tools.ts";
import { generateProgram } from "./codegen/program.ts";
import { generateModule } from "./codegen/wasm/module.ts";
import { generateThreadWalk } from "./codegen/wasm/thread-walk.ts";
import { generateShaders } from "./codegen/wgsl/module.ts";
import { openEngine } from "./execution.ts";
import type { Graph } from "./graph/graph.ts";
import type { CostTable } from "./kernels/cost-table.ts";
import { modelTest, modelTestInputs, withKernelProbes } from "./package/known-answers.ts";
import { type PackagedFiles, packageFiles } from "./package/package.ts";
import { roundingNoise } from "./package/rounding-noise.ts";
import { makePlan } from "./plan/make-plan.ts";
import type { Plan } from "./plan/plan.ts";
import type { StatePair } from "./plan/states.ts";
import { weightForms } from "./plan/weight-forms.ts";

export interface Built {
  readonly plan: Plan;
  readonly program: Program;
  readonly packaged: PackagedFiles;
}

export interface BuildSettings {
  readonly name: string;
  readonly costs: CostTable;
  readonly states: readonly StatePair[];
  readonly provenance: Manifest["provenance"];
  readonly webgpu: boolean;
  readonly threads: boolean | undefined;
}

/** Least time of the steps that threads can divide, in nanoseconds, for which a package has threads by default. */
const leastDivisible = 500_000;

function isWorthThreads({ steps }: Plan): boolean {
  let divisible = 0;
  for (const step of steps) if (step.kind === "kernel" && step.grain !== undefined) divisible += step.nanoseconds;
  return divisible >= leastDivisible;
}

export async function buildPackage(graph: Graph, settings: BuildSettings): Promise<Built> {
  const { name, costs, states, provenance, webgpu } = settings;
  const plan = makePlan(graph, costs, states);
  const generated = generateProgram(plan);
  const simd = generateModule(generated.kernels, wasmSimd, plan.memory.pages);
  const relaxed = generateModule(generated.kernels, wasmRelaxed, plan.memory.pages);
  const engine = await openEngine(plan, generated.program, simd);
  const program = withKernelProbes(generated.program, plan, engine);
  const { inputs, bindings } = modelTestInputs(program);
  const outputs = await outputsOf(engine, inputs);
  const selfTest =
    outputs && modelTest(outputs, bindings, roundingNoise(program, plan, engine, { inputs, bindings, outputs }));
  engine.dispose();
  const packaged = await packageFiles({
    name,
    program,
    modules: [
      { variant: "wasm-simd", bytes: simd },
      { variant: "wasm-relaxed", bytes: relaxed },
    ],
    threads: (settings.threads ?? isWorthThreads(plan)) ? generateThreadWalk() : undefined,
    shaders: webgpu ? generateShaders(generated.kernels) : undefined,
    weights: plan.weights,
    forms: weightForms(graph, plan),
    selfTest,
    provenance,
  });
  return { plan, program, packaged };
}

/** Iterations of a loop that decides itself when to stop: on generated inputs it may never do. */
const mostTestIterations = 10_000;

/** undefined when these inputs take a branch that could not be compiled, or may keep a loop going for long. */
async function outputsOf(engine: WasmEngine, inputs: Sample): Promise<Sample | undefined> {
  const { steps, symbols } = engine.program;
  const bounds = new Map(symbols.map((symbol) => [symbol.name, symbol]));
  const mayGoOn = steps.some(
    (step) =>
      step.kind === "repeat" &&
      step.condition !== undefined &&
      extentBounds(step.count, bounds)[1] > mostTestIterations,
  );
  if (mayGoOn) return undefined;
  try {
    return (await engine.run(inputs)).outputs;
  } catch (error) {
    if (error instanceof LeafcutterError && error.code === "model-unsupported") return undefined;
    throw error;
  }
}
