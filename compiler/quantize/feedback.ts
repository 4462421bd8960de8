/**
 * Rounds rows of weights in blocks so that the product with the input loses least: minimises e H e' over the steps, e the row's error
 * and H the input's second moments. Each column is rounded after the errors of those before it were made up for in its target
 * (GPTQ, Frantar et al. 2022, in the form of LDLQ, Chee et al. 2023); then single steps and scales change while that lowers
 * the loss (coordinate descent, QuantEase, Behdin et al. 2023).
 */
import { nf4Code } from "../graph/nf4.ts";
import { type BlockFit, type CodeKind, fitBlock, nearestCode, nearestStep, toScale } from "./fit-block.ts";
import type { SecondMoments } from "./second-moments.ts";

/** Scales tried beside the one that fits a block without feedback. */
const scaleFactors: readonly number[] = [0.93, 0.96, 0.98, 1.02, 1.04, 1.07];
const mostSweeps = 4;

/** A row being rounded; arrays are reused from row to row. */
export class RowRounder {
  readonly #moments: SecondMoments;
  readonly #code: CodeKind;
  readonly #blocks: readonly (readonly [start: number, end: number])[];
  /** What each column aims at, once the errors of those before it are made up for. */
  readonly #targets: Float64Array;
  readonly #tried: Float64Array;
  readonly #gradient: Float64Array;
  /** Results for the last row. Levels: q - zero, or the code's value. */
  readonly levels: Float64Array;
  readonly fits: BlockFit[] = [];

  constructor(moments: SecondMoments, code: CodeKind, blocks: readonly (readonly [start: number, end: number])[]) {
    this.#moments = moments;
    this.#code = code;
    this.#blocks = blocks;
    this.#targets = new Float64Array(moments.size);
    this.#tried = new Float64Array(moments.size);
    this.#gradient = new Float64Array(moments.size);
    this.levels = new Float64Array(moments.size);
  }

  /** False where a scale would overflow float16. */
  round(row: Float32Array): boolean {
    this.#targets.set(row);
    for (const [block, [start, end]] of this.#blocks.entries()) {
      const blind = fitBlock(this.#targets, this.#moments.pivots, start, end, this.#code);
      if (!blind) return false;
      const fit = this.#search(row, start, end, blind);
      this.fits[block] = fit;
      this.#commit(row, start, end, fit);
    }
    this.#startGradient();
    this.#descend();
    this.#refitScales();
    this.#descend();
    return true;
  }

  #levelOf(value: number, { scale, zero }: BlockFit): number {
    return this.#code === "nf4" ? (nf4Code[nearestCode(value / scale)] as number) : nearestStep(value / scale, zero);
  }

  /** The scale and zero near `blind` that are best when errors within the block are made up for, too. */
  #search(row: Float32Array, start: number, end: number, blind: BlockFit): BlockFit {
    let best = blind;
    let least = Infinity;
    const consider = (scale: number | undefined, zero: number): void => {
      if (scale === undefined || zero < 0 || zero > 15) return;
      const loss = this.#lossOf(row, start, end, { scale, zero }, least);
      if (loss >= least) return;
      least = loss;
      best = { scale, zero };
    };
    const { scale, zero } = blind;
    for (const shift of this.#code === "int4" ? [0, -1, 1] : [0]) consider(scale, zero + shift);
    for (const factor of scaleFactors) consider(toScale(scale * factor), best.zero);
    return best;
  }

