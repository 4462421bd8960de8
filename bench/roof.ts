/**
 * What this thread can do at most, measured on the spot with generated modules: 128-bit floating-point rate (fused, and
 * as a product and a sum), and the bandwidth of reading and copying 64 MB. Runs in a Worker and in Node alike.
 */
import { call, type Local } from "../compiler/assemble/expression.ts";
import { i32 } from "../compiler/assemble/scalar.ts";
import { multiplyAdd, type WasmTarget, wasmRelaxed, wasmSimd } from "../compiler/assemble/target.ts";
import { f32x4, i32x4, v128 } from "../compiler/assemble/vector.ts";
import { ModuleBuilder } from "../compiler/assemble/wasm.ts";

export interface Roof {
  /** GFLOP/s, two operations per multiply-add; null where the engine has no relaxed SIMD. */
  readonly relaxedGflops: number | null;
  readonly simdGflops: number;
  /** GB/s of bytes read, of 64 MB. */
  readonly readGigabytes: number;
  /** GB/s of bytes read again and again, of 128 KB: from the second cache. */
  readonly cachedReadGigabytes: number;
  /** GB/s of bytes read plus bytes written. */
  readonly copyGigabytes: number;
}

const megabytes = 64;
const cachedBytes = 128 * 1024;
/** A four-cycle chain on two units needs eight; with twelve all and the two operands stay in registers. */
const accumulators = 12;
const lanes = 4;
const vectorBytes = 16;
const streams = 8;
const pages = megabytes * 16 + 1;

const newModule = (): ModuleBuilder =>
  new ModuleBuilder({ memory: { module: "env", name: "memory", initialPages: 1 } });

/** `rate(count)`: `count` rounds of a = a * x + y on every accumulator. */
export function multiplyAddModule(target: WasmTarget): Uint8Array<ArrayBuffer> {
  const module = newModule();
  module.function("rate", { params: ["i32"], results: ["f32"], exported: true }, (body, count) => {
    const x = body.local("v128", f32x4.splat(0.999));
    const y = body.local("v128", f32x4.splat(0.001));
    const sums = Array.from({ length: accumulators }, (_, index) => body.local("v128", f32x4.splat(1 + index)));
    body.forRange(0, count, 1, () => {
      for (let repeat = 0; repeat < 4; repeat++) for (const sum of sums) body.set(sum, multiplyAdd(target, sum, x, y));
    });
    body.return(f32x4.extractLane(total(sums, f32x4.add), 0));
  });
  return module.encode();
}

function total(
  sums: readonly Local<"v128">[],
  add: (a: Local<"v128">, b: ReturnType<typeof f32x4.add>) => ReturnType<typeof f32x4.add>,
): ReturnType<typeof f32x4.add> {
  return sums.slice(1).reduce((sum: ReturnType<typeof f32x4.add>, next) => add(next, sum), sums[0] as Local<"v128">);
}

/** `read(start, bytes)` and `copy(from, to, bytes)`, both of multiples of 128 bytes. */
export function bandwidthModule(): Uint8Array<ArrayBuffer> {
  const module = newModule();
  const block = streams * vectorBytes;
  const read = module.function("readBlocks", { params: ["i32", "i32"], results: ["v128"] }, (body, start, bytes) => {
    const sums = Array.from({ length: streams }, () => body.local("v128", i32x4.splat(0)));
    body.forRange(start, i32.add(start, bytes), block, (at) => {
      sums.forEach((sum, index) => {
        body.set(sum, v128.or(sum, v128.load(at, { offset: index * vectorBytes })));
      });
    });
    body.return(total(sums, v128.or));
  });
  module.function("read", { params: ["i32", "i32"], results: ["i32"], exported: true }, (body, start, bytes) => {
    body.return(i32x4.extractLane(call(read, start, bytes), 0));
  });
  module.function("copy", { params: ["i32", "i32", "i32"], results: [], exported: true }, (body, from, to, bytes) => {
    body.forRange(0, bytes, block, (at) => {
      const source = body.local("i32", i32.add(from, at));
      const target = body.local("i32", i32.add(to, at));
      for (let index = 0; index < streams; index++) {
        const offset = index * vectorBytes;
        body.v128Store(target, v128.load(source, { offset }), { offset });
      }
    });
  });
  return module.encode();
}

type Exported = Readonly<Record<string, (...values: number[]) => number>>;

function instantiate(bytes: Uint8Array<ArrayBuffer>, memory: WebAssembly.Memory): Exported {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
  return exports as unknown as Exported;
}

/** Fewest milliseconds of one call: many short calls, so that the engine has moved to its optimised code. */
function fastest(call: () => void, calls: number): number {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < calls; i++) {
    const start = performance.now();
    call();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

function gflops(target: WasmTarget): number | null {
  const bytes = multiplyAddModule(target);
  if (!WebAssembly.validate(bytes)) return null;
  const { rate } = instantiate(bytes, new WebAssembly.Memory({ initial: 1 }));
  const rounds = 100_000;
  const milliseconds = fastest(() => void rate?.(rounds), 200);
  return (rounds * 4 * accumulators * lanes * 2) / milliseconds / 1e6;
}

/** Reads `bytes` (rounded up to 128) of a memory of its own, every page of it touched before. */
export function readStream(bytes: number): () => void {
  const block = vectorBytes * streams;
  const length = Math.ceil(bytes / block) * block;
  const memory = new WebAssembly.Memory({ initial: Math.ceil((length + block) / 65536) });
  new Uint8Array(memory.buffer).fill(1);
  const { read } = instantiate(bandwidthModule(), memory);
  for (let i = 0; i < 200; i++) read?.(block, Math.min(length, 2 ** 16));
  return () => void read?.(block, length);
}

/** About a second. */
export function measureRoof(): Roof {
  const { read, copy } = instantiate(bandwidthModule(), new WebAssembly.Memory({ initial: pages }));
  const start = vectorBytes * streams;
  const bytes = megabytes * 2 ** 20;
  // Short calls first, for the optimising compiler; and every page touched.
  for (let i = 0; i < 200; i++) {
    read?.(start, 2 ** 16);
    copy?.(start, start + 2 ** 16, 2 ** 16);
  }
  copy?.(start, start + bytes / 2, bytes / 2);
  const readMs = fastest(() => void read?.(start, bytes), 12);
  const cachedRounds = 64;
  const cachedMs = fastest(() => {
    for (let round = 0; round < cachedRounds; round++) read?.(start, cachedBytes);
  }, 50);
  const copyMs = fastest(() => void copy?.(start, start + bytes / 2, bytes / 2), 12);
  return {
    relaxedGflops: gflops(wasmRelaxed),
    simdGflops: gflops(wasmSimd) ?? 0,
    readGigabytes: bytes / readMs / 1e6,
    cachedReadGigabytes: (cachedBytes * cachedRounds) / cachedMs / 1e6,
    copyGigabytes: bytes / copyMs / 1e6,
  };
}
