/**
 * A small package built by hand: y = relu(x + w) for x of [batch 1..4, width], in two kernels, then perhaps a slow
 * kernel that counts and a host step. Every file of the format is there and hashed, so that tests can break one thing
 * at a time.
 */
import type { Expression } from "../../compiler/assemble/expression.ts";
import { f32, i32 } from "../../compiler/assemble/scalar.ts";
import { ModuleBuilder } from "../../compiler/assemble/wasm.ts";
import type { Manifest, WasmVariantName } from "../../runtime/format/manifest.ts";
import {
  type HostStep,
  type KernelStep,
  type Program,
  type ProgramStep,
  recordHeaderWords,
} from "../../runtime/format/program.ts";

export const width = 8;
export const maximumBatch = 4;

const rowBytes = 4 * width;
const weightStart = 64;
/** Two shards, each half of w. */
export const weights = Float32Array.from({ length: width }, (_, index) => index - 4);
const tableStart = 128;
const tableBytes = 1024;
const inputAddress = tableStart + tableBytes;
const sumAddress = inputAddress + maximumBatch * rowBytes;
const outputAddress = sumAddress + maximumBatch * rowBytes;
const countAddress = outputAddress + maximumBatch * rowBytes;
const hostAddress = countAddress + 64;
const arenaEnd = hostAddress + maximumBatch * rowBytes;

const argument = (record: Expression<"i32">, index: number): Expression<"i32"> =>
  i32.load(i32.add(record, 4 * (recordHeaderWords + index)));

const kernelSignature = { params: ["i32", "i32", "i32"], results: [] } as const;

/**
 * The module of the tiny program. `foreign` makes it import a function, as no module of a package may; `trapRow` is a
 * row at which `add` traps.
 */
export function tinyModule({ foreign = false, faultyAdd = false, trapRow = -1 } = {}): Uint8Array {
  const module = new ModuleBuilder({ memory: { module: "env", name: "memory", initialPages: 1, maximumPages: 1 } });
  if (foreign) module.importFunction("env", "exfiltrate", ["i32"], []);

  /** A kernel over rows of `width` floats: arguments are addresses, then the row width. */
  const rows = (
    name: string,
    addresses: number,
    value: (element: (argument: number, broadcast?: boolean) => Expression<"f32">) => Expression<"f32">,
  ) =>
    module.function(name, kernelSignature, (body, record, begin, end) => {
      const pointers = Array.from({ length: addresses }, (_, index) => body.local("i32", argument(record, index)));
      const columns = body.local("i32", argument(record, addresses));
      body.forRange(begin, end, 1, (row) => {
        if (name === "add" && trapRow >= 0) body.if(i32.eq(row, trapRow), () => body.unreachable());
        body.forRange(0, columns, 1, (column) => {
          const offset = body.local("i32", i32.shl(i32.add(i32.mul(row, columns), column), 2));
          const element = (index: number, broadcast = false): Expression<"f32"> =>
            f32.load(i32.add(pointers[index] ?? 0, broadcast ? i32.shl(column, 2) : offset));
          body.f32Store(i32.add(pointers[addresses - 1] ?? 0, offset), value(element));
        });
      });
    });
  const add = rows("add", 3, (element) => f32.add(element(0), faultyAdd ? element(0) : element(1, true)));
  const relu = rows("relu", 2, (element) => f32.max(element(0), 0));
  /** Adds `rounds` to a counter, one by one, for every iteration of the range. */
  const count = module.function("count", kernelSignature, (body, record, begin, end) => {
    const counter = body.local("i32", argument(record, 0));
    body.forRange(begin, end, 1, () => {
      body.forRange(0, argument(record, 1), 1, () => {
        body.i32Store(counter, i32.add(i32.load(counter), 1));
      });
    });
  });
  const table = [add, relu, count];
  module.table(table, "table");

  module.function(
    "walk",
    { params: ["i32", "i32", "i32", "i32"], results: [], exported: true },
    (body, first, begin, last, end) => {
      const record = body.local("i32", first);
      const from = body.local("i32", begin);
      body.loop((again) => {
        const to = body.local("i32", i32.load(i32.add(record, 4)));
        body.if(i32.and(i32.eq(record, last), i32.geS(end, 0)), () => body.set(to, end));
        body.callIndirect(kernelSignature, i32.load(record), record, from, to);
        body.if(i32.eq(record, last), () => body.return());
        body.set(record, i32.add(record, i32.load(i32.add(record, 8))));
        body.set(from, 0);
        body.branch(again);
      });
    },
  );
  return module.encode();
}

export interface TinyOptions {
  /** Iterations of the slow kernel, each `rounds` increments; 0 leaves the step out. */
  readonly slow?: { readonly iterations: number; readonly rounds: number };
  /** A host step that computes z from y (same shape), by this key of the reference table. */
  readonly reference?: string;
  readonly probe?: boolean;
  /** Threads divide the rows. */
  readonly divided?: boolean;
}

const rowShape = ["batch", width] as const;

function kernelStep(
  name: string,
  kernel: number,
  range: KernelStep["range"],
  words: readonly number[],
  accesses: KernelStep["accesses"],
  flops: KernelStep["flops"],
): KernelStep {
  return {
    kind: "kernel",
    name,
    op: name,
    kernel,
    range,
    arguments: words,
    accesses,
    flops,
    bytes: 64,
    invocations: 1,
  };
}

const rowsAt = (word: number, start: number, mode: "read" | "write") =>
  ({ word, start, bytes: ["*", "batch", rowBytes], mode }) as const;

