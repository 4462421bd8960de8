/**
 * The body of a WGSL kernel while it is written: statements in blocks, fresh names, values computed once per block
 * and the library functions they call.
 */
import type { WgslKernel } from "../contract.ts";
import { type WgslFunctionName, wgslSources } from "./functions.ts";

/** WGSL source of a value. */
export type Wgsl = string;

export class WgslBody {
  readonly #lines: string[] = [];
  readonly #functions = new Set<WgslFunctionName>();
  #known: Map<string, Wgsl> = new Map();
  #names = 0;
  #writesParts = false;

  /** A call of a library function. */
  call(name: WgslFunctionName, ...operands: readonly Wgsl[]): Wgsl {
    this.#functions.add(name);
    return `${name}(${operands.join(", ")})`;
  }

  /** A call of a library function that writes part of a word, whose other parts other invocations may write. */
  callOnParts(name: WgslFunctionName, ...operands: readonly Wgsl[]): Wgsl {
    this.#writesParts = true;
    return this.call(name, ...operands);
  }

  statement(source: string): void {
    this.#lines.push(source);
  }

  /** A named value that does not change. */
  let(value: Wgsl): Wgsl {
    const name = `v${this.#names++}`;
    this.#lines.push(`let ${name} = ${value};`);
    return name;
  }

  /** A named value that may be assigned. */
  variable(value: Wgsl): Wgsl {
    const name = `v${this.#names++}`;
    this.#lines.push(`var ${name} = ${value};`);
    return name;
  }

  /** The value under `key`, computed at most once in this block and those around it. */
  once(key: string, compute: () => Wgsl): Wgsl {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const value = this.let(compute());
    this.#known.set(key, value);
    return value;
  }

  /** `header { … }`; what is computed inside is forgotten behind it. */
  block(header: string, statements: () => void): void {
    const outside = this.#known;
    this.#known = new Map(outside);
    this.#lines.push(`${header} {`);
    statements();
    this.#lines.push("}");
    this.#known = outside;
  }

  /** `for` over 0..extent (u32); `statements` gets the index. */
  loop(extent: Wgsl, statements: (index: Wgsl) => void): void {
    const index = `at${this.#names++}`;
    this.block(`for (var ${index} = 0u; ${index} < ${extent}; ${index}++)`, () => statements(index));
  }

  /** Argument `index` of the step's record, read once. */
  word(index: number): Wgsl {
    return this.once(`word ${index}`, () => `word(record, ${index}u)`);
  }

  /** Splits `index` into coordinates below `extents` (u32), the last one fastest. */
  coordinates(index: Wgsl, extents: readonly Wgsl[]): readonly Wgsl[] {
    let rest = index;
    const result: Wgsl[] = [];
    for (const [place, extent] of [...extents.entries()].reverse()) {
      if (place === 0) result.unshift(rest);
      else {
        result.unshift(this.let(`${rest} % ${extent}`));
        rest = this.let(`${rest} / ${extent}`);
      }
    }
    return result;
  }

  end(): WgslKernel {
    return {
      prelude: wgslSources(this.#functions),
      body: this.#lines.join("\n"),
      writesParts: this.#writesParts,
    };
  }
}
