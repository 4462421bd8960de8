/**
 * The known answer of one kernel: generated values into its operands, a few units of its range, sampled results.
 * Runs with every symbol at its upper bound. What the probe wrote is zeroed again, because memory of the arena that no
 * step has written yet reads as zero.
 */
import type { DType } from "../format/dtype.ts";
import { byteSize } from "../format/dtype.ts";
import { evaluateExtent } from "../format/extent.ts";
import type { KernelProbe, Program } from "../format/program.ts";
import { fillRandom } from "../format/random.ts";
import { viewOf } from "../format/tensor.ts";

export interface ProbeMismatch {
  readonly expected: string;
  readonly received: string;
}

/** |received - expected| <= tolerance * (1 + |expected|); NaN and infinities must be the same. */
export function matchesProbe(expected: number, received: number, tolerance: number): boolean {
  if (Object.is(expected, received)) return true;
  return Math.abs(received - expected) <= tolerance * (1 + Math.abs(expected));
}

/** Half and brain floats, which typed arrays hold as bits, as numbers. */
export function numberOf(dtype: DType, value: number | bigint): number {
  if (dtype === "bfloat16") {
    return new Float32Array(new Uint32Array([Number(value) << 16]).buffer)[0] ?? 0;
  }
  if (dtype !== "float16") return Number(value);
  const bits = Number(value);
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** Fills, calls `run`, compares, clears. Returns the first mismatch; a trap is one. */
export function runKernelProbe(
  memory: WebAssembly.Memory,
  program: Program,
  probe: KernelProbe,
  bindings: ReadonlyMap<string, number>,
  run: () => void,
): ProbeMismatch | undefined {
  const { buffer } = memory;
  for (const { start, bytes, dtype, seed } of probe.fills) {
    fillRandom(dtype, viewOf(dtype, buffer, start, bytes / byteSize[dtype]), seed);
  }
  try {
    run();
    for (const { address, dtype, value } of probe.samples) {
      const received = numberOf(dtype, viewOf(dtype, buffer, address, 1)[0] ?? 0);
      if (!matchesProbe(value, received, probe.tolerance)) {
        return { expected: `${value} at ${address}`, received: String(received) };
      }
    }
    return undefined;
  } catch (error) {
    return { expected: "no trap", received: error instanceof Error ? error.message : String(error) };
  } finally {
    for (const { start, bytes } of probe.fills) new Uint8Array(buffer, start, bytes).fill(0);
    const step = program.steps[probe.step];
    if (step?.kind === "kernel") {
      for (const access of step.accesses) {
        if (access.mode === "read") continue;
        const start = evaluateExtent(access.start, bindings);
        new Uint8Array(buffer, start, evaluateExtent(access.bytes, bindings)).fill(0);
      }
    }
  }
}
