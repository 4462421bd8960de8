/**
 * A program from an attacker's hands: every type, offset, extent, index and name is checked before anything runs.
 * What passes cannot make the engine read or write outside the planned memory, as far as addresses that the program
 * states are concerned; the module itself is confined by WebAssembly to the same memory.
 */
import { byteSize } from "./dtype.ts";
import type { Extent } from "./extent.ts";
import {
  type Access,
  type KernelProbe,
  type KernelStep,
  type MemoryMap,
  type Program,
  type ProgramStep,
  pageBytes,
  type Region,
  recordBytes,
  undivided,
} from "./program.ts";
import { type Symbols, UntrustedReader } from "./untrusted.ts";

const maximumPages = 65536;
const guardBytes = 64;
const maximumSteps = 100_000;
const maximumKernels = 10_000;
const maximumArguments = 1024;
const maximumAttributeDepth = 256;

const endOf = (region: Region): number => region.start + region.bytes;

/** Where a step stands, and what there is. */
interface Place {
  readonly index: number;
  readonly stepCount: number;
  readonly kernelCount: number;
}

class ProgramValidator {
  readonly #reader = new UntrustedReader("program-invalid");
  #symbols: Symbols = new Map();
  #memory!: MemoryMap;

  validate(value: unknown): Program {
    const reader = this.#reader;
    const program = reader.object(value, "program");
    this.#symbols = reader.symbols(program.symbols, "symbols");
    this.#memory = this.#memoryMap(program.memory);
    for (const [name, readable] of [
      ["inputs", false],
      ["outputs", true],
    ] as const) {
      for (const [index, port] of reader.ports(program[name], name, this.#symbols).entries()) {
        this.#operand(port, `${name}[${index}]`, readable);
      }
    }
    this.#states(program, new Set((program.inputs as Program["inputs"]).map(({ name }) => name)));
    const kernels = reader.list(program.kernels, "kernels", maximumKernels, (item, where) => {
      const kernel = reader.object(item, where);
      reader.string(kernel.name, `${where}.name`);
      return kernel;
    });
    const stepCount = Array.isArray(program.steps) ? program.steps.length : 0;
    const steps = reader.list(program.steps, "steps", maximumSteps, (item, where, index) =>
      this.#step(item, where, { index, stepCount, kernelCount: kernels.length }),
    );
    const tableBytes = steps.reduce((sum, step) => sum + (step.kind === "kernel" ? recordBytes(step) : 0), 0);
    if (tableBytes > this.#memory.table.bytes)
      reader.fail("memory.table", `${tableBytes} bytes or more`, this.#memory.table);
    for (const [index, kernel] of kernels.entries()) {
      if (kernel.probe !== undefined) this.#probe(kernel.probe, `kernels[${index}].probe`, index, steps);
    }
    const result = value as Program;
    this.#everySymbolIsBound(result);
    return result;
  }

  #memoryMap(value: unknown): MemoryMap {
    const reader = this.#reader;
    const map = reader.object(value, "memory");
    const bytes = pageBytes * reader.integer(map.pages, "memory.pages", 1, maximumPages);
    const regions = (["weights", "table", "arena"] as const).map((name) => {
      const region = reader.object(map[name], `memory.${name}`);
      const start = reader.integer(region.start, `memory.${name}.start`, guardBytes, bytes);
      reader.integer(region.bytes, `memory.${name}.bytes`, 0, bytes - start);
      if (start % 4 !== 0) reader.fail(`memory.${name}.start`, "a multiple of 4", start);
      return map[name] as Region;
    });
    const ordered = regions.filter((region) => region.bytes > 0).sort((a, b) => a.start - b.start);
    for (const [index, region] of ordered.entries()) {
      const next = ordered[index + 1];
      if (next !== undefined && endOf(region) > next.start)
        reader.fail("memory", "regions that do not overlap", ordered);
    }
    return value as MemoryMap;
  }

  /** [start, end) must lie in the arena, or, to be read, in the weights. */
  #place(where: string, start: number, end: number, readable: boolean): void {
    const inside = (region: Region): boolean => start >= region.start && end <= endOf(region);
    const { arena, weights } = this.#memory;
    if (inside(arena) || (readable && inside(weights))) return;
    const show = (region: Region): string => `${region.start}..${endOf(region)}`;
    const expected = `bytes of the arena ${show(arena)}${readable ? ` or the weights ${show(weights)}` : ""}`;
    this.#reader.fail(where, expected, `${start}..${end}`);
  }

  #aligned(where: string, address: number, bytes: number): void {
    if (address % bytes !== 0) this.#reader.fail(where, `a multiple of ${bytes}`, address);
  }

