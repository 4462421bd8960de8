/** Generated code executed in the compiler itself: to test packages, and to measure what a change of weights does. */
import type { WasmEngine } from "../runtime/engine/wasm.ts";
import type { Program } from "../runtime/format/program.ts";
import { wasmSimd } from "./assemble/target.ts";
import type { Execution } from "./budget/tools.ts";
import { generateProgram } from "./codegen/program.ts";
import { generateModule } from "./codegen/wasm/module.ts";
import { flopsOf, type GeneratedCode, openCode } from "./generated-code.ts";
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
  const code = generateCode(plan);
  const engine = await openCode(code);
  const weights = variants.map((variant) => makePlan(variant, costs).weights);
  return {
    flops: flopsOf(code.program),
    run: async (sample) => (await engine.run(sample)).outputs,
    exchange: (constant, variant) => {
      const source = variant === undefined ? plan.weights : weights[variant];
      for (const [index, { buffer, constants }] of plan.weights.entries()) {
        const bytes = source?.[index]?.bytes;
        if (bytes && constants.includes(constant)) engine.writeWeights(offsetOf(plan, buffer), bytes);
      }
    },
    close: () => engine.dispose(),
  };
}

export function generateCode(plan: Plan): GeneratedCode {
  const { program, kernels } = generateProgram(plan);
  const module = generateModule(kernels, wasmSimd, plan.memory.pages);
  return { program, module, weights: weightsOf(plan) };
}

/** The engine of a plan's program, its weights in place. */
export const openEngine = (plan: Plan, program: Program, module: Uint8Array): Promise<WasmEngine> =>
  openCode({ program, module, weights: weightsOf(plan) });

const weightsOf = (plan: Plan): GeneratedCode["weights"] =>
  plan.weights.map(({ buffer, bytes }) => ({ offset: offsetOf(plan, buffer), bytes }));

const offsetOf = (plan: Plan, buffer: Buffer): number => (plan.addresses.get(buffer) ?? 0) - plan.memory.weights.start;
