/**
 * The typed WebAssembly module writer. A module imports one memory and declared functions, defines
 * functions, exports the ones asked for, and may hold or import one function table. Same calls, same bytes.
 */
import { BodyBuilder } from "./body.ts";
import { type Bytes, name as encodeName, section, unsigned, vector } from "./encode.ts";
import { FunctionReference, type LocalsOf, type Signature, type ValueType, valueTypeCode } from "./expression.ts";

/** No function may be larger than this (bytes of its encoded body): big functions blow up mobile engines. */
export const maximumFunctionBytes = 16 * 1024;

export interface MemoryImport {
  readonly module: string;
  readonly name: string;
  /** In pages of 64 KiB. */
  readonly initialPages: number;
  readonly maximumPages?: number;
  /** Shared between threads; needs `maximumPages`. */
  readonly shared?: boolean;
}

export interface ModuleOptions {
  readonly memory: MemoryImport;
  /** Write function names for debuggers and profilers; default false. */
  readonly names?: boolean;
}

export interface FunctionOptions<P extends readonly ValueType[], R extends readonly ValueType[]>
  extends Signature<P, R> {
  /** Export the function under its name; default false. */
  readonly exported?: boolean;
}

type AnySignature = Signature<readonly ValueType[], readonly ValueType[]>;

interface Definition {
  readonly reference: FunctionReference;
  readonly exported: boolean;
  body: BodyBuilder | undefined;
}

/**
 * Example: `sum(pointer, count)` adds up `count` floats, four at a time (`count` a multiple of 4).
 *
 * ```ts
 * const module = new ModuleBuilder({ memory: { module: "env", name: "memory", initialPages: 1 } });
 * const horizontal = module.function("horizontal", { params: ["v128"], results: ["f32"] }, (body, x) => {
 *   const lane = (index: number) => f32x4.extractLane(x, index);
 *   body.return(f32.add(f32.add(lane(0), lane(1)), f32.add(lane(2), lane(3))));
 * });
 * module.function("sum", { params: ["i32", "i32"], results: ["f32"], exported: true }, (body, pointer, count) => {
 *   const total = body.local("v128", f32x4.splat(0));
 *   body.forRange(0, i32.shl(count, 2), 16, (offset) => {
 *     const x = body.local("v128", v128.load(i32.add(pointer, offset))); // ends with this callback
 *     body.set(total, multiplyAdd(target, x, f32x4.splat(1), total));
 *   });
 *   body.if(i32.eqz(count), () => body.return(f32.const(0)));
 *   body.return(call(horizontal, total));
 * });
 * const bytes = module.encode();
 * const { instance } = await WebAssembly.instantiate(bytes, { env: { memory } });
 * ```
 *
 * An expression runs where a statement uses it, and every time one does: put values that are needed twice,
 * or before a later store, in a local. `i32`, … are of scalar.ts, `v128`, `f32x4`, … of vector.ts,
 * `call` and `select` of expression.ts, `multiplyAdd` of target.ts.
 */
export class ModuleBuilder {
  readonly #options: ModuleOptions;
  readonly #types = new Map<string, { readonly index: number; readonly bytes: Bytes }>();
  readonly #imports: { readonly module: string; readonly reference: FunctionReference }[] = [];
  readonly #definitions: Definition[] = [];
  #table: { readonly functions: readonly FunctionReference[]; readonly exported: string | undefined } | undefined;
  #importedTable: Bytes | undefined;

  constructor(options: ModuleOptions) {
    this.#options = options;
  }

  importFunction<const P extends readonly ValueType[], const R extends readonly ValueType[]>(
    module: string,
    name: string,
    params: P,
    results: R,
  ): FunctionReference<P, R> {
    const reference = new FunctionReference(name, { params, results });
    this.#imports.push({ module, reference });
    return reference;
  }

  /** Defines a function. `define` receives one local per parameter. */
  function<const P extends readonly ValueType[], const R extends readonly ValueType[]>(
    name: string,
    options: FunctionOptions<P, R>,
    define: (body: BodyBuilder, ...parameters: LocalsOf<P>) => void,
  ): FunctionReference<P, R> {
    const reference = this.declare(name, options);
    this.define(reference, define);
    return reference;
  }

  /** Declares a function that `define` gives its body later: for mutual calls. */
  declare<const P extends readonly ValueType[], const R extends readonly ValueType[]>(
    name: string,
    { params, results, exported = false }: FunctionOptions<P, R>,
  ): FunctionReference<P, R> {
    const reference = new FunctionReference(name, { params, results });
    this.#definitions.push({ reference, exported, body: undefined });
    return reference;
  }

