/**
 * The states of a program in linear memory: what a run finds and leaves there. A fixed state changes, and a growing one
 * becomes longer, in `commit` alone: a run that fails or is aborted leaves every state as it was (rows that it wrote
 * behind a growing state's length mean nothing). All growing states of one symbol have one length.
 */
import { LeafcutterError } from "../format/diagnostic.ts";
import { byteSize } from "../format/dtype.ts";
import { evaluateExtent } from "../format/extent.ts";
import type { GrowingState, Program, Region, State } from "../format/program.ts";
import { elementCount, type Tensor, viewOf } from "../format/tensor.ts";
import { bindInputs, type TensorInput } from "./input.ts";
import { unknownState } from "./unknown-state.ts";

/** Bytes to copy from the place a run leaves a state at to the place the next one finds it. */
export interface Move {
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
}

const symbolOf = ({ shape, axis }: GrowingState): string => String(shape[axis]);

/** `blocks` runs of `bytes`, `stride` apart: the rows of a growing state, or the whole of a fixed one. */
interface Blocks {
  readonly blocks: number;
  readonly bytes: number;
  readonly stride: number;
}

export class States {
  readonly list: readonly State[];
  /** Of the fixed states. */
  readonly moves: readonly Move[];
  /** Length of the growing states by symbol: what the next run binds it to. */
  readonly lengths = new Map<string, number>();
  readonly #memory: WebAssembly.Memory;
  readonly #program: Program;
  readonly #growing: readonly GrowingState[];

