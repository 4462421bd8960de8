/**
 * Where a run goes: the steps of a program in blocks without a jump in or out, and which block follows which. Jumps go
 * forward and repetitions are counted, so every run ends. The engine runs the steps of a block; what a jump needs to
 * know it reads from linear memory.
 */
import { evaluateExtent } from "../format/extent.ts";
import type { HostStep, JumpStep, KernelStep, ProgramStep, RepeatStep } from "../format/program.ts";

/** Steps [first, end), all `straight`, then perhaps the step at `end`, which is not. */
export interface Block<Last> {
  readonly first: number;
  readonly end: number;
  readonly last: Last | undefined;
}

export type ControlStep = JumpStep | RepeatStep;

export const isControl = (step: ProgramStep): step is ControlStep => step.kind === "jump" || step.kind === "repeat";

/** Blocks that end at every step that is not straight, and before every target of a jump. */
function cut(
  steps: readonly ProgramStep[],
  isStraight: (step: KernelStep | HostStep) => boolean,
): Block<ProgramStep>[] {
  const targets = new Set(steps.filter(isControl).map(({ target }) => target));
  const blocks: Block<ProgramStep>[] = [];
  let first = 0;
  for (const [index, step] of steps.entries()) {
    if (targets.has(index) && index > first) {
      blocks.push({ first, end: index, last: undefined });
      first = index;
    }
    if (!isControl(step) && isStraight(step)) continue;
    blocks.push({ first, end: index, last: step });
    first = index + 1;
  }
  if (steps.length > first) blocks.push({ first, end: steps.length, last: undefined });
  return blocks;
}

export class ControlFlow {
  readonly blocks: readonly Block<ProgramStep>[];
  /** Finished iterations of the body that a block's repetition ends; 0 outside the loop. */
  readonly #finished: Float64Array;
  readonly #memory: DataView;
  /** Block that starts at a target. */
  readonly #blockAt = new Map<number, number>();

  constructor(
    steps: readonly ProgramStep[],
    memory: WebAssembly.Memory,
    isStraight: (step: KernelStep | HostStep) => boolean,
  ) {
    this.blocks = cut(steps, isStraight);
    this.#memory = new DataView(memory.buffer);
    this.#finished = new Float64Array(this.blocks.length);
    for (const [index, { first }] of this.blocks.entries()) this.#blockAt.set(first, index);
  }

  /** For a new run: an aborted one may have left loops in the middle. */
  begin(): void {
    this.#finished.fill(0);
  }

  /**
   * The block that follows block `index`, whose steps have all run; the number of blocks at the end. Memory must hold
   * the byte of the condition, and gets the number of the iteration.
   */
  next(index: number, bindings: ReadonlyMap<string, number>): number {
    const step = this.blocks[index]?.last;
    if (step?.kind === "jump") return this.#isSet(step.condition, false) ? index + 1 : this.#target(step);
    if (step?.kind !== "repeat") return index + 1;
    const finished = (this.#finished[index] ?? 0) + 1;
    const again = finished < evaluateExtent(step.count, bindings) && this.#isSet(step.condition, true);
    this.#finished[index] = again ? finished : 0;
    if (!again) return index + 1;
    if (step.iteration !== undefined) {
      this.#memory.setInt32(step.iteration, finished, true);
      this.#memory.setInt32(step.iteration + 4, 0, true);
    }
    return this.#target(step);
  }

  #isSet(address: number | undefined, absent: boolean): boolean {
    return address === undefined ? absent : this.#memory.getUint8(address) !== 0;
  }

  #target({ target }: ControlStep): number {
    return this.#blockAt.get(target) ?? this.blocks.length;
  }
}
