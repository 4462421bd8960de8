/**
 * Where each step of a program runs under WebGPU: on the device when its kernel has a shader, else on the host's copy
 * of the memory, which then has to be given what the step reads and to send back what it writes.
 */
import { byteSize } from "../format/dtype.ts";
import { evaluateExtent } from "../format/extent.ts";
import { isPlaced, placeOf } from "../format/placement.ts";
import type { Access, HostOperand, KernelStep, MemoryMap, Program, Region } from "../format/program.ts";
import type { ShaderSet } from "../format/shader.ts";
import { type Extensions, extension } from "./extensions.ts";
import type { WasmEngine } from "./wasm.ts";

export type Bindings = ReadonlyMap<string, number>;

export interface DeviceStep {
  readonly where: "webgpu";
  /** Among all steps. */
  readonly index: number;
  readonly step: KernelStep;
  /** Among the kernel steps. */
  readonly slot: number;
}

export interface HostedStep {
  readonly where: "wasm" | "host";
  readonly index: number;
  /** What must be current in the host's copy before `run`, and what is newer there afterwards. */
  readonly reads: (bindings: Bindings) => readonly Region[];
  readonly writes: (bindings: Bindings) => readonly Region[];
  readonly run: (bindings: Bindings) => void;
}

export type PlacedStep = DeviceStep | HostedStep;

export interface HostSide {
  readonly memory: WebAssembly.Memory;
  readonly extensions: Extensions;
  /** Over the same memory; undefined when every kernel that is used has a shader. */
  readonly wasm: WasmEngine | undefined;
}

/** By index of the step; undefined for jumps and repetitions. */
export function placeSteps(program: Program, set: ShaderSet, host: HostSide): readonly (PlacedStep | undefined)[] {
  let slot = 0;
  return program.steps.map((step, index): PlacedStep | undefined => {
    if (!isPlaced(step)) return undefined;
    if (step.kind === "host") {
      const bound = extension(host.extensions.bindHostStep, "host steps")(step);
      return {
        where: "host",
        index,
        reads: (bindings) => operandRegions(step.inputs, bindings, program.memory),
        writes: (bindings) => operandRegions(step.outputs, bindings, program.memory),
        run: (bindings) => bound.run(host.memory, bindings),
      };
    }
    const own = slot++;
    if (placeOf(step, set.shaders) === "webgpu") return { where: "webgpu", index, step, slot: own };
    return {
      where: "wasm",
      index,
      // A kernel may leave some bytes of what it writes alone: those are fetched too.
      reads: (bindings) => accessRegions(step.accesses, bindings, program.memory),
      writes: (bindings) => {
        const written = step.accesses.filter(({ mode }) => mode !== "read");
        return accessRegions(written, bindings, program.memory);
      },
      run: (bindings) => host.wasm?.runStep(index, evaluateExtent(step.range, bindings), bindings),
    };
  });
}

/** The weights never change: both sides have them. */
const isVariable =
  ({ weights }: MemoryMap) =>
  ({ start, bytes }: Region): boolean =>
    bytes > 0 && (start < weights.start || start >= weights.start + weights.bytes);

function accessRegions(accesses: readonly Access[], bindings: Bindings, map: MemoryMap): readonly Region[] {
  return accesses
    .map(({ start, bytes }) => ({ start: evaluateExtent(start, bindings), bytes: evaluateExtent(bytes, bindings) }))
    .filter(isVariable(map));
}

function operandRegions(
  operands: readonly (HostOperand | null)[],
  bindings: Bindings,
  map: MemoryMap,
): readonly Region[] {
  return operands
    .filter((operand) => operand !== null)
    .map(({ dtype, shape, address }) => {
      const elements = shape.reduce<number>((count, extent) => count * evaluateExtent(extent, bindings), 1);
      return { start: address, bytes: elements * byteSize[dtype] };
    })
    .filter(isVariable(map));
}