  constructor(memory: WebAssembly.Memory, program: Program) {
    this.#memory = memory;
    this.#program = program;
    this.list = program.states ?? [];
    this.#growing = this.list.filter((state) => state.kind === "growing");
    this.moves = this.list.flatMap((state) =>
      state.kind === "fixed" && state.source !== state.address
        ? [{ from: state.source, to: state.address, bytes: this.#blocks(state).bytes }]
        : [],
    );
    this.#empty();
  }

  /** Throws state-full when a growing state is longer than a run takes. */
  check(): void {
    for (const state of this.#growing) {
      const symbol = symbolOf(state);
      const length = this.lengths.get(symbol) ?? 0;
      const upper = this.#bound(symbol)?.upper ?? 0;
      if (length <= upper) continue;
      throw new LeafcutterError({
        code: "state-full",
        message: "the state has no room for another run",
        where: state.name,
        expected: `${symbol} of at most ${upper}`,
        received: String(length),
        advice: "Reset the session, or compile the model for a longer state (--dim).",
      });
    }
  }

  /** A run has ended: its next values become the states. */
  commit(bindings: ReadonlyMap<string, number>): void {
    if (this.list.length === 0) return;
    if (this.moves.length > 0) {
      const memory = new Uint8Array(this.#memory.buffer);
      for (const { from, to, bytes } of this.moves) memory.copyWithin(to, from, from + bytes);
    }
    this.advance(bindings);
  }

  /** The lengths after a run; part of `commit` for an engine that moves the bytes itself. */
  advance(bindings: ReadonlyMap<string, number>): void {
    for (const state of this.#growing) this.lengths.set(symbolOf(state), evaluateExtent(state.length, bindings));
  }

  /**
   * Sets the given states, the others to zeros; a growing one that is not given is as short as it may be. States that
   * grow together are given together. Returns what was written. Throws LeafcutterError: input-unknown, input-missing,
   * input-dtype, input-shape; then nothing has changed.
   */
  reset(values: Readonly<Record<string, TensorInput>> = {}): readonly Region[] {
    this.#checkNames(values);
    const given = this.list.filter(({ name }) => Object.hasOwn(values, name));
    const { tensors, bindings } = bindInputs(given, this.#program.symbols, values);
    const memory = new Uint8Array(this.#memory.buffer);
    const written: Region[] = [];
    this.#empty();
    for (const state of given) {
      if (state.kind === "growing") this.lengths.set(symbolOf(state), bindings.get(symbolOf(state)) ?? 0);
    }
    for (const state of this.list) {
      const tensor = tensors[given.indexOf(state)];
      const { blocks, bytes, stride } = this.#blocks(state);
      if (bytes === 0) continue;
      const source = tensor && new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
      for (let block = 0; block < blocks; block++) {
        const start = state.address + block * stride;
        if (source === undefined) memory.fill(0, start, start + bytes);
        else memory.set(source.subarray(block * bytes, (block + 1) * bytes), start);
      }
      written.push(this.region(state));
    }
    return written;
  }

  /**
   * Takes the last `rows` from every growing state. Throws LeafcutterError option-invalid: for more rows than there are, or
   * beside fixed states, which cannot go back; then nothing has changed.
   */
  rewind(rows: number): void {
    const fixed = this.list.find(({ kind }) => kind === "fixed");
    const shortest = Math.min(
      ...[...this.lengths].map(([symbol, length]) => length - (this.#bound(symbol)?.lower ?? 0)),
    );
    if (fixed || !Number.isInteger(rows) || rows < 0 || rows > (this.lengths.size > 0 ? shortest : 0))
      throw new LeafcutterError({
        code: "option-invalid",
        message: fixed ? "a state of one shape cannot go back" : "the states cannot go back so far",
        where: fixed?.name ?? "rewind",
        expected: fixed ? "growing states alone" : `0 to ${this.lengths.size > 0 ? shortest : 0} rows`,
        received: String(rows),
        advice: "Set the states with reset().",
      });
    for (const [symbol, length] of this.lengths) this.lengths.set(symbol, length - rows);
  }

  /** A copy of a state as the next run will find it. Throws input-unknown. */
  read(name: string): Tensor {
    const state = this.find(name);
    const shape = state.shape.map((extent) => evaluateExtent(extent, this.lengths));
    const { blocks, bytes, stride } = this.#blocks(state);
    const copy = new Uint8Array(elementCount(shape) * byteSize[state.dtype]);
    for (let block = 0; block < blocks; block++) {
      const start = state.address + block * stride;
      copy.set(new Uint8Array(this.#memory.buffer, start, bytes), block * bytes);
    }
    return { dtype: state.dtype, shape, data: viewOf(state.dtype, copy.buffer, 0, elementCount(shape)) };
  }

  /** Throws input-unknown. */
  find(name: string): State {
    const found = this.list.find((state) => state.name === name);
    if (found !== undefined) return found;
    throw unknownState(name, this.list);
  }

  /** All bytes of a state, to its capacity. */
  region(state: State): Region {
    const { blocks, bytes, stride } = this.#blocks(state);
    return { start: state.address, bytes: state.kind === "fixed" ? bytes : blocks * stride };
  }

  #checkNames(values: Readonly<Record<string, TensorInput>>): void {
    for (const name of Object.keys(values)) {
      const state = this.find(name);
      if (state.kind === "fixed") continue;
      const partners = this.#growing.filter((other) => symbolOf(other) === symbolOf(state));
      const missing = partners.filter((other) => !Object.hasOwn(values, other.name));
      if (missing.length === 0) continue;
      throw new LeafcutterError({
        code: "input-missing",
        message: "states that grow together have to be set together",
        where: missing[0]?.name ?? name,
        expected: `${partners.length} states of length ${symbolOf(state)}`,
        received: `${partners.length - missing.length} of them`,
      });
    }
  }

  /** Every growing state as short as it may be. */
  #empty(): void {
    for (const state of this.#growing) {
      const symbol = symbolOf(state);
      this.lengths.set(symbol, this.#bound(symbol)?.lower ?? 0);
    }
  }

  #bound(symbol: string): Program["symbols"][number] | undefined {
    return this.#program.symbols.find(({ name }) => name === symbol);
  }

  /** Where the elements of a state lie under the present lengths. */
  #blocks(state: State): Blocks {
    const size = byteSize[state.dtype];
    if (state.kind === "fixed") {
      const bytes = size * elementCount(state.shape);
      return { blocks: 1, bytes, stride: bytes };
    }
    const { axis, capacity, shape } = state;
    const row = shape.slice(axis + 1).reduce<number>((product, extent) => product * Number(extent), size);
    const blocks = shape.slice(0, axis).reduce<number>((product, extent) => product * Number(extent), 1);
    return { blocks, bytes: row * (this.lengths.get(symbolOf(state)) ?? 0), stride: row * capacity };
  }
}
