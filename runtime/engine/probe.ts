/**
 * What this host's WebAssembly can do, by known answers of the very instructions that a variant uses: names of features
 * lie (an engine may have one relaxed instruction and not another, or compile one wrongly).
 */
import type { WasmVariantName } from "../format/manifest.ts";

/** A module with one exported function "a": () -> i32 of this body, perhaps with a memory section. */
function moduleOf(body: readonly number[], memory: readonly number[] = []): Uint8Array<ArrayBuffer> {
  const header = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
  const types = [0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7f];
  const functions = [0x03, 0x02, 0x01, 0x00];
  const exports = [0x07, 0x05, 0x01, 0x01, 0x61, 0x00, 0x00];
  const code = [0x0a, body.length + 4, 0x01, body.length + 2, 0x00, ...body, 0x0b];
  return Uint8Array.from([...header, ...types, ...functions, ...memory, ...exports, ...code]);
}

interface KnownAnswer {
  readonly instruction: string;
  readonly module: Uint8Array<ArrayBuffer>;
  readonly answer: number;
}

const vectorMultiply: KnownAnswer = {
  instruction: "i32x4.mul (SIMD)",
  // i32.const 3, i32x4.splat, i32.const 5, i32x4.splat, i32x4.mul, i32x4.extract_lane 2
  module: moduleOf([0x41, 0x03, 0xfd, 0x11, 0x41, 0x05, 0xfd, 0x11, 0xfd, 0xb5, 0x01, 0xfd, 0x1b, 0x02]),
  answer: 15,
};

const splat = (high: number, highest: number): readonly number[] => [0x43, 0x00, 0x00, high, highest, 0xfd, 0x13];

const relaxedMultiplyAdd: KnownAnswer = {
  instruction: "f32x4.relaxed_madd (relaxed SIMD)",
  // f32x4.splat of 2, 3 and 4, f32x4.relaxed_madd, f32x4.extract_lane 1, i32.trunc_sat_f32_s
  module: moduleOf([
    ...splat(0x00, 0x40),
    ...splat(0x40, 0x40),
    ...splat(0x80, 0x40),
    ...[0xfd, 0x85, 0x02, 0xfd, 0x1f, 0x01, 0xfc, 0x00],
  ]),
  answer: 10,
};

/** i32.const, i32x4.splat */
const splatInteger = (...leb128: readonly number[]): readonly number[] => [0x41, ...leb128, 0xfd, 0x11];

/** Engines have had the relaxed instructions and compiled this one wrongly. */
const relaxedDot: KnownAnswer = {
  instruction: "i32x4.relaxed_dot_i8x16_i7x16_add_s (relaxed SIMD)",
  // Signed bytes (-128, 127, -128, 127) by (127, 127, 1, 0) plus 1000: i32x4.relaxed_dot_i8x16_i7x16_add_s, i32x4.extract_lane 3
  module: moduleOf([
    ...splatInteger(0x80, 0xff, 0x81, 0xfc, 0x07),
    ...splatInteger(0xff, 0xfe, 0x05),
    ...splatInteger(0xe8, 0x07),
    ...[0xfd, 0x93, 0x02, 0xfd, 0x1b, 0x03],
  ]),
  answer: -128 * 127 + 127 * 127 - 128 + 1000,
};

const relaxedSwizzle: KnownAnswer = {
  instruction: "i8x16.relaxed_swizzle (relaxed SIMD)",
  // Bytes 1 2 3 4 by the indices 3 2 1 0: i8x16.relaxed_swizzle, i32x4.extract_lane 0
  module: moduleOf([
    ...splatInteger(0x81, 0x84, 0x8c, 0x20),
    ...splatInteger(0x83, 0x84, 0x04),
    ...[0xfd, 0x80, 0x02, 0xfd, 0x1b, 0x00],
  ]),
  answer: 0x01020304,
};

const needed: Readonly<Record<WasmVariantName, readonly KnownAnswer[]>> = {
  "wasm-simd": [vectorMultiply],
  "wasm-relaxed": [vectorMultiply, relaxedMultiplyAdd, relaxedSwizzle, relaxedDot],
};

function failureOf({ instruction, module, answer }: KnownAnswer): string | undefined {
  let exported: WebAssembly.ExportValue | undefined;
  try {
    exported = new WebAssembly.Instance(new WebAssembly.Module(module)).exports.a;
  } catch {
    return `this host has no ${instruction}`;
  }
  const received: unknown = typeof exported === "function" ? Reflect.apply(exported, undefined, []) : undefined;
  return received === answer ? undefined : `${instruction} gives ${String(received)} instead of ${answer}`;
}

/** A module with nothing in it: who refuses it refuses every module. */
const emptyModule = Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00);

/** Why this host runs no module at all; undefined when it does. */
function refusal(): string | undefined {
  if (typeof WebAssembly === "undefined") return "this host has no WebAssembly";
  try {
    // WebKit compiles what the policy forbids, and refuses the instance.
    new WebAssembly.Instance(new WebAssembly.Module(emptyModule));
    return undefined;
  } catch (error) {
    const received = error instanceof Error ? error.message : String(error);
    return `this page may not run WebAssembly: its Content-Security-Policy needs 'wasm-unsafe-eval' in script-src (${received})`;
  }
}

/** A shared memory of one page, and a word of it counted up to 5. */
const atomicAdd: KnownAnswer = {
  instruction: "i32.atomic.rmw.add (threads)",
  module: moduleOf(
    // i32.const 0, i32.const 5, i32.atomic.rmw.add, drop, i32.const 0, i32.atomic.load
    [0x41, 0x00, 0x41, 0x05, 0xfe, 0x1e, 0x02, 0x00, 0x1a, 0x41, 0x00, 0xfe, 0x10, 0x02, 0x00],
    [0x05, 0x04, 0x01, 0x03, 0x01, 0x01],
  ),
  answer: 5,
};

/** Why several threads cannot run a model that is opened here; undefined when they can. */
export function missingThreads(): string | undefined {
  const isNode = typeof process !== "undefined" && process.versions?.node !== undefined;
  if (typeof SharedArrayBuffer === "undefined" || (!isNode && globalThis.crossOriginIsolated !== true)) {
    return "the page is not cross-origin isolated (headers COOP and COEP): its threads cannot share memory";
  }
  if (!isNode && typeof document !== "undefined") return "the main thread of a page must not wait for others";
  if (!isNode && typeof Worker === "undefined") return "this host cannot start threads";
  return failureOf(atomicAdd);
}

/** Why this host cannot run a variant; undefined when it can. */
export function missingFeature(variant: WasmVariantName): string | undefined {
  const refused = refusal();
  if (refused !== undefined) return refused;
  for (const knownAnswer of needed[variant]) {
    const failure = failureOf(knownAnswer);
    if (failure !== undefined) return failure;
  }
  return undefined;
}
