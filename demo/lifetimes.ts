/** When which bytes of the arena hold something that a later step reads, told from the accesses of a program's steps. */
import { type Extent, evaluateExtent } from "../runtime/format/extent.ts";
import type { Program } from "../runtime/format/program.ts";

/** Bytes [start, start + bytes) of linear memory, written by step `from` and last read by step `to`. */
export interface Lifetime {
  readonly start: number;
  readonly bytes: number;
  /** -1: an input, there before the first step. */
  readonly from: number;
  readonly to: number;
}

interface Touch {
  readonly step: number;
  readonly start: number;
  readonly end: number;
  readonly writes: boolean;
  readonly reads: boolean;
}

function touchesOf(program: Program): readonly Touch[] {
  const upper = new Map(program.symbols.map((symbol) => [symbol.name, symbol.upper]));
  const value = (extent: Extent): number => evaluateExtent(extent, upper);
  return program.steps.flatMap((step, index): readonly Touch[] => {
    if (step.kind === "host") return [];
    return step.accesses.map(({ start, bytes, mode }) => ({
      step: index,
      start: value(start),
      end: value(start) + value(bytes),
      writes: mode !== "read",
      reads: mode !== "write",
    }));
  });
}

/** Lifetimes inside the arena, with every symbol at its upper bound; operands of host steps are not followed. */
export function lifetimesOf(program: Program): readonly Lifetime[] {
  const touches = touchesOf(program);
  const { arena } = program.memory;
  const inArena = ({ start }: { readonly start: number }): boolean =>
    start >= arena.start && start < arena.start + arena.bytes;

  const isOutput = (start: number, end: number): boolean =>
    program.outputs.some(({ address }) => address >= start && address < end);
  const follow = (start: number, end: number, from: number): Lifetime => {
    let to = isOutput(start, end) ? program.steps.length : from;
    for (const touch of touches) {
      if (touch.step <= from || touch.start >= end || touch.end <= start) continue;
      if (touch.reads) to = Math.max(to, touch.step);
      else if (touch.start <= start && touch.end >= end) break;
    }
    return { start, bytes: end - start, from, to };
  };
  const written = touches.filter((touch) => touch.writes && inArena(touch));
  const given = program.inputs.flatMap(({ address }) => {
    const reader = touches.find((touch) => touch.reads && touch.start <= address && touch.end > address);
    return reader === undefined ? [] : [follow(address, reader.end, -1)];
  });
  return [...given, ...written.map(({ start, end, step }) => follow(start, end, step))];
}
