/** A graph on the WebGPU engine without a package around it, and inputs for it. */

import { wasmSimd } from "../../compiler/assemble/target.ts";
import { generateProgram } from "../../compiler/codegen/program.ts";
import { generateModule } from "../../compiler/codegen/wasm/module.ts";
import { generateShaders } from "../../compiler/codegen/wgsl/module.ts";
import { evaluateDim } from "../../compiler/graph/dimension.ts";
import type { Graph } from "../../compiler/graph/graph.ts";
import { optimise } from "../../compiler/pipeline.ts";
import { defaultCosts } from "../../compiler/plan/default-costs.ts";
import { makePlan } from "../../compiler/plan/make-plan.ts";
import { loadExtensions } from "../../runtime/engine/extensions.ts";
import { createWebGpuEngine, type WebGpuEngine } from "../../runtime/engine/webgpu.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { type Tensor, zeros } from "../../runtime/format/tensor.ts";

/** SwiftShader compiles and runs slowly, more so beside other tests. */
export const gpuTimeout = 120_000;

/** An adapter is there, or the reason in words. */
export async function adapterReason(): Promise<string | undefined> {
  if (!("gpu" in navigator)) return "this browser has no navigator.gpu";
  return (await navigator.gpu.requestAdapter()) === null ? "this browser offers no WebGPU adapter" : undefined;
}

export const openGraph = (graph: Graph): Promise<WebGpuEngine> => openOptimised(optimise(graph));

/** The graph as the planner takes it. */
export async function openOptimised(graph: Graph): Promise<WebGpuEngine> {
  const plan = makePlan(graph, defaultCosts);
  const { program, kernels } = generateProgram(plan);
  const engine = await createWebGpuEngine({
    program,
    shaders: generateShaders(kernels),
    extensions: await loadExtensions(program),
    module: async () => new WebAssembly.Module(generateModule(kernels, wasmSimd, plan.memory.pages) as BufferSource),
    memory: undefined,
  });
  for (const { buffer, bytes } of plan.weights)
    engine.weights.set(bytes, (plan.addresses.get(buffer) ?? 0) - plan.memory.weights.start);
  return engine;
}

export function randomInputs(graph: Graph, bindings: ReadonlyMap<string, number>): Readonly<Record<string, Tensor>> {
  return Object.fromEntries(
    graph.inputs.map(({ name, type }, index) => {
      const shape = type.shape.map((dim) => evaluateDim(dim, bindings));
      const tensor = zeros(type.dtype, shape);
      fillRandom(type.dtype, tensor.data, 77 + index);
      return [name, tensor];
    }),
  );
}
