/** Generated code as data, which can be sent to a worker, and its execution, for which nothing else of the compiler is needed. */
import { openWasmEngine, type WasmEngine } from "../runtime/engine/wasm.ts";
import { evaluateExtent } from "../runtime/format/extent.ts";
import type { Program } from "../runtime/format/program.ts";

export interface GeneratedCode {
  readonly program: Program;
  /** For wasm-simd. */
  readonly module: Uint8Array;
  /** Where weights go, from the start of all weights. */
  readonly weights: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
}

/** The engine of the code, its weights in place. */
export async function openCode({ program, module, weights }: GeneratedCode): Promise<WasmEngine> {
  const engine = await openWasmEngine({ program, module });
  for (const { offset, bytes } of weights) engine.writeWeights(offset, bytes);
  return engine;
}

/** Floating-point operations of a run with every symbol at its upper bound. */
export function flopsOf({ symbols, steps }: Program): number {
  const upper = new Map(symbols.map((symbol) => [symbol.name, symbol.upper]));
  return steps.reduce((sum, step) => sum + (step.kind === "kernel" ? evaluateExtent(step.flops, upper) : 0), 0);
}
