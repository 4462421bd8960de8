/** Makes the engines of one package: each module is fetched, verified and compiled once. Throws LeafcutterError. */
import type { Engine } from "../engine/engine.ts";
import type { LoadedReferences } from "../engine/host-step.ts";
import type { EngineKind } from "../engine/variants.ts";
import { checkModule } from "../engine/wasm.ts";
import { LeafcutterError } from "../format/diagnostic.ts";
import type { WasmVariantName } from "../format/manifest.ts";
import type { Program } from "../format/program.ts";
import { type PackageReader, parseJson } from "../load/package.ts";

export class EngineMaker {
  readonly #reader: PackageReader;
  readonly #program: Program;
  readonly #references: LoadedReferences;
  readonly #modules = new Map<WasmVariantName, Promise<WebAssembly.Module>>();

  constructor(
    reader: PackageReader,
    program: Program,
    references: LoadedReferences,
    modules: ReadonlyMap<WasmVariantName, Promise<WebAssembly.Module>>,
  ) {
    this.#reader = reader;
    this.#program = program;
    this.#references = references;
    this.#modules = new Map(modules);
  }

  /** The compiled module of a variant. */
  module(variant: WasmVariantName): Promise<WebAssembly.Module> {
    const module = this.#modules.get(variant) ?? compileModule(this.#reader, variant);
    this.#modules.set(variant, module);
    return module;
  }

  create(kind: EngineKind, memory: WebAssembly.Memory | undefined): Promise<Engine> {
    return kind.create({
      program: this.#program,
      references: this.#references,
      memory,
      module: (variant) => this.module(variant),
      shaders: async () => {
        const { shaders } = this.#reader.manifest;
        return shaders === undefined ? undefined : parseJson(await this.#reader.read(shaders), shaders.path);
      },
    });
  }
}

/** Fetches, verifies and compiles the module of a variant. */
export async function compileModule(reader: PackageReader, variant: WasmVariantName): Promise<WebAssembly.Module> {
  const file = reader.manifest.modules.find((candidate) => candidate.variant === variant);
  if (file === undefined) throw new LeafcutterError({ code: "internal", message: `the package has no ${variant}` });
  const bytes = (await reader.read(file)) as Uint8Array<ArrayBuffer>;
  let module: WebAssembly.Module;
  try {
    module = await WebAssembly.compile(bytes);
  } catch (cause) {
    const received = cause instanceof Error ? cause.message : String(cause);
    throw new LeafcutterError(
      { code: "package-invalid", message: "the module does not compile", where: file.path, received },
      { cause },
    );
  }
  checkModule(module, file.path);
  return module;
}
