/**
 * Whether two sets of outputs agree: same names, dtypes and shapes; NaN and infinities in the same places;
 * |a - b| <= 1e-4 max|b| + 1e-3 |b| and cosine >= 0.9999 for floats; integers and bools exactly.
 * Outputs of quantised models by steps of their last rounding: 90 % within one step, 99 % within three, all within eight,
 * and cosine >= 0.999.
 */
import { isFloat } from "../runtime/format/dtype.ts";
import { bfloat16ToNumber, float16ToNumber } from "../runtime/format/half.ts";
import type { Tensor } from "../runtime/format/tensor.ts";
import type { OutputSteps } from "./quantisation-steps.ts";

export interface Agreement {
  /** Undefined when the outputs agree; else the first difference in words. */
  readonly difference: string | undefined;
  /** Largest |a - b| / max|b| over all outputs. */
  readonly largestError: number;
  /** Quantised models: least share of an output's elements that are within one step. */
  readonly withinStep?: number;
}

const absolute = 1e-4;
const relative = 1e-3;
const leastCosine = 0.9999;

type Numbers = ArrayLike<number>;

function numbersOf({ dtype, data }: Tensor): Numbers {
  if (dtype === "float16") return Array.from(data as Uint16Array, float16ToNumber);
  if (dtype === "bfloat16") return Array.from(data as Uint16Array, bfloat16ToNumber);
  return dtype === "int64" || dtype === "uint64" ? Array.from(data as BigInt64Array, Number) : (data as Float32Array);
}

/** Compares `received` with `expected`, output by output of `expected`; by steps when the model is quantised. */
export function compareOutputs(
  received: Readonly<Record<string, Tensor>>,
  expected: Readonly<Record<string, Tensor>>,
  steps?: OutputSteps,
): Agreement {
  let largestError = 0;
  let difference: string | undefined;
  let withinStep = 1;
  for (const [name, wanted] of Object.entries(expected)) {
    const got = received[name];
    const result: TensorAgreement = got
      ? compareTensors(got, wanted, steps && { step: steps[name] })
      : { difference: "is missing", error: Number.POSITIVE_INFINITY };
    largestError = Math.max(largestError, result.error);
    withinStep = Math.min(withinStep, result.withinStep ?? 1);
    if (result.difference !== undefined) difference ??= `output ${name} ${result.difference}`;
  }
  return { difference, largestError, ...(steps ? { withinStep } : {}) };
}

interface TensorAgreement {
  readonly difference: string | undefined;
  readonly error: number;
  readonly withinStep?: number;
}

/** How an output of a quantised model is graded; the step is not known where floats follow. */
interface Graded {
  readonly step: number | undefined;
}

function compareTensors(got: Tensor, wanted: Tensor, graded: Graded | undefined): TensorAgreement {
  const form = ({ dtype, shape }: Tensor): string => `${dtype} [${shape.join(", ")}]`;
  if (form(got) !== form(wanted)) {
    return { difference: `is ${form(got)}, expected ${form(wanted)}`, error: Number.POSITIVE_INFINITY };
  }
  if (graded && (isFloat(wanted.dtype) || graded.step !== undefined))
    return compareSteps(numbersOf(got), numbersOf(wanted), graded);
  return isFloat(wanted.dtype) ? compareFloats(numbersOf(got), numbersOf(wanted)) : compareIntegers(got, wanted);
}

function compareIntegers(got: Tensor, wanted: Tensor): TensorAgreement {
  for (let i = 0; i < wanted.data.length; i++) {
    if (got.data[i] !== wanted.data[i]) {
      return { difference: `[${i}] is ${got.data[i]}, expected ${wanted.data[i]}`, error: 1 };
    }
  }
  return { difference: undefined, error: 0 };
}

function compareFloats(got: Numbers, wanted: Numbers): TensorAgreement {
  let largest = 0;
  for (let i = 0; i < wanted.length; i++) {
    const magnitude = Math.abs(wanted[i] as number);
    if (Number.isFinite(magnitude)) largest = Math.max(largest, magnitude);
  }
  let worst = 0;
  let difference: string | undefined;
  let [dot, gotNorm, wantedNorm] = [0, 0, 0];
  for (let i = 0; i < wanted.length; i++) {
    const a = got[i] as number;
    const b = wanted[i] as number;
    if (!Number.isFinite(b) || !Number.isFinite(a)) {
      if (!Object.is(a, b)) {
        difference ??= `[${i}] is ${a}, expected ${b}`;
        worst = Number.POSITIVE_INFINITY;
      }
      continue;
    }
    const error = Math.abs(a - b);
    if (error > absolute * largest + relative * Math.abs(b))
      difference ??= `[${i}] is ${a}, expected ${b} (largest ${largest})`;
    worst = Math.max(worst, largest === 0 ? error : error / largest);
    dot += a * b;
    gotNorm += a * a;
    wantedNorm += b * b;
  }
  const norms = Math.sqrt(gotNorm * wantedNorm);
  const cosine = norms === 0 ? (gotNorm === wantedNorm ? 1 : 0) : dot / norms;
  if (cosine < leastCosine) difference ??= `has cosine ${cosine.toFixed(6)}, expected at least ${leastCosine}`;
  return { difference, error: worst };
}

/** Share of the elements that have to be within so many steps. */
const shares: readonly (readonly [steps: number, share: number])[] = [
  [1, 0.9],
  [3, 0.99],
  [8, 1],
];
const leastGradedCosine = 0.999;
/** Steps between 0 and the largest value where the model does not say: those of int8. */
const stepsToLargest = 127;
/** Float noise on top of whole steps. */
const slack = 1 + 1e-3;

function compareSteps(got: Numbers, wanted: Numbers, { step }: Graded): TensorAgreement {
  const { difference, error } = compareFloats(got, wanted);
  if (difference === undefined || error === Number.POSITIVE_INFINITY) return { difference, error };
  let largest = 0;
  let [dot, gotNorm, wantedNorm] = [0, 0, 0];
  for (let i = 0; i < wanted.length; i++) {
    const [a, b] = [got[i] as number, wanted[i] as number];
    if (!Number.isFinite(a)) continue;
    largest = Math.max(largest, Math.abs(b));
    dot += a * b;
    gotNorm += a * a;
    wantedNorm += b * b;
  }
  const unit = slack * (step ?? largest / stepsToLargest);
  const shareOf = (steps: number): number => {
    let count = 0;
    for (let i = 0; i < wanted.length; i++)
      if (!Number.isFinite(got[i]) || Math.abs((got[i] as number) - (wanted[i] as number)) <= steps * unit) count++;
    return count / wanted.length;
  };
  const withinStep = shareOf(1);
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  for (const [steps, share] of shares) {
    if (shareOf(steps) >= share) continue;
    const message = `has ${percent(shareOf(steps))} within ${steps} steps of ${unit.toPrecision(3)}, expected ${percent(share)}`;
    return { difference: message, error, withinStep };
  }
  const cosine = dot / Math.sqrt(gotNorm * wantedNorm);
  const turned = cosine < leastGradedCosine;
  return {
    difference: turned ? `has cosine ${cosine.toFixed(6)}, expected at least ${leastGradedCosine}` : undefined,
    error,
    withinStep,
  };
}
