/** The modules of one package: each is fetched, verified and compiled once. Throws LeafcutterError. */
import { checkModule } from "../engine/wasm-module.ts";
import { LeafcutterError } from "../format/diagnostic.ts";
import {
  type FileReference,
  moduleVariant,
  type ThreadedVariantName,
  type WasmVariantName,
} from "../format/manifest.ts";
import type { PackageReader } from "../load/package.ts";

type Variant = WasmVariantName | ThreadedVariantName;

export class ModuleCompiler {
  readonly #reader: PackageReader;
  readonly #modules = new Map<Variant | "threads", Promise<WebAssembly.Module>>();

  constructor(reader: PackageReader) {
    this.#reader = reader;
  }

  /** The kernels of a variant; for several threads in the form that they share. */
  kernels(variant: Variant): Promise<WebAssembly.Module> {
    return this.#once(variant, async () => {
      const base = moduleVariant(variant);
      const file = this.#reader.manifest.modules.find((candidate) => candidate.variant === base);
      const bytes = await this.#read(file, variant);
      const form = base === variant ? bytes : await sharedFormOf(bytes, file?.path ?? variant);
      const module = await compile(form, file?.path);
      checkModule(module, file?.path ?? variant);
      return module;
    });
  }

  /** The walk of several threads. */
  threads(): Promise<WebAssembly.Module> {
    return this.#once("threads", async () => {
      const { threads } = this.#reader.manifest;
      const module = await compile(await this.#read(threads, "threads"), threads?.path);
      const { checkThreadModule } = await import("../engine/thread-control.ts");
      checkThreadModule(module, threads?.path ?? "");
      return module;
    });
  }

  #once(name: Variant | "threads", make: () => Promise<WebAssembly.Module>): Promise<WebAssembly.Module> {
    const module = this.#modules.get(name) ?? make();
    this.#modules.set(name, module);
    return module;
  }

  async #read(file: FileReference | undefined, name: string): Promise<Uint8Array> {
    if (file === undefined) throw new LeafcutterError({ code: "internal", message: `the package has no ${name}` });
    return this.#reader.read(file);
  }
}

async function sharedFormOf(bytes: Uint8Array, where: string): Promise<Uint8Array> {
  const { sharedForm } = await import("../engine/shared-module.ts");
  return sharedForm(bytes, where);
}

async function compile(bytes: Uint8Array, where: string | undefined): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(bytes as Uint8Array<ArrayBuffer>);
  } catch (cause) {
    const received = cause instanceof Error ? cause.message : String(cause);
    throw new LeafcutterError(
      { code: "package-invalid", message: "the module does not compile", where: where ?? "", received },
      { cause },
    );
  }
}
