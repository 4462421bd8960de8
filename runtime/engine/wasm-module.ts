/** Memories and modules of the format: made, checked, brought together. Throws LeafcutterError. */
import { LeafcutterError } from "../format/diagnostic.ts";
import { type Program, pageBytes } from "../format/program.ts";

/** `walk(first record, begin, last record, end)`: see runtime/format/README.md. */
export type Walk = (first: number, begin: number, last: number, end: number) => void;

/** A memory of exactly so many pages. Throws LeafcutterError memory-exceeded. */
export function createMemory(pages: number, shared = false): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
  } catch (cause) {
    const received = cause instanceof Error ? cause.message : String(cause);
    throw new LeafcutterError(
      {
        code: "memory-exceeded",
        message: "the browser does not give the memory that the model needs",
        expected: `${pages * pageBytes} bytes`,
        received,
        advice: "Close other pages, or compile the model for smaller dimensions or with fewer bytes of weights.",
      },
      { cause },
    );
  }
}

/**
 * The import section is the only way out of a module: it may name the memory and nothing else.
 * Throws LeafcutterError package-invalid.
 */
export function checkModule(module: WebAssembly.Module, where: string): void {
  const foreign = WebAssembly.Module.imports(module).filter(
    ({ module: from, name, kind }) => from !== "env" || name !== "memory" || kind !== "memory",
  );
  const exports = WebAssembly.Module.exports(module);
  const has = (name: string, kind: string): boolean =>
    exports.some((entry) => entry.name === name && entry.kind === kind);
  if (foreign.length === 0 && has("walk", "function") && has("table", "table")) return;
  throw new LeafcutterError({
    code: "package-invalid",
    message: foreign.length > 0 ? "the module imports what it must not" : "the module lacks an export of the format",
    where,
    expected: "the import env.memory alone, and the exports walk and table",
    received:
      foreign.length > 0
        ? foreign.map(({ module: from, name, kind }) => `${kind} ${from}.${name}`).join(", ")
        : exports.map(({ name }) => name).join(", ") || "no exports",
  });
}

/** A module as it is, or compiled now. */
export function compileModule(module: WebAssembly.Module | Uint8Array): WebAssembly.Module {
  return module instanceof WebAssembly.Module ? module : new WebAssembly.Module(module as Uint8Array<ArrayBuffer>);
}

/** What a module of the format gives. */
export interface Kernels {
  readonly walk: Walk;
  readonly table: WebAssembly.Table;
}

/** Throws LeafcutterError package-invalid for a module that does not fit the program or its memory. */
export function instantiateKernels(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  program: Program,
  where: string,
): Kernels {
  checkModule(module, where);
  let exports: WebAssembly.Exports;
  try {
    exports = new WebAssembly.Instance(module, { env: { memory } }).exports;
  } catch (cause) {
    throw new LeafcutterError(
      {
        code: "package-invalid",
        message: "the module does not fit the program's memory",
        where,
        received: cause instanceof Error ? cause.message : String(cause),
      },
      { cause },
    );
  }
  const { walk, table } = exports;
  if (table instanceof WebAssembly.Table && table.length < program.kernels.length) {
    throw new LeafcutterError({
      code: "package-invalid",
      message: "the module's function table is shorter than the program's list of kernels",
      where,
      expected: `${program.kernels.length} functions`,
      received: String(table.length),
    });
  }
  return { walk: walk as Walk, table: table as WebAssembly.Table };
}