  /** Gives a declared function its body. */
  define<P extends readonly ValueType[], R extends readonly ValueType[]>(
    reference: FunctionReference<P, R>,
    define: (body: BodyBuilder, ...parameters: LocalsOf<P>) => void,
  ): void {
    const definition = this.#definitions.find((candidate) => candidate.reference === reference);
    if (definition === undefined || definition.body !== undefined) {
      throw new Error(`function ${reference.name} is not declared here, or already defined`);
    }
    const body = new BodyBuilder(reference, (signature) => this.#typeIndex(signature));
    definition.body = body;
    // One local per parameter, of its type: what LocalsOf<P> says.
    define(body, ...(body.parameters() as unknown as LocalsOf<P>));
  }

  /** The module's one table: function i at index i. `exported` names it for the host. */
  table(functions: readonly FunctionReference[], exported?: string): void {
    this.#checkNoTable();
    this.#table = { functions, exported };
  }

  /** The module's one table is another module's. */
  importTable(module: string, name: string): void {
    this.#checkNoTable();
    this.#importedTable = [...encodeName(module), ...encodeName(name), 0x01, 0x70, 0x00, 0];
  }

  #checkNoTable(): void {
    if (this.#table ?? this.#importedTable) throw new Error("the module already has a table");
  }

  /** Functions declared so far. */
  get functionCount(): number {
    return this.#definitions.length;
  }

  /** Encoded body size in bytes of every defined function, in order of declaration. */
  functionSizes(): readonly { readonly name: string; readonly bytes: number }[] {
    return this.#bodies().map((bytes, index) => ({
      name: this.#definitions[index]?.reference.name ?? "",
      bytes: bytes.length,
    }));
  }

  /** The module's bytes. Throws when a function has no body or is larger than `maximumFunctionBytes`. */
  encode(): Uint8Array<ArrayBuffer> {
    const bodies = this.#bodies();
    for (const [index, { length }] of bodies.entries()) {
      const name = this.#definitions[index]?.reference.name;
      if (length > maximumFunctionBytes)
        throw new RangeError(`function ${name} takes ${length} bytes, more than ${maximumFunctionBytes}: split it`);
    }
    const imports = this.#imports.map(({ module, reference }) => [
      ...encodeName(module),
      ...encodeName(reference.name),
      0x00,
      ...unsigned(this.#typeIndex(reference)),
    ]);
    const declarations = this.#definitions.map(({ reference }) => unsigned(this.#typeIndex(reference)));
    const types = [...this.#types.values()].map((type) => type.bytes);
    return Uint8Array.from([
      ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
      ...section(1, vector(types)),
      ...section(2, vector([this.#memory(), ...(this.#importedTable ? [this.#importedTable] : []), ...imports])),
      ...section(3, vector(declarations)),
      ...section(4, this.#table && [1, 0x70, 0x00, ...unsigned(this.#table.functions.length)]),
      ...section(7, vector(this.#exports())),
      ...section(9, this.#table && this.#elements(this.#table.functions)),
      ...section(10, vector(bodies.map((bytes) => [...unsigned(bytes.length), ...bytes]))),
      ...section(0, this.#options.names === true ? this.#names() : undefined),
    ]);
  }

  #bodies(): readonly Bytes[] {
    const indices = this.#indices();
    return this.#definitions.map(({ reference, body }) => {
      if (body === undefined) throw new Error(`function ${reference.name} is declared but not defined`);
      return body.encode((target) => indexIn(indices, target));
    });
  }

  #typeIndex({ params, results }: AnySignature): number {
    const key = `${params.join()}:${results.join()}`;
    const known = this.#types.get(key);
    if (known !== undefined) return known.index;
    const list = (types: readonly ValueType[]): Bytes => vector(types.map((type) => [valueTypeCode(type)]));
    const index = this.#types.size;
    this.#types.set(key, { index, bytes: [0x60, ...list(params), ...list(results)] });
    return index;
  }

  #memory(): Bytes {
    const { module, name, initialPages, maximumPages, shared = false } = this.#options.memory;
    const flags = (maximumPages === undefined ? 0 : 1) | (shared ? 2 : 0);
    if (flags === 2) throw new TypeError("a shared memory needs maximumPages");
    const maximum = maximumPages === undefined ? [] : unsigned(maximumPages);
    return [...encodeName(module), ...encodeName(name), 0x02, flags, ...unsigned(initialPages), ...maximum];
  }

  #exports(): Bytes[] {
    const functions = this.#definitions.flatMap(({ reference, exported }, index) =>
      exported ? [[...encodeName(reference.name), 0x00, ...unsigned(this.#imports.length + index)]] : [],
    );
    const table = this.#table?.exported;
    return table === undefined ? functions : [...functions, [...encodeName(table), 0x01, 0]];
  }

  /** One active segment that fills the table from index 0. */
  #elements(functions: readonly FunctionReference[]): Bytes {
    const indices = this.#indices();
    return [1, 0, 0x41, 0, 0x0b, ...vector(functions.map((target) => unsigned(indexIn(indices, target))))];
  }

  /** The custom section "name" with its function names. */
  #names(): Bytes {
    const rows = [...this.#indices()].map(([reference, index]) => [...unsigned(index), ...encodeName(reference.name)]);
    return [...encodeName("name"), ...section(1, vector(rows))];
  }

  /** Function indices: imports first, then definitions. */
  #indices(): ReadonlyMap<FunctionReference, number> {
    const references = [...this.#imports, ...this.#definitions].map(({ reference }) => reference);
    return new Map(references.map((reference, index) => [reference, index]));
  }
}

function indexIn(indices: ReadonlyMap<FunctionReference, number>, target: FunctionReference): number {
  const index = indices.get(target);
  if (index === undefined) throw new Error(`function ${target.name} belongs to another module`);
  return index;
}
