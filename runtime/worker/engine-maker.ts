/** Makes the engines of one package. Throws LeafcutterError. */
import type { Engine } from "../engine/engine.ts";
import type { Extensions } from "../engine/extensions.ts";
import type { EngineKind } from "../engine/variants.ts";
import type { WasmVariantName } from "../format/manifest.ts";
import type { Program } from "../format/program.ts";
import { type PackageReader, parseJson } from "../load/package.ts";
import type { ModuleCompiler } from "./module-compiler.ts";

export interface EngineMakerOptions {
  readonly reader: PackageReader;
  readonly modules: ModuleCompiler;
  readonly program: Program;
  readonly extensions: Extensions;
  readonly threads: number;
}

export class EngineMaker {
  readonly #options: EngineMakerOptions;

  constructor(options: EngineMakerOptions) {
    this.#options = options;
  }

  /** The compiled module of a variant. */
  module(variant: WasmVariantName): Promise<WebAssembly.Module> {
    return this.#options.modules.kernels(variant);
  }

  /** `memory` holds the weights already, and the kind takes it over. */
  create(kind: EngineKind, memory: WebAssembly.Memory | undefined): Promise<Engine> {
    const { reader, modules, program, extensions, threads } = this.#options;
    return kind.create({
      program,
      extensions,
      memory,
      threads,
      module: (variant) => modules.kernels(variant),
      threadModule: () => modules.threads(),
      shaders: async () => {
        const { shaders } = reader.manifest;
        return shaders === undefined ? undefined : parseJson(await reader.read(shaders), shaders.path);
      },
    });
  }
}