  #lossOf(row: Float32Array, start: number, end: number, fit: BlockFit, limit: number): number {
    const { size, upper, pivots } = this.#moments;
    const tried = this.#tried;
    for (let c = start; c < end; c++) tried[c] = this.#targets[c] as number;
    let loss = 0;
    for (let c = start; c < end; c++) {
      const rounded = this.#levelOf(tried[c] as number, fit) * fit.scale;
      loss += (pivots[c] as number) * ((tried[c] as number) - rounded) ** 2;
      if (loss >= limit) break;
      const error = (row[c] as number) - rounded;
      const at = c * size;
      for (let j = c + 1; j < end; j++) tried[j] = (tried[j] as number) + error * (upper[at + j] as number);
    }
    return loss;
  }

  /** Rounds the block; its targets become what its columns still lack (target - rounded). */
  #commit(row: Float32Array, start: number, end: number, fit: BlockFit): void {
    const { size, upper } = this.#moments;
    const targets = this.#targets;
    const errors = this.#tried;
    for (let c = start; c < end; c++) {
      const level = this.#levelOf(targets[c] as number, fit);
      this.levels[c] = level;
      const error = (row[c] as number) - level * fit.scale;
      errors[c] = error;
      targets[c] = (targets[c] as number) - level * fit.scale;
      const at = c * size;
      for (let j = c + 1; j < end; j++) targets[j] = (targets[j] as number) + error * (upper[at + j] as number);
    }
    addRows(targets, end, upper, size, errors, start, end);
  }

  /** H e = (I + U) D (I + U)' e, and (I + U)' e is what the columns lack. */
  #startGradient(): void {
    const { size, upper, pivots } = this.#moments;
    const weighted = this.#tried;
    for (let c = 0; c < size; c++) weighted[c] = (pivots[c] as number) * (this.#targets[c] as number);
    for (let i = 0; i < size; i++) {
      const at = i * size;
      // Two sums: one alone would wait for itself at every addition. U is zero up to the diagonal.
      let [even, odd] = [0, 0];
      let c = i + 1;
      for (; c + 1 < size; c += 2) {
        even += (upper[at + c] as number) * (weighted[c] as number);
        odd += (upper[at + c + 1] as number) * (weighted[c + 1] as number);
      }
      if (c < size) even += (upper[at + c] as number) * (weighted[c] as number);
      this.#gradient[i] = (weighted[i] as number) + even + odd;
    }
  }

  #descend(): void {
    for (let sweep = 0; sweep < mostSweeps; sweep++) if (!this.#sweep()) break;
  }

  /** Each block's best scale for its steps, given all other blocks. */
  #refitScales(): void {
    const { size, matrix } = this.#moments;
    const { levels } = this;
    const gradient = this.#gradient;
    for (const [block, [start, end]] of this.#blocks.entries()) {
      const fit = this.fits[block] as BlockFit;
      let slope = 0;
      let curvature = 0;
      for (let c = start; c < end; c++) {
        let image = 0;
        const at = c * size;
        for (let j = start; j < end; j++) image += (matrix[at + j] as number) * (levels[j] as number);
        slope += (levels[c] as number) * (gradient[c] as number);
        curvature += (levels[c] as number) * image;
      }
      const scale = curvature > 0 ? toScale(fit.scale + slope / curvature) : undefined;
      // A scale of the other sign would ask for other steps.
      if (scale === undefined || scale * fit.scale < 0) continue;
      this.fits[block] = { ...fit, scale };
      const changes = this.#tried;
      for (let c = start; c < end; c++) changes[c] = (fit.scale - scale) * (levels[c] as number);
      addRows(gradient, 0, matrix, size, changes, start, end);
    }
  }

  /** Moves every column to its best step, given all others; whether any moved. */
  #sweep(): boolean {
    const { size, matrix } = this.#moments;
    const gradient = this.#gradient;
    let moved = false;
    for (const [block, [start, end]] of this.#blocks.entries()) {
      const fit = this.fits[block] as BlockFit;
      for (let c = start; c < end; c++) {
        const at = c * size;
        const old = this.levels[c] as number;
        const best = this.#levelOf(old * fit.scale + (gradient[c] as number) / (matrix[at + c] as number), fit);
        if (best === old) continue;
        moved = true;
        this.levels[c] = best;
        const change = (best - old) * fit.scale;
        for (let j = 0; j < size; j++) gradient[j] = (gradient[j] as number) - change * (matrix[at + j] as number);
      }
    }
    return moved;
  }
}

/** target[j] += sum over c in start…end of factors[c] * matrix[c][j], for j from `from`. Four rows at a time. */
function addRows(
  target: Float64Array,
  from: number,
  matrix: Float32Array,
  size: number,
  factors: Float64Array,
  start: number,
  end: number,
): void {
  let c = start;
  for (; c + 3 < end; c += 4) {
    const a = factors[c] as number;
    const b = factors[c + 1] as number;
    const d = factors[c + 2] as number;
    const e = factors[c + 3] as number;
    let at = c * size + from;
    for (let j = from; j < size; j++, at++) {
      target[j] =
        (target[j] as number) +
        (a * (matrix[at] as number) +
          b * (matrix[at + size] as number) +
          (d * (matrix[at + 2 * size] as number) + e * (matrix[at + 3 * size] as number)));
    }
  }
  for (; c < end; c++) {
    const factor = factors[c] as number;
    for (let j = from; j < size; j++) target[j] = (target[j] as number) + factor * (matrix[c * size + j] as number);
  }
}
