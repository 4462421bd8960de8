/**
 * Readers of untrusted JSON: each checks one type and range and names the place of what does not fit,
 * as a path such as "steps[3].range".
 */
import { type DiagnosticCode, LeafcutterError } from "./diagnostic.ts";
import { type DType, dtypes } from "./dtype.ts";
import { type Extent, type ExtentOperation, extentBounds, type SymbolBound } from "./extent.ts";
import { mostFixedElements, type PortDescription } from "./manifest.ts";

export type Fields = Readonly<Record<string, unknown>>;
export type Symbols = ReadonlyMap<string, SymbolBound>;

const operations: readonly ExtentOperation[] = ["+", "*", "/", "%", "min", "max"];
const maximumDepth = 64;
const maximumRank = 16;
const maximumNameLength = 4096;

/** A value in short, however large or deep it is. */
function show(value: unknown, depth = 0): string {
  if (Array.isArray(value)) {
    const items = depth < 4 ? value.slice(0, 8).map((item) => show(item, depth + 1)) : ["…"];
    return `[${items.join(", ")}${value.length > 8 ? ", …" : ""}]`;
  }
  if (typeof value === "object" && value !== null) return `an object of ${Object.keys(value).slice(0, 8).join(", ")}`;
  const text = typeof value === "string" ? JSON.stringify(value.slice(0, 80)) : String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

export class UntrustedReader {
  readonly #code: DiagnosticCode;

  /** @param code of the errors: what is being read. */
  constructor(code: DiagnosticCode) {
    this.#code = code;
  }

  fail(where: string, expected: string, received: unknown): never {
    const what = this.#code === "program-invalid" ? "program" : "package";
    throw new LeafcutterError({
      code: this.#code,
      message: `the ${what} is not valid`,
      where,
      expected,
      received: show(received),
      advice: "The file is damaged, or was made by another version: compile the model again.",
    });
  }

  object(value: unknown, where: string): Fields {
    if (typeof value !== "object" || value === null || Array.isArray(value)) this.fail(where, "an object", value);
    return value as Fields;
  }

  list<T>(
    value: unknown,
    where: string,
    maximum: number,
    read: (item: unknown, where: string, index: number) => T,
  ): readonly T[] {
    if (!Array.isArray(value) || value.length > maximum) this.fail(where, `a list of at most ${maximum}`, value);
    return value.map((item, index) => read(item, `${where}[${index}]`, index));
  }

  string(value: unknown, where: string): string {
    if (typeof value !== "string" || value.length > maximumNameLength) this.fail(where, "a string", value);
    return value;
  }

  oneOf<T extends string>(value: unknown, where: string, choices: readonly T[]): T {
    const found = choices.find((choice) => choice === value);
    return found ?? this.fail(where, choices.join(" or "), value);
  }

  dtype(value: unknown, where: string): DType {
    return this.oneOf(value, where, dtypes);
  }

  integer(value: unknown, where: string, lower: number, upper: number): number {
    if (!Number.isSafeInteger(value) || (value as number) < lower || (value as number) > upper) {
      this.fail(where, `an integer from ${lower} to ${upper}`, value);
    }
    return value as number;
  }

  number(value: unknown, where: string): number {
    if (typeof value !== "number" || !Number.isFinite(value)) this.fail(where, "a number", value);
    return value;
  }

  symbols(value: unknown, where: string): Symbols {
    const read = (item: unknown, place: string): SymbolBound => {
      const { name, lower, upper } = this.object(item, place);
      const low = this.integer(lower, `${place}.lower`, 0, 2 ** 31);
      return {
        name: this.string(name, `${place}.name`),
        lower: low,
        upper: this.integer(upper, `${place}.upper`, low, 2 ** 31),
      };
    };
    const symbols = this.list(value, where, 256, read);
    const byName = new Map(symbols.map((symbol) => [symbol.name, symbol]));
    if (byName.size !== symbols.length) this.fail(where, "symbols with different names", value);
    return byName;
  }

  /** An extent whose every value lies in lower..upper; returns its bounds. */
  extent(value: unknown, where: string, symbols: Symbols, lower: number, upper: number): readonly [number, number] {
    this.#extentSyntax(value, where, symbols, 0);
    const bounds = extentBounds(value as Extent, symbols);
    if (!(bounds[0] >= lower && bounds[1] <= upper)) {
      this.fail(where, `values from ${lower} to ${upper}`, bounds);
    }
    return bounds;
  }

  /** A shape; returns the largest number of elements. */
  shape(value: unknown, where: string, symbols: Symbols): number {
    const upper = this.list(
      value,
      where,
      maximumRank,
      (item, place) => this.extent(item, place, symbols, 0, 2 ** 31)[1],
    );
    const elements = upper.reduce((product, extent) => product * extent, 1);
    if (elements > 2 ** 32) this.fail(where, "at most 2^32 elements", value);
    return elements;
  }

  /** The description of a model's input or output. */
  port(value: unknown, where: string, symbols: Symbols): PortDescription {
    const port = this.object(value, where);
    this.string(port.name, `${where}.name`);
    this.dtype(port.dtype, `${where}.dtype`);
    const elements = this.shape(port.shape, `${where}.shape`, symbols);
    if (port.value !== undefined) {
      const values = this.list(port.value, `${where}.value`, mostFixedElements, (item, place) =>
        this.number(item, place),
      );
      const wide = port.dtype === "int64" || port.dtype === "uint64";
      if (values.length !== elements || (wide && !values.every(Number.isSafeInteger)))
        this.fail(`${where}.value`, `${elements} elements of ${port.dtype}`, port.value);
    }
    return value as PortDescription;
  }

  ports(value: unknown, where: string, symbols: Symbols): readonly PortDescription[] {
    const ports = this.list(value, where, 1024, (item, place) => this.port(item, place, symbols));
    if (new Set(ports.map((port) => port.name)).size !== ports.length) this.fail(where, "different names", value);
    return ports;
  }

  #extentSyntax(value: unknown, where: string, symbols: Symbols, depth: number): void {
    if (typeof value === "number") {
      this.integer(value, where, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    } else if (typeof value === "string") {
      if (!symbols.has(value)) this.fail(where, "a symbol of the package", value);
    } else {
      if (!Array.isArray(value) || value.length !== 3 || depth >= maximumDepth) this.fail(where, "an extent", value);
      const [operation, left, right] = value as readonly unknown[];
      this.oneOf(operation, `${where}[0]`, operations);
      this.#extentSyntax(left, `${where}[1]`, symbols, depth + 1);
      this.#extentSyntax(right, `${where}[2]`, symbols, depth + 1);
      if ((operation === "/" || operation === "%") && extentBounds(right as Extent, symbols)[0] < 1) {
        this.fail(`${where}[2]`, "a divisor that is at least 1", right);
      }
      if (!extentBounds(value as unknown as Extent, symbols).every(Number.isSafeInteger)) {
        this.fail(where, "values of at most 2^53 - 1", value);
      }
    }
  }
}
