/**
 * Where a run leaves WebAssembly: slices of about `sliceMilliseconds`, cut between steps where that fits and inside a
 * long step's range where it does not. Times are predicted from flops and bytes, corrected by what slices really took.
 * The first guess is slow on purpose: short slices until the engine's optimised tier has taken over.
 */
import { evaluateExtent } from "../format/extent.ts";
import type { KernelStep } from "../format/program.ts";

/** A yield costs 30-40 µs in Chromium: under 1 % of this. Abort must take effect within 10 ms. */
export const sliceMilliseconds = 5;
/** A rest this much longer than a slice is not worth another yield. */
const tolerance = 1.4;
const initialFlopsPerMillisecond = 1e6;
const initialBytesPerMillisecond = 5e5;
const stepOverheadMilliseconds = 0.001;

/** Iteration `iteration` of the i-th kernel step. */
export interface Position {
  readonly step: number;
  readonly iteration: number;
}

export class Slices {
  readonly #steps: readonly KernelStep[];
  readonly #ranges: Float64Array;
  /** Predicted milliseconds of a step before correction. */
  readonly #estimates: Float64Array;
  /** Measured over predicted; 0 before the first measurement. */
  readonly #corrections: Float64Array;
  /** Indices of the steps whose prediction depends on symbols. */
  readonly #symbolic: readonly number[];
  #bound = false;
  /** For steps without a measurement; 0 before the first. */
  #correction = 0;

  constructor(steps: readonly KernelStep[]) {
    this.#steps = steps;
    this.#ranges = new Float64Array(steps.length);
    this.#estimates = new Float64Array(steps.length);
    this.#corrections = new Float64Array(steps.length);
    this.#symbolic = steps.flatMap(({ flops, bytes, range }, index) =>
      [flops, bytes, range].every((extent) => typeof extent === "number") ? [] : [index],
    );
  }

  /** Predicts the steps that depend on symbols again (the first time all of them). */
  bind(bindings: ReadonlyMap<string, number>): void {
    const steps = this.#bound ? this.#symbolic : this.#steps.keys();
    this.#bound = true;
    for (const index of steps) {
      const step = this.#steps[index];
      if (step === undefined) continue;
      const flops = evaluateExtent(step.flops, bindings) / initialFlopsPerMillisecond;
      const bytes = evaluateExtent(step.bytes, bindings) / initialBytesPerMillisecond;
      this.#ranges[index] = evaluateExtent(step.range, bindings);
      this.#estimates[index] = Math.max(flops, bytes) + stepOverheadMilliseconds;
    }
  }

  /** Where a slice that starts at `from` ends, not beyond the start of step `end`. */
  next(from: Position, end: number): Position {
    const first = this.#milliseconds(from.step) * this.#share(from);
    if (first > tolerance * sliceMilliseconds) {
      const rest = this.#range(from.step) - from.iteration;
      const { grain = 1 } = this.#steps[from.step] ?? {};
      const even = Math.ceil(rest / Math.ceil(first / sliceMilliseconds));
      // Parts of whole grains: the bits of a result do not depend on where a run was cut.
      const iterations = Math.ceil(even / grain) * grain;
      if (iterations < rest) return { step: from.step, iteration: from.iteration + iterations };
      return { step: from.step + 1, iteration: 0 };
    }
    let total = first;
    let boundary = from.step + 1;
    for (let step = from.step + 1; step < end; step++) {
      total += this.#milliseconds(step);
      if (total <= sliceMilliseconds) boundary = step + 1;
      if (total > tolerance * sliceMilliseconds) return { step: boundary, iteration: 0 };
    }
    return { step: end, iteration: 0 };
  }

  /** Learns that the slice [from, to) took `milliseconds`. */
  measured(from: Position, to: Position, milliseconds: number): void {
    if (milliseconds <= 0) return;
    let predicted = 0;
    for (let step = from.step; step < to.step; step++) predicted += this.#milliseconds(step);
    predicted -= this.#milliseconds(from.step) * (1 - this.#share(from));
    if (to.iteration > 0) predicted += this.#milliseconds(to.step) * (1 - this.#share(to));
    if (predicted <= 0) return;
    const ratio = Math.min(64, Math.max(1 / 64, milliseconds / predicted));
    const last = to.iteration > 0 ? to.step : to.step - 1;
    for (let step = from.step; step <= last; step++) {
      const known = this.#corrections[step] ?? 0;
      this.#corrections[step] = known === 0 ? (this.#correction || 1) * ratio : known * Math.sqrt(ratio);
    }
    this.#correction = this.#correction === 0 ? ratio : this.#correction * Math.sqrt(ratio);
  }

  #milliseconds(step: number): number {
    return (this.#estimates[step] ?? 0) * (this.#corrections[step] || this.#correction || 1);
  }

  #range(step: number): number {
    return this.#ranges[step] ?? 0;
  }

  /** The part of a step that lies from the position on. */
  #share({ step, iteration }: Position): number {
    return iteration === 0 ? 1 : 1 - iteration / this.#range(step);
  }
}