export function tinyProgram({ slow, reference, probe = false, divided = false }: TinyOptions = {}): Program {
  const grain = divided ? { grain: 1 } : {};
  const add = kernelStep(
    "add",
    0,
    "batch",
    [inputAddress, weightStart, sumAddress, width],
    [
      rowsAt(0, inputAddress, "read"),
      { word: 1, start: weightStart, bytes: rowBytes, mode: "read" },
      rowsAt(2, sumAddress, "write"),
    ],
    ["*", "batch", width],
  );
  const relu = kernelStep(
    "relu",
    1,
    "batch",
    [sumAddress, outputAddress, width],
    [rowsAt(0, sumAddress, "read"), rowsAt(1, outputAddress, "write")],
    ["*", "batch", width],
  );
  const steps: ProgramStep[] = [
    { ...add, ...grain },
    { ...relu, ...grain },
  ];
  if (slow !== undefined) {
    const access = { word: 0, start: countAddress, bytes: 4, mode: "read-write" } as const;
    const flops = slow.iterations * slow.rounds;
    steps.push(kernelStep("count", 2, slow.iterations, [countAddress, slow.rounds], [access], flops));
  }
  const output = { name: "y", dtype: "float32", shape: rowShape, address: outputAddress } as const;
  const hostOutput = { name: "z", dtype: "float32", shape: rowShape, address: hostAddress } as const;
  if (reference !== undefined) {
    const host: HostStep = {
      kind: "host",
      name: "host",
      op: "Host",
      reference,
      version: 13,
      attributes: {},
      inputs: [output],
      outputs: [hostOutput],
    };
    steps.push(host);
  }
  const answer = Math.fround(Math.fround(fillValue(7)) + (weights[0] ?? 0));
  const addProbe = {
    step: 0,
    units: 1,
    fills: [{ start: inputAddress, bytes: rowBytes, dtype: "float32", seed: 7 }],
    samples: [{ address: sumAddress, dtype: "float32", value: answer }],
    tolerance: 1e-6,
  } as const;
  return {
    symbols: [{ name: "batch", lower: 1, upper: maximumBatch }],
    memory: {
      pages: 1,
      weights: { start: weightStart, bytes: rowBytes },
      table: { start: tableStart, bytes: tableBytes },
      arena: { start: inputAddress, bytes: arenaEnd - inputAddress },
    },
    inputs: [{ name: "x", dtype: "float32", shape: rowShape, address: inputAddress }],
    outputs: reference === undefined ? [output] : [output, hostOutput],
    kernels: [{ name: "add", ...(probe ? { probe: addProbe } : {}) }, { name: "relu" }, { name: "count" }],
    steps,
  };
}

/** First value that the format's generator gives for a seed. */
function fillValue(seed: number): number {
  return (((Math.imul(seed, 1664525) + 1013904223) >>> 0) >>> 8) / 8388608 - 1;
}

/** relu(x + w), computed here. */
export function expectedOutput(x: Float32Array): Float32Array {
  return x.map((value, index) => Math.max(0, value + (weights[index % width] ?? 0)));
}

/** The counter of the slow kernel. */
export function counterOf(memory: WebAssembly.Memory): number {
  return new Int32Array(memory.buffer, countAddress, 1)[0] ?? 0;
}

async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export interface PackageOptions extends TinyOptions {
  readonly program?: Program;
  readonly modules?: Partial<Record<WasmVariantName, Uint8Array>>;
  readonly selfTest?: Manifest["selfTest"];
  /** The thread module. */
  readonly threads?: Uint8Array;
  /** The program and the modules are stored like this, and the manifest says that they are DEFLATE streams. */
  readonly deflate?: (content: Uint8Array) => Uint8Array;
}

/** Every file of a package, manifest last. */
export async function tinyPackage(options: PackageOptions = {}): Promise<Record<string, Uint8Array>> {
  const program = options.program ?? tinyProgram(options);
  const weightBytes = new Uint8Array(weights.buffer);
  const modules = options.modules ?? { "wasm-simd": tinyModule() };
  const files: Record<string, Uint8Array> = {};
  const reference = async (path: string, bytes: Uint8Array) => {
    files[path] = bytes;
    return { path, bytes: bytes.byteLength, sha256: await sha256(bytes) };
  };
  const { deflate } = options;
  const inflated = async (path: string, content: Uint8Array) =>
    deflate
      ? { ...(await reference(path, deflate(content))), contentBytes: content.byteLength }
      : reference(path, content);
  const variants = Object.entries(modules) as [WasmVariantName, Uint8Array][];
  const manifest: Manifest = {
    format: "leafcutter/1",
    name: "tiny",
    symbols: program.symbols,
    inputs: program.inputs.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
    outputs: program.outputs.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
    program: await inflated("program.json", new TextEncoder().encode(JSON.stringify(program))),
    modules: await Promise.all(
      variants.map(async ([variant, bytes]) => ({ ...(await inflated(`${variant}.wasm`, bytes)), variant })),
    ),
    shards: [
      await reference("shard-0.bin", weightBytes.slice(0, rowBytes / 2)),
      await reference("shard-1.bin", weightBytes.slice(rowBytes / 2)),
    ],
    ...(options.threads === undefined ? {} : { threads: await reference("threads.wasm", options.threads) }),
    ...(options.selfTest === undefined ? {} : { selfTest: options.selfTest }),
    provenance: { compiler: "test", source: { name: "tiny", bytes: 0, sha256: "" }, options: {} },
  };
  files["manifest.json"] = new TextEncoder().encode(JSON.stringify(manifest));
  return files;
}
