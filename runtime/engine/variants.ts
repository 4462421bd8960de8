/**
 * The engines there are, one row each, and which of them a backend stands for. A new backend is a new row.
 */
import type { FileReference, Manifest, VariantName, WasmVariantName } from "../format/manifest.ts";
import type { Program } from "../format/program.ts";
import type { Engine } from "./engine.ts";
import type { LoadedReferences } from "./host-step.ts";
import { createWasmEngine } from "./wasm.ts";

export type Backend = "auto" | "wasm" | VariantName;

/** What an engine is made of. */
export interface EngineParts {
  readonly program: Program;
  readonly references: LoadedReferences;
  /** A memory of the same program with the weights in it. */
  readonly memory: WebAssembly.Memory | undefined;
  /** The compiled module of a variant, verified. */
  readonly module: (variant: WasmVariantName) => Promise<WebAssembly.Module>;
  /** The content of the manifest's `shaders` as parsed JSON, verified but not validated. */
  readonly shaders: () => Promise<unknown>;
}

export interface EngineKind {
  readonly variant: VariantName;
  /** The self-test runs before the first result, not when idle after it. */
  readonly selfTestFirst: boolean;
  /** Files that it reads besides program and shards; undefined when the package does not have them. */
  readonly files: (manifest: Manifest) => readonly FileReference[] | undefined;
  /** Why this host cannot run it; undefined when it can. */
  readonly missing: (missingFeature: (variant: WasmVariantName) => string | undefined) => Promise<string | undefined>;
  readonly create: (parts: EngineParts) => Promise<Engine>;
}

function wasmKind(variant: WasmVariantName): EngineKind {
  return {
    variant,
    selfTestFirst: false,
    files: (manifest) => {
      const module = manifest.modules.find((candidate) => candidate.variant === variant);
      return module === undefined ? undefined : [module];
    },
    missing: async (missingFeature) => missingFeature(variant),
    create: async ({ program, references, memory, module }) =>
      createWasmEngine({
        program,
        references,
        variant,
        module: await module(variant),
        ...(memory === undefined ? {} : { memory }),
      }),
  };
}

/** WebGPU's code is loaded by those who ask for it. */
const webgpu: EngineKind = {
  variant: "webgpu",
  selfTestFirst: true,
  files: ({ shaders, modules }) => {
    const module = modules.find(({ variant }) => variant === "wasm-simd");
    return shaders === undefined || module === undefined ? undefined : [shaders];
  },
  missing: async () => (await import("./webgpu-device.ts")).missingWebGpu(),
  create: async ({ program, references, memory, module, shaders }) => {
    const [{ createWebGpuEngine }, set] = await Promise.all([import("./webgpu.ts"), shaders()]);
    return createWebGpuEngine({ program, references, memory, shaders: set, module: () => module("wasm-simd") });
  },
};

const relaxed = wasmKind("wasm-relaxed");
const simd = wasmKind("wasm-simd");

/** In order of preference: the first that can run is used, the ones behind it when its known answers fail. */
export function kindsOf(backend: Backend): readonly EngineKind[] {
  switch (backend) {
    case "auto":
    case "wasm":
    case "wasm-relaxed":
      return [relaxed, simd];
    case "wasm-simd":
      return [simd];
    case "webgpu":
      return [webgpu, relaxed, simd];
  }
}
