/**
 * The step records in linear memory: written once, and again where a word depends on a symbol whose value changed.
 * Records lie one after another in the table region in the order of the kernel steps; `addresses[i]` is where the
 * record of the i-th kernel step starts.
 */
import { type Extent, evaluateExtent } from "../format/extent.ts";
import { type KernelStep, type Region, recordBytes, recordHeaderWords, undivided } from "../format/program.ts";

/** An extent with symbols, and the words that have its value. */
interface SymbolicWords {
  readonly extent: Extent;
  /** Indices into the memory as 32-bit words. */
  readonly indices: number[];
}

export class Records {
  readonly addresses: readonly number[];
  readonly #words: Int32Array;
  readonly #symbolic: readonly SymbolicWords[];

  constructor(
    memory: WebAssembly.Memory,
    map: { readonly table: Pick<Region, "start"> },
    steps: readonly KernelStep[],
  ) {
    this.#words = new Int32Array(memory.buffer);
    const addresses: number[] = [];
    const symbolic = new Map<string, SymbolicWords>();
    let address = map.table.start;
    for (const step of steps) {
      addresses.push(address);
      const bytes = recordBytes(step);
      const words: readonly Extent[] = [step.kernel, step.range, bytes, step.grain ?? undivided, ...step.arguments];
      for (const [offset, extent] of words.entries()) {
        const index = address / 4 + offset;
        if (typeof extent === "number") this.#words[index] = extent;
        else {
          const key = JSON.stringify(extent);
          const known = symbolic.get(key);
          if (known === undefined) symbolic.set(key, { extent, indices: [index] });
          else known.indices.push(index);
        }
      }
      address += bytes;
    }
    this.addresses = addresses;
    this.#symbolic = [...symbolic.values()];
  }

  /** Writes the words that depend on symbols. */
  bind(bindings: ReadonlyMap<string, number>): void {
    for (const { extent, indices } of this.#symbolic) {
      const value = evaluateExtent(extent, bindings);
      for (const index of indices) this.#words[index] = value;
    }
  }

  /** Argument `word` of the i-th kernel step, as an unsigned number. */
  argument(step: number, word: number): number {
    const index = (this.addresses[step] ?? 0) / 4 + recordHeaderWords + word;
    return (this.#words[index] ?? 0) >>> 0;
  }
}
