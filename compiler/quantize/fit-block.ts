/**
 * The scale and the zero of one block that lose least: minimum over both of sum(importance * (value - rounded)^2), searched
 * over clipped ranges and then alternately refined (the best scale for given steps, the nearest steps for that scale).
 */
import { float16ToNumber, numberToFloat16 } from "../../runtime/format/half.ts";
import { nf4Code } from "../graph/nf4.ts";

export type CodeKind = "int4" | "int4 symmetric" | "nf4";

export interface BlockFit {
  /** A float16 number, not zero; negative where that fits a lopsided block better. */
  readonly scale: number;
  /** The step of value 0 (int4). */
  readonly zero: number;
}

/** Shares of the whole range that are tried as the range of the steps; values beyond it are clipped. */
const clippings: readonly number[] = [1.06, 1.03, 1, 0.97, 0.94, 0.91, 0.88, 0.85, 0.81, 0.77, 0.72];
/** Alternations of steps and scale; they settle in two or three. */
const mostRefinements = 6;
export const symmetricZero = 8;

const midpoints: readonly number[] = nf4Code.slice(1).map((code, i) => (code + (nf4Code[i] as number)) / 2);

/** Index of the code nearest to `value` (already divided by the scale). */
export function nearestCode(value: number): number {
  let index = 0;
  for (let half = 8; half > 0; half >>= 1) if (value > (midpoints[index + half - 1] as number)) index += half;
  return index;
}

/** The step nearest to `value` (already divided by the scale), as its distance from zero. */
export function nearestStep(value: number, zero: number): number {
  const step = Math.round(value);
  return step < -zero ? -zero : step > 15 - zero ? 15 - zero : step;
}

/** The nearest float16 number; undefined when it is zero or infinite. */
export function toScale(value: number): number | undefined {
  const scale = float16ToNumber(numberToFloat16(value));
  return scale !== 0 && Number.isFinite(scale) ? scale : undefined;
}

/** Fits `values[start…end)`; undefined where a scale would overflow float16. `importance` is per value, undefined for all alike. */
export function fitBlock(
  values: ArrayLike<number>,
  importance: ArrayLike<number> | undefined,
  start: number,
  end: number,
  kind: CodeKind,
): BlockFit | undefined {
  let least = 0;
  let most = 0;
  for (let i = start; i < end; i++) {
    const value = values[i] as number;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  let best: BlockFit | undefined;
  let leastError = Infinity;
  const consider = (scale: number, zero: number): void => {
    const error = errorOf(values, importance, start, end, kind, scale, zero, leastError);
    if (error < leastError) {
      leastError = error;
      best = { scale, zero };
    }
  };
  const magnitude = Math.max(most, -least);
  if (magnitude > 0)
    for (const clipping of clippings) {
      switch (kind) {
        case "int4": {
          const scale = (clipping * (most - least)) / 15;
          const zero = Math.round(7.5 - (most + least) / (2 * scale));
          for (let z = Math.max(0, zero - 1); z <= Math.min(15, zero + 1); z++) consider(scale, z);
          break;
        }
        case "int4 symmetric":
          // The step -8 goes to the side that reaches farther.
          consider(((most > -least ? -1 : 1) * clipping * magnitude) / 8, symmetricZero);
          consider((clipping * magnitude) / 7, symmetricZero);
          break;
        case "nf4":
          consider(clipping * magnitude, symmetricZero);
          consider(-clipping * magnitude, symmetricZero);
          break;
      }
    }
  const ideal: BlockFit | undefined = best;
  const nearest = ideal && toScale(ideal.scale);
  best = undefined;
  leastError = Infinity;
  if (ideal && nearest !== undefined) consider(nearest, ideal.zero);
  // Nothing is left of values below the smallest float16, but a block needs a scale to divide by.
  if (!best) return magnitude < 1 ? { scale: 1, zero: kind === "int4" ? 0 : symmetricZero } : undefined;
  for (let round = 0; round < mostRefinements; round++) {
    const { scale, zero }: BlockFit = best;
    const before: number = leastError;
    const refined = toScale(bestScale(values, importance, start, end, kind, scale, zero));
    if (refined !== undefined) consider(refined, zero);
    if (!(leastError < before)) break;
  }
  return best;
}

/** Gives up (with a larger value) once the error exceeds `limit`. */
function errorOf(
  values: ArrayLike<number>,
  importance: ArrayLike<number> | undefined,
  start: number,
  end: number,
  kind: CodeKind,
  scale: number,
  zero: number,
  limit: number,
): number {
  const inverse = 1 / scale;
  let error = 0;
  for (let i = start; i < end; i++) {
    const value = values[i] as number;
    const level =
      kind === "nf4" ? (nf4Code[nearestCode(value * inverse)] as number) : nearestStep(value * inverse, zero);
    const difference = value - scale * level;
    error += importance ? (importance[i] as number) * difference * difference : difference * difference;
    if (error > limit) return error;
  }
  return error;
}

/** The least-squares scale for the levels that `scale` gives. */
function bestScale(
  values: ArrayLike<number>,
  importance: ArrayLike<number> | undefined,
  start: number,
  end: number,
  kind: CodeKind,
  scale: number,
  zero: number,
): number {
  const inverse = 1 / scale;
  let products = 0;
  let squares = 0;
  for (let i = start; i < end; i++) {
    const value = values[i] as number;
    const level =
      kind === "nf4" ? (nf4Code[nearestCode(value * inverse)] as number) : nearestStep(value * inverse, zero);
    const weight = importance ? (importance[i] as number) : 1;
    products += weight * value * level;
    squares += weight * level * level;
  }
  return squares > 0 ? products / squares : scale;
}
