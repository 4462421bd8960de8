/** Runs what the module writer wrote: one memory page, and expressions evaluated on vectors placed in it. */
import { setFlagsFromString } from "node:v8";
import type { Expression, ValueType } from "../../compiler/assemble/expression.ts";
import { v128 } from "../../compiler/assemble/vector.ts";
import { ModuleBuilder } from "../../compiler/assemble/wasm.ts";

// Node 20 has relaxed SIMD behind a flag; later versions ignore it.
setFlagsFromString("--experimental-wasm-relaxed-simd");

export const onePage = { module: "env", name: "memory", initialPages: 1 };

/** Instantiates a module over one page of memory. */
export function instantiate(module: ModuleBuilder, host: WebAssembly.ModuleImports = {}) {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory, ...host } });
  return { memory, exports: instance.exports };
}

/** The exported function, callable with numbers (or bigints). */
export function exportedFunction(
  exports: WebAssembly.Exports,
  name: string,
): (...values: (number | bigint)[]) => unknown {
  const value = exports[name];
  if (typeof value !== "function") throw new Error(`no function ${name} is exported`);
  return (...values) => Reflect.apply(value, undefined, values);
}

/** Can this host run a module that uses the instruction? */
export function supports(expression: (a: Expression<"v128">) => Expression<"v128">): boolean {
  const module = new ModuleBuilder({ memory: onePage });
  module.function("probe", { params: ["v128"], results: ["v128"] }, (body, a) => body.return(expression(a)));
  return WebAssembly.validate(module.encode());
}

/**
 * Evaluates an expression of up to three vectors; returns the 16 bytes of a vector result, or the
 * scalar. `memoryBytes` is placed at address 64 for loads.
 */
export function evaluate(
  expression: (a: Expression<"v128">, b: Expression<"v128">, c: Expression<"v128">) => Expression<ValueType>,
  operands: readonly ArrayBufferView[] = [],
  memoryBytes: readonly number[] = [],
): Uint8Array | number | bigint {
  const module = new ModuleBuilder({ memory: onePage });
  const [a, b, c] = [v128.load(0), v128.load(16), v128.load(32)];
  const value = expression(a, b, c);
  if (value.type === "v128") {
    module.function("run", { params: [], results: [], exported: true }, (body) => {
      body.v128Store(48, { type: "v128", code: value.code });
    });
  } else {
    module.function("run", { params: [], results: [value.type], exported: true }, (body) => body.return(value));
  }
  const { memory, exports } = instantiate(module);
  const bytes = new Uint8Array(memory.buffer);
  for (const [index, operand] of operands.entries()) {
    bytes.set(new Uint8Array(operand.buffer, operand.byteOffset, 16), index * 16);
  }
  bytes.set(memoryBytes, 64);
  const result = exportedFunction(exports, "run")();
  return typeof result === "number" || typeof result === "bigint" ? result : bytes.slice(48, 64);
}
