/** Generated code executed in the compiler itself: to test packages, and to measure what a change of weights does. */
import { openWasmEngine, type WasmEngine } from "../runtime/engine/wasm.ts";
import { evaluateExtent } from "../runtime/format/extent.ts";
import type { Program } from "../runtime/format/program.ts";
import { wasmSimd } from "./assemble/target.ts";
import type { Execution } from "./budget/tools.ts";
import { generateProgram } from "./codegen/program.ts";
import { generateModule } from "./codegen/wasm/module.ts";
import type { Graph } from "./graph/graph.ts";
import type { Buffer } from "./kernels/contract.ts";
import type { CostTable } from "./kernels/cost-table.ts";
import { defaultCosts } from "./plan/default-costs.ts";
import { makePlan } from "./plan/make-plan.ts";
import type { Plan } from "./plan/plan.ts";

/** A graph's generated code (wasm-simd), with the weights of `variants` to exchange for its own. */
export async function openExecution(
  graph: Graph,
  variants: readonly Graph[],
  costs: CostTable = defaultCosts,
): Promise<Execution> {
  const plan = makePlan(graph, costs);
  const { program, kernels } = generateProgram(plan);
  const engine = await openEngine(plan, program, generateModule(kernels, wasmSimd, plan.memory.pages));
  const weights = variants.map((variant) => makePlan(variant, costs).weights);
  const upper = new Map(program.symbols.map((symbol) => [symbol.name, symbol.upper]));
  return {
    flops: program.steps.reduce(
      (sum, step) => sum + (step.kind === "kernel" ? evaluateExtent(step.flops, upper) : 0),
      0,
    ),
    run: async (sample) => (await engine.run(sample)).outputs,
    exchange: (constant, variant) => {
      const source = variant === undefined ? plan.weights : weights[variant];
      for (const [index, { buffer, constants }] of plan.weights.entries()) {
        const bytes = source?.[index]?.bytes;
        if (bytes && constants.includes(constant)) writeWeight(engine, plan, buffer, bytes);
      }
    },
    close: () => engine.dispose(),
  };
}

/** The engine of a plan's program, its weights in place. */
export async function openEngine(plan: Plan, program: Program, module: Uint8Array): Promise<WasmEngine> {
  const engine = await openWasmEngine({ program, module });
  for (const { buffer, bytes } of plan.weights) writeWeight(engine, plan, buffer, bytes);
  return engine;
}

function writeWeight(engine: WasmEngine, plan: Plan, buffer: Buffer, bytes: Uint8Array): void {
  engine.writeWeights((plan.addresses.get(buffer) ?? 0) - plan.memory.weights.start, bytes);
}
