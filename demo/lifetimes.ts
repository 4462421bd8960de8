/** When which bytes of the arena hold something that a later step reads, told from the accesses of a program's steps. */
import { byteSize } from "../runtime/format/dtype.ts";
import { type Extent, evaluateExtent } from "../runtime/format/extent.ts";
import type { Port, Program } from "../runtime/format/program.ts";
import { elementCount } from "../runtime/format/tensor.ts";

/** Bytes [start, end) of linear memory, written by step `from` and last read by step `to`. */
export interface Lifetime {
  readonly start: number;
  readonly end: number;
  /** -1: an input, there before the first step. */
  readonly from: number;
  /** The number of steps: an output, there after the last step. */
  readonly to: number;
}

interface Range {
  readonly start: number;
  readonly end: number;
}

interface Value extends Range {
  readonly from: number;
  to: number;
}

const overlap = (left: Range, right: Range): boolean => left.start < right.end && right.start < left.end;

/** What of `ranges` lies outside `taken`. */
function without(ranges: readonly Range[], taken: Range): readonly Range[] {
  return ranges.flatMap((range) => {
    if (!overlap(range, taken)) return [range];
    const before = { start: range.start, end: Math.min(range.end, taken.start) };
    const after = { start: Math.max(range.start, taken.end), end: range.end };
    return [before, after].filter(({ start, end }) => start < end);
  });
}

/** Every value so far, newest last; reads reach back to the newest writers of their bytes. */
class Values {
  readonly all: Value[] = [];

  /** The newest value in these bytes, when it takes exactly them. */
  #same(range: Range): Value | undefined {
    const newest = this.all.findLast((value) => overlap(value, range));
    return newest?.start === range.start && newest.end === range.end ? newest : undefined;
  }

  /** Whether the bytes hold one value: a step that reads and writes others uses them as scratch. */
  holds(range: Range): boolean {
    return this.#same(range) !== undefined;
  }

  write(range: Range, step: number): void {
    const same = this.#same(range);
    // A border and what is inside it are written one after the other and are one value.
    const unread = same !== undefined && same.from >= 0 && same.to === same.from;
    if (!unread) this.all.push({ ...range, from: step, to: step });
  }

  read(range: Range, step: number): void {
    let open: readonly Range[] = [range];
    for (let index = this.all.length - 1; index >= 0 && open.length > 0; index--) {
      const value = this.all[index];
      if (value === undefined || !open.some((part) => overlap(part, value))) continue;
      value.to = Math.max(value.to, step);
      open = without(open, value);
    }
  }
}

/** Lifetimes inside the arena, with every symbol at its upper bound. */
export function lifetimesOf(program: Program): readonly Lifetime[] {
  const { arena } = program.memory;
  const upper = new Map(program.symbols.map((symbol) => [symbol.name, symbol.upper]));
  const number = (extent: Extent): number => evaluateExtent(extent, upper);
  const portRange = ({ address, dtype, shape }: Pick<Port, "address" | "dtype" | "shape">): Range => ({
    start: address,
    end: address + elementCount(shape.map(number)) * byteSize[dtype],
  });
  const inArena = ({ start }: Range): boolean => start >= arena.start && start < arena.start + arena.bytes;

  const values = new Values();
  for (const port of program.inputs) values.write(portRange(port), -1);
  for (const [index, step] of program.steps.entries()) {
    if (step.kind === "jump" || step.kind === "repeat") continue;
    const touched =
      step.kind === "host"
        ? [
            ...step.inputs.flatMap((operand) =>
              operand === null ? [] : [{ range: portRange(operand), mode: "read" }],
            ),
            ...step.outputs.map((operand) => ({ range: portRange(operand), mode: "write" })),
          ]
        : step.accesses.map(({ start, bytes, mode }) => ({
            range: { start: number(start), end: number(start) + number(bytes) },
            mode,
          }));
    const inside = touched.filter(({ range }) => inArena(range));
    for (const { range, mode } of inside) {
      if (mode === "read" || (mode === "read-write" && values.holds(range))) values.read(range, index);
    }
    for (const { range, mode } of inside) if (mode !== "read") values.write(range, index);
  }
  for (const port of program.outputs) values.read(portRange(port), program.steps.length);
  return values.all;
}
