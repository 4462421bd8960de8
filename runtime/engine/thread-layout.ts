/**
 * Memory of the threads beyond the first, on pages behind those that the program plans: a control block, then for each
 * thread its own copy of the step records, whose scratch addresses lead to its own scratch.
 */
import { type Extent, evaluateExtent } from "../format/extent.ts";
import { type Access, type KernelStep, type Program, pageBytes } from "../format/program.ts";

/** What one further thread has. */
export interface ThreadSpace {
  readonly table: number;
  readonly scratch: number;
}

export interface ThreadLayout {
  readonly threads: number;
  /** Words of thread-control.ts. */
  readonly control: number;
  /** Of threads 1, 2, … */
  readonly spaces: readonly ThreadSpace[];
  /** Of the whole memory. */
  readonly pages: number;
}

const controlBytes = 256;
const alignment = 64;

const alignUp = (bytes: number): number => Math.ceil(bytes / alignment) * alignment;

const scratchOf = ({ accesses }: KernelStep): readonly Access[] => accesses.filter(({ mode }) => mode === "scratch");

/** Where each piece of a step's scratch lies from the start of a thread's own, by its planned address; and the bytes of all. */
function placesOf(
  step: KernelStep,
  upper: ReadonlyMap<string, number>,
): { readonly places: ReadonlyMap<number, number>; readonly bytes: number } {
  const places = new Map<number, number>();
  let end = 0;
  for (const { start, bytes } of scratchOf(step)) {
    const planned = evaluateExtent(start, upper);
    if (places.has(planned)) continue;
    places.set(planned, end);
    end += alignUp(evaluateExtent(bytes, upper));
  }
  return { places, bytes: end };
}

const upperBounds = ({ symbols }: Program): ReadonlyMap<string, number> =>
  new Map(symbols.map((symbol) => [symbol.name, symbol.upper]));

export function layOutThreads(program: Program, threads: number): ThreadLayout {
  const { memory, steps } = program;
  const upper = upperBounds(program);
  let scratchBytes = 0;
  for (const step of steps) {
    if (step.kind === "kernel") scratchBytes = Math.max(scratchBytes, placesOf(step, upper).bytes);
  }
  const control = memory.pages * pageBytes;
  const tableBytes = alignUp(memory.table.bytes);
  const spaces = Array.from({ length: threads - 1 }, (_, index) => {
    const table = control + controlBytes + index * (tableBytes + scratchBytes);
    return { table, scratch: table + tableBytes };
  });
  const end = control + controlBytes + spaces.length * (tableBytes + scratchBytes);
  return { threads, control, spaces, pages: Math.ceil(end / pageBytes) };
}

/** The kernel steps of a program with their scratch at `scratch`. */
export function stepsWithScratch(program: Program, scratch: number): readonly KernelStep[] {
  const upper = upperBounds(program);
  return program.steps.flatMap((step) => {
    if (step.kind !== "kernel") return [];
    const { places } = placesOf(step, upper);
    const words = [...step.arguments];
    for (const { word, start } of scratchOf(step)) {
      const planned = evaluateExtent(start, upper);
      const moved = scratch + (places.get(planned) ?? 0) - planned;
      const argument: Extent = words[word] ?? 0;
      words[word] = typeof argument === "number" ? argument + moved : ["+", argument, moved];
    }
    return [{ ...step, arguments: words }];
  });
}
