/** Runs a graph as its generated module: plan, program, module, engine; every program is validated first. */
import { type WasmTarget, wasmSimd } from "../../compiler/assemble/target.ts";
import { generateProgram } from "../../compiler/codegen/program.ts";
import { generateModule } from "../../compiler/codegen/wasm/module.ts";
import type { Graph } from "../../compiler/graph/graph.ts";
import { defaultCosts } from "../../compiler/plan/default-costs.ts";
import { makePlan } from "../../compiler/plan/make-plan.ts";
import { openWasmEngine } from "../../runtime/engine/wasm.ts";
import type { Program } from "../../runtime/format/program.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { validateProgram } from "../../runtime/format/validate-program.ts";

export type Tensors = Readonly<Record<string, Tensor>>;

export interface PlannedRun {
  readonly program: Program;
  /** Outputs of each run, in one memory. */
  readonly outputs: readonly Tensors[];
}

/** Plans `graph` and runs it on each of `inputs`, one after another in the same memory. */
export async function runPlanned(
  graph: Graph,
  inputs: readonly Tensors[],
  target: WasmTarget = wasmSimd,
): Promise<PlannedRun> {
  const plan = makePlan(graph, defaultCosts);
  const { program, kernels } = generateProgram(plan);
  validateProgram(JSON.parse(JSON.stringify(program)));
  const engine = await openWasmEngine({ program, module: generateModule(kernels, target, plan.memory.pages) });
  for (const { buffer, bytes } of plan.weights)
    engine.writeWeights((plan.addresses.get(buffer) ?? 0) - plan.memory.weights.start, bytes);
  const outputs: Tensors[] = [];
  for (const one of inputs) outputs.push((await engine.run(one)).outputs);
  engine.dispose();
  return { program, outputs };
}