  #address(value: unknown, where: string): number {
    return this.#reader.integer(value, where, 0, pageBytes * this.#memory.pages);
  }

  /** A dense tensor at a fixed address. */
  #operand(value: unknown, where: string, readable: boolean): void {
    const operand = this.#reader.object(value, where);
    const size = byteSize[this.#reader.dtype(operand.dtype, `${where}.dtype`)];
    const elements = this.#reader.shape(operand.shape, `${where}.shape`, this.#symbols);
    const address = this.#address(operand.address, `${where}.address`);
    this.#aligned(`${where}.address`, address, size);
    if (elements > 0) this.#place(where, address, address + elements * size, readable);
  }

  /** Of the states, dense or grown to their capacity, all bytes lie in the arena; those of one symbol have one length. */
  #states(program: Readonly<Record<string, unknown>>, inputs: ReadonlySet<string>): void {
    if (program.states === undefined) return;
    const reader = this.#reader;
    const lengths = new Map<unknown, string>();
    for (const [index, port] of reader.ports(program.states, "states", this.#symbols).entries()) {
      const where = `states[${index}]`;
      if (inputs.has(port.name)) reader.fail(`${where}.name`, "a name that no input has", port.name);
      const state = reader.object(port, where);
      for (const name of state.kind === "fixed" ? ["address", "source"] : ["address"])
        this.#aligned(`${where}.${name}`, this.#address(state[name], `${where}.${name}`), 4);
      reader.string(state.output, `${where}.output`);
      switch (reader.oneOf(state.kind, `${where}.kind`, ["fixed", "growing"])) {
        case "fixed":
          for (const [axis, extent] of port.shape.entries())
            reader.integer(extent, `${where}.shape[${axis}]`, 0, 2 ** 31);
          this.#operand(state, where, false);
          this.#operand({ ...state, address: state.source }, `${where}.source`, true);
          break;
        case "growing": {
          const axis = reader.integer(state.axis, `${where}.axis`, 0, port.shape.length - 1);
          for (const [other, extent] of port.shape.entries())
            if (other !== axis) reader.integer(extent, `${where}.shape[${other}]`, 0, 2 ** 31);
          const symbol = port.shape[axis];
          const capacity = reader.integer(state.capacity, `${where}.capacity`, 0, 2 ** 31);
          if (typeof symbol !== "string") reader.fail(`${where}.shape[${axis}]`, "a symbol", symbol);
          this.#extent(symbol, `${where}.shape[${axis}]`, 0, capacity);
          this.#extent(state.length, `${where}.length`, 0, capacity);
          const length = JSON.stringify(state.length);
          if ((lengths.get(symbol) ?? length) !== length)
            reader.fail(`${where}.length`, String(lengths.get(symbol)), length);
          lengths.set(symbol, length);
          this.#operand({ ...state, shape: port.shape.map((e, i) => (i === axis ? capacity : e)) }, where, false);
          break;
        }
      }
    }
  }

  #extent(value: unknown, where: string, lower: number, upper: number): readonly [number, number] {
    return this.#reader.extent(value, where, this.#symbols, lower, upper);
  }

  #step(value: unknown, where: string, { index, stepCount, kernelCount }: Place): ProgramStep {
    const step = this.#reader.object(value, where);
    this.#reader.string(step.name, `${where}.name`);
    this.#reader.string(step.op, `${where}.op`);
    switch (this.#reader.oneOf(step.kind, `${where}.kind`, ["kernel", "host", "jump", "repeat"])) {
      case "kernel":
        this.#kernelStep(step, where, kernelCount);
        break;
      case "host":
        this.#hostStep(step, where);
        break;
      case "jump":
        this.#reader.integer(step.target, `${where}.target`, index + 1, stepCount);
        this.#condition(step.condition, where);
        break;
      case "repeat":
        this.#repeatStep(step, where, index);
        break;
    }
    return value as ProgramStep;
  }

  /** A loop of no step would only burn time. */
  #repeatStep(step: Readonly<Record<string, unknown>>, where: string, index: number): void {
    this.#reader.integer(step.target, `${where}.target`, 0, index - 1);
    this.#extent(step.count, `${where}.count`, 1, 2 ** 31 - 1);
    this.#condition(step.condition, where);
    if (step.iteration === undefined) return;
    const place = `${where}.iteration`;
    const address = this.#address(step.iteration, place);
    this.#aligned(place, address, byteSize.int64);
    this.#place(place, address, address + byteSize.int64, false);
  }

  /** The address of one byte, which may be absent. */
  #condition(value: unknown, where: string): void {
    if (value === undefined) return;
    const address = this.#address(value, `${where}.condition`);
    this.#place(`${where}.condition`, address, address + 1, true);
  }

  #kernelStep(step: Readonly<Record<string, unknown>>, where: string, kernelCount: number): void {
    const reader = this.#reader;
    reader.integer(step.kernel, `${where}.kernel`, 0, kernelCount - 1);
    this.#extent(step.range, `${where}.range`, 0, 2 ** 31 - 1);
    if (step.grain !== undefined) reader.integer(step.grain, `${where}.grain`, 1, undivided);
    for (const name of ["flops", "bytes", "invocations"]) {
      this.#extent(step[name], `${where}.${name}`, 0, Number.MAX_SAFE_INTEGER);
    }
    const words = reader.list(step.arguments, `${where}.arguments`, maximumArguments, (item, place) =>
      this.#extent(item, place, -(2 ** 31), 2 ** 32 - 1),
    );
    reader.list(step.accesses, `${where}.accesses`, maximumArguments, (item, place) => {
      const access = reader.object(item, place);
      const mode = reader.oneOf<Access["mode"]>(access.mode, `${place}.mode`, [
        "read",
        "write",
        "read-write",
        "scratch",
      ]);
      // Other threads' copies of it lie elsewhere, at the same distance from their start.
      if (mode === "scratch") reader.integer(access.start, `${place}.start`, 0, Number.MAX_SAFE_INTEGER);
      const limit = pageBytes * this.#memory.pages;
      const [low, high] = this.#extent(access.start, `${place}.start`, 0, limit);
      const end = high + this.#extent(access.bytes, `${place}.bytes`, 0, limit)[1];
      this.#place(place, low, end, mode === "read");
      const [wordLow, wordHigh] = words[reader.integer(access.word, `${place}.word`, 0, words.length - 1)] ?? [0, 0];
      if (wordLow < low || wordHigh > end) reader.fail(place, `an address in ${low}..${end}`, [wordLow, wordHigh]);
    });
  }

  #hostStep(step: Readonly<Record<string, unknown>>, where: string): void {
    const reader = this.#reader;
    reader.string(step.reference, `${where}.reference`);
    reader.integer(step.version, `${where}.version`, 1, 1000);
    for (const [name, attribute] of Object.entries(reader.object(step.attributes, `${where}.attributes`))) {
      this.#attribute(attribute, `${where}.attributes.${name}`, 0);
    }
    reader.list(step.inputs, `${where}.inputs`, maximumArguments, (item, place) => {
      if (item !== null) this.#operand(item, place, true);
    });
    reader.list(step.outputs, `${where}.outputs`, maximumArguments, (item, place) => this.#operand(item, place, false));
  }

  /** Plain data of bounded depth; a tensor must have as many bytes as its shape says. */
  #attribute(value: unknown, where: string, depth: number): void {
    const reader = this.#reader;
    if (depth > maximumAttributeDepth) reader.fail(where, "an attribute of bounded depth", value);
    if (typeof value === "number" || typeof value === "string") return;
    if (Array.isArray(value)) {
      for (const [index, item] of value.entries()) this.#attribute(item, `${where}[${index}]`, depth + 1);
      return;
    }
    const fields = reader.object(value, where);
    reader.string(fields.kind, `${where}.kind`);
    if (fields.kind === "tensor") {
      const size = byteSize[reader.dtype(fields.dtype, `${where}.dtype`)];
      const bytes = size * reader.shape(fields.shape, `${where}.shape`, new Map());
      const data = typeof fields.data === "string" ? fields.data : "?";
      if (!/^[A-Za-z0-9+/]*={0,2}$/.test(data)) reader.fail(`${where}.data`, "base64", fields.data);
      const decoded = Math.floor((data.replace(/=+$/, "").length * 3) / 4);
      if (decoded !== bytes) reader.fail(`${where}.data`, `${bytes} bytes`, decoded);
      return;
    }
    for (const [name, item] of Object.entries(fields)) this.#attribute(item, `${where}.${name}`, depth + 1);
  }

  #probe(value: unknown, where: string, kernel: number, steps: readonly ProgramStep[]): void {
    const reader = this.#reader;
    const probe = reader.object(value, where);
    const step = steps[reader.integer(probe.step, `${where}.step`, 0, steps.length - 1)];
    if (step?.kind !== "kernel" || step.kernel !== kernel)
      reader.fail(`${where}.step`, "a step of this kernel", probe.step);
    const range = this.#extent((step as KernelStep).range, `${where}.step`, 0, 2 ** 31 - 1)[1];
    reader.integer(probe.units, `${where}.units`, 0, range);
    if (reader.number(probe.tolerance, `${where}.tolerance`) < 0)
      reader.fail(`${where}.tolerance`, "0 or more", probe.tolerance);
    const place = (
      fields: Partial<KernelProbe["fills"][number]>,
      address: unknown,
      at: string,
      bytes?: number,
    ): void => {
      const size = byteSize[reader.dtype(fields.dtype, `${at}.dtype`)];
      const start = this.#address(address, at);
      this.#aligned(at, start, size);
      if (bytes !== undefined) this.#aligned(`${at}.bytes`, bytes, size);
      this.#place(at, start, start + (bytes ?? size), false);
    };
    reader.list(probe.fills, `${where}.fills`, 64, (item, at) => {
      const fill = reader.object(item, at);
      reader.integer(fill.seed, `${at}.seed`, 0, 2 ** 32 - 1);
      place(fill, fill.start, at, reader.integer(fill.bytes, `${at}.bytes`, 0, endOf(this.#memory.arena)));
    });
    reader.list(probe.samples, `${where}.samples`, 4096, (item, at) => {
      const sample = reader.object(item, at);
      reader.number(sample.value, `${at}.value`);
      place(sample, sample.address, at);
    });
  }

  /** The shapes of the inputs must say what every symbol is, or else the length of a state. */
  #everySymbolIsBound(program: Program): void {
    const bound = new Set<Extent>(program.inputs.flatMap((port) => port.shape));
    for (const state of program.states ?? []) {
      const symbol = state.kind === "growing" ? state.shape[state.axis] : undefined;
      if (symbol !== undefined) bound.add(symbol);
    }
    for (const { name, lower, upper } of program.symbols) {
      if (lower !== upper && !bound.has(name))
        this.#reader.fail("symbols", "symbols that an input's shape binds", name);
    }
  }
}

/**
 * Checks parsed JSON as a program; whether the functions of its host steps exist is told by who imports them.
 * Throws LeafcutterError program-invalid, with the place.
 */
export function validateProgram(value: unknown): Program {
  return new ProgramValidator().validate(value);
}
