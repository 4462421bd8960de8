/**
 * The engines there are, one row each, and which of them a backend stands for. A new backend is a new row.
 */
import type { FileReference, Manifest, ThreadedVariantName, VariantName, WasmVariantName } from "../format/manifest.ts";
import { type Program, pageBytes } from "../format/program.ts";
import type { Engine } from "./engine.ts";
import type { Extensions } from "./extensions.ts";
import { createWasmEngine } from "./wasm.ts";
import { createMemory } from "./wasm-module.ts";

export type Backend = "auto" | "wasm" | VariantName;

/** What an engine is made of. */
export interface EngineParts {
  readonly program: Program;
  readonly extensions: Extensions;
  /** A memory of the same program with the weights in it, not shared. */
  readonly memory: WebAssembly.Memory | undefined;
  /** The compiled module of a variant, verified. */
  readonly module: (variant: WasmVariantName | ThreadedVariantName) => Promise<WebAssembly.Module>;
  /** The compiled thread module of the package, verified. */
  readonly threadModule: () => Promise<WebAssembly.Module>;
  /** How many threads may run, this one included. */
  readonly threads: number;
  /** The content of the manifest's `shaders` as parsed JSON, verified but not validated. */
  readonly shaders: () => Promise<unknown>;
}

/** What a host lacks: each says why, or undefined when it does not. */
export interface Missing {
  readonly missingFeature: (variant: WasmVariantName) => string | undefined;
  readonly missingThreads: () => string | undefined;
}

export interface EngineKind {
  readonly variant: VariantName;
  /** It takes over a memory that holds the weights; otherwise they are copied into its own. */
  readonly takesMemory: boolean;
  /** The self-test runs before the first result, not when idle after it. */
  readonly selfTestFirst: boolean;
  /** Files that it reads besides program and shards; undefined when the package does not have them. */
  readonly files: (manifest: Manifest) => readonly FileReference[] | undefined;
  /** Why this host cannot run it; undefined when it can. */
  readonly missing: (host: Missing) => Promise<string | undefined>;
  /** Bytes of linear memory. */
  readonly memoryBytes: (program: Program, threads: number) => Promise<number>;
  readonly create: (parts: EngineParts) => Promise<Engine>;
}

const plannedBytes = async ({ memory }: Program): Promise<number> => memory.pages * pageBytes;

function wasmKind(variant: WasmVariantName): EngineKind {
  return {
    variant,
    takesMemory: true,
    memoryBytes: plannedBytes,
    selfTestFirst: false,
    files: (manifest) => {
      const module = manifest.modules.find((candidate) => candidate.variant === variant);
      return module === undefined ? undefined : [module];
    },
    missing: async ({ missingFeature }) => missingFeature(variant),
    create: async ({ program, extensions, memory, module }) =>
      createWasmEngine({
        program,
        extensions,
        variant,
        module: await module(variant),
        ...(memory === undefined ? {} : { memory }),
      }),
  };
}

/** The code of several threads is loaded by those who have them. */
function threadedKind(base: WasmVariantName): EngineKind {
  const variant = `${base}-threads` as const;
  return {
    variant,
    takesMemory: false,
    memoryBytes: async (program, threads) => {
      const { layOutThreads } = await import("./thread-layout.ts");
      return layOutThreads(program, threads).pages * pageBytes;
    },
    selfTestFirst: false,
    files: ({ modules, threads }) => {
      const module = modules.find((candidate) => candidate.variant === base);
      return module === undefined || threads === undefined ? undefined : [module, threads];
    },
    missing: async ({ missingFeature, missingThreads }) => missingThreads() ?? missingFeature(base),
    create: async ({ program, extensions, module, threadModule, threads }) => {
      const [kernels, walk, { layOutThreads }, { ThreadTeam }] = await Promise.all([
        module(variant),
        threadModule(),
        import("./thread-layout.ts"),
        import("./thread-team.ts"),
      ]);
      const layout = layOutThreads(program, threads);
      const memory = createMemory(layout.pages, true);
      const team = new ThreadTeam({ program, layout, memory, kernels, walk });
      try {
        return createWasmEngine({ program, extensions, variant, module: kernels, memory, team });
      } catch (error) {
        team.end("the engine could not be made");
        throw error;
      }
    },
  };
}

/** WebGPU's code is loaded by those who ask for it. */
const webgpu: EngineKind = {
  variant: "webgpu",
  takesMemory: true,
  memoryBytes: plannedBytes,
  selfTestFirst: true,
  files: ({ shaders, modules }) => {
    const module = modules.find(({ variant }) => variant === "wasm-simd");
    return shaders === undefined || module === undefined ? undefined : [shaders];
  },
  missing: async () => (await import("./webgpu-device.ts")).missingWebGpu(),
  create: async ({ program, extensions, memory, module, shaders }) => {
    const [{ createWebGpuEngine }, set] = await Promise.all([import("./webgpu.ts"), shaders()]);
    return createWebGpuEngine({ program, extensions, memory, shaders: set, module: () => module("wasm-simd") });
  },
};

const relaxed = wasmKind("wasm-relaxed");
const simd = wasmKind("wasm-simd");

const relaxedThreads = threadedKind("wasm-relaxed");
const simdThreads = threadedKind("wasm-simd");

/**
 * In order of preference: the first that can run is used, the ones behind it when its known answers fail. `threads`:
 * several are allowed, and the package is worth them.
 */
export function kindsOf(backend: Backend, threads: boolean): readonly EngineKind[] {
  switch (backend) {
    case "auto":
    case "wasm":
      return threads ? [relaxedThreads, simdThreads, relaxed, simd] : [relaxed, simd];
    case "wasm-relaxed-threads":
      return [relaxedThreads, simdThreads, relaxed, simd];
    case "wasm-simd-threads":
      return [simdThreads, simd];
    case "wasm-relaxed":
      return [relaxed, simd];
    case "wasm-simd":
      return [simd];
    case "webgpu":
      return [webgpu, relaxed, simd];
  }
}
