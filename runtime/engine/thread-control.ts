/**
 * What the threads of one engine share besides the program's memory: the control block, as 32-bit words, and the walk
 * of the package's thread module. The first four words are that module's (runtime/format/README.md, "Threads"); the
 * others carry the orders of thread 0: a counter that changes with every order, then its four arguments.
 */
import { LeafcutterError } from "../format/diagnostic.ts";

export const controlWords = 64;

export const control = { generation: 1, stop: 3, order: 16, first: 17, begin: 18, last: 19, end: 20 } as const;

/** `walk_threads(first, begin, last, end, thread, threads, control, patience)`: see runtime/format/README.md. */
export type ThreadWalk = (
  first: number,
  begin: number,
  last: number,
  end: number,
  thread: number,
  threads: number,
  control: number,
  patience: bigint,
) => number;

/** What `walk_threads` returns when another thread did not come in time. */
export const walkLost = 2;

/** What a helper is made of; posted to it. */
export interface HelperParts {
  readonly kernels: WebAssembly.Module;
  readonly walk: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly control: number;
  /** Its own copy of the records. */
  readonly table: number;
  readonly thread: number;
  readonly threads: number;
}

export type HelperAnswer = { readonly kind: "ready" } | { readonly kind: "failed"; readonly reason: string };

/** Sends every thread that waits, or will wait, out of its walk. */
export function stopThreads(words: Int32Array): void {
  Atomics.store(words, control.stop, 1);
  Atomics.add(words, control.generation, 1);
  Atomics.notify(words, control.generation);
}

/** The thread module may import the memory and the kernels' table. Throws LeafcutterError package-invalid. */
export function checkThreadModule(module: WebAssembly.Module, where: string): void {
  const imports = WebAssembly.Module.imports(module).map(({ module: from, name, kind }) => `${kind} ${from}.${name}`);
  const isForeign = imports.some((entry) => entry !== "memory env.memory" && entry !== "table env.table");
  const exports = WebAssembly.Module.exports(module);
  if (!isForeign && exports.some(({ name, kind }) => name === "walk_threads" && kind === "function")) return;
  throw new LeafcutterError({
    code: "package-invalid",
    message: isForeign ? "the module imports what it must not" : "the module lacks an export of the format",
    where,
    expected: "the imports env.memory and env.table, and the export walk_threads",
    received: isForeign ? imports.join(", ") : exports.map(({ name }) => name).join(", ") || "no exports",
  });
}

/** Throws WebAssembly.LinkError for a module that does not fit memory and table. */
export function linkThreadWalk(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  table: WebAssembly.Table,
): ThreadWalk {
  return new WebAssembly.Instance(module, { env: { memory, table } }).exports.walk_threads as ThreadWalk;
}
