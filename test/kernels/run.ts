/**
 * Runs bound steps as generated WebAssembly. Buffers lie 64 bytes apart with a pattern between them, so that a
 * write out of place is seen; the range may be cut into parts.
 */
import { expect } from "vitest";
import { type WasmTarget, wasmSimd } from "../../compiler/assemble/target.ts";
import { generateModule } from "../../compiler/codegen/wasm/module.ts";
import type { Dim } from "../../compiler/graph/dimension.ts";
import type { BoundStep, Buffer } from "../../compiler/kernels/contract.ts";
import { evaluateExtent } from "../../runtime/format/extent.ts";
import { recordHeaderWords } from "../../runtime/format/program.ts";

const gap = 64;
const pattern = 0xa5;

export interface RunOptions {
  readonly bindings?: ReadonlyMap<string, number>;
  /** Parts that the range is cut into; default 1. */
  readonly parts?: number;
  readonly target?: WasmTarget;
  /** Bytes before the first run. */
  readonly initial: ReadonlyMap<Buffer, Uint8Array>;
  readonly times?: number;
}

type Kernel = (record: number, begin: number, end: number) => void;

/** The bytes of every buffer that the steps touch, after running them in order. */
export function runSteps(steps: readonly BoundStep[], options: RunOptions): ReadonlyMap<Buffer, Uint8Array> {
  const bindings = options.bindings ?? new Map<string, number>();
  const extent = (dim: Dim): number => evaluateExtent(dim, bindings);
  const buffers = new Set<Buffer>(options.initial.keys());
  for (const step of steps)
    for (const argument of step.arguments) if (argument.kind === "address") buffers.add(argument.buffer);
  const addresses = new Map<Buffer, number>();
  let end = gap;
  for (const buffer of buffers) {
    addresses.set(buffer, end);
    end += Math.ceil(extent(buffer.bytes) / 64) * 64 + gap;
  }
  const records: number[] = [];
  for (const step of steps) {
    records.push(end);
    end += 4 * (recordHeaderWords + step.arguments.length);
  }
  const pages = Math.ceil(end / 65536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const bytes = new Uint8Array(memory.buffer).fill(pattern);
  for (const [buffer, content] of options.initial) bytes.set(content, addresses.get(buffer) ?? 0);
  const words = new DataView(memory.buffer);
  steps.forEach((step, index) => {
    step.arguments.forEach((argument, position) => {
      const at = (records[index] ?? 0) + 4 * (recordHeaderWords + position);
      if (argument.kind === "float") words.setFloat32(at, argument.value, true);
      else if (argument.kind === "integer") words.setInt32(at, extent(argument.value), true);
      else words.setInt32(at, (addresses.get(argument.buffer) ?? 0) + extent(argument.offset), true);
    });
  });
  const code = generateModule(
    steps.map(({ kernel }) => kernel),
    options.target ?? wasmSimd,
    pages,
  );
  const instance = new WebAssembly.Instance(new WebAssembly.Module(code as Uint8Array<ArrayBuffer>), {
    env: { memory },
  });
  const table = instance.exports.table as WebAssembly.Table;
  steps.forEach((step, index) => {
    const kernel = table.get(index) as Kernel;
    const range = extent(step.range);
    const parts = options.parts ?? 1;
    for (let part = 0; part < parts; part++)
      kernel(records[index] ?? 0, Math.floor((range * part) / parts), Math.floor((range * (part + 1)) / parts));
  });
  const result = new Map<Buffer, Uint8Array>();
  for (const [buffer, address] of addresses) {
    const length = extent(buffer.bytes);
    result.set(buffer, bytes.slice(address, address + length));
    const between = bytes.subarray(address + length, address + Math.ceil(length / 64) * 64 + gap);
    expect(
      between.every((byte) => byte === pattern),
      `bytes behind ${buffer.name} are untouched`,
    ).toBe(true);
    expect(
      bytes.subarray(address - gap, address).every((byte) => byte === pattern),
      `bytes before ${buffer.name} are untouched`,
    ).toBe(true);
  }
  return result;
}
