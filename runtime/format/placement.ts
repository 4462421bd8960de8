/** Where the steps of a program run: a rule that engines follow and reports tell. Jumps and repetitions run nowhere. */
import type { HostStep, KernelStep, Program, ProgramStep } from "./program.ts";
import type { ShaderSet } from "./shader.ts";

export type Place = "webgpu" | "wasm" | "host";

type Shaders = ShaderSet["shaders"];

/** On the device where there are shaders and the step's kernel has one; `shaders` is empty for WebAssembly alone. */
export function placeOf(step: KernelStep | HostStep, shaders: Shaders): Place {
  if (step.kind === "host") return "host";
  return typeof shaders[step.kernel] === "string" ? "webgpu" : "wasm";
}

export const isPlaced = (step: ProgramStep): step is KernelStep | HostStep =>
  step.kind === "kernel" || step.kind === "host";

/** "92 webgpu, 1 wasm, 0 host"; without shaders "93 wasm, 0 host". */
export function placesText({ steps }: Program, shaders: Shaders): string {
  const places = steps.filter(isPlaced).map((step) => placeOf(step, shaders));
  const wanted: readonly Place[] = shaders.length === 0 ? ["wasm", "host"] : ["webgpu", "wasm", "host"];
  return wanted.map((place) => `${places.filter((one) => one === place).length} ${place}`).join(", ");
}
