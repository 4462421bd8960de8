/**
 * Whether two sets of outputs agree: same names, dtypes and shapes; NaN and infinities in the same places;
 * |a - b| <= 1e-4 max|b| + 1e-3 |b| and cosine >= 0.9999 for floats; integers and bools exactly.
 */
import { isFloat } from "../runtime/format/dtype.ts";
import { bfloat16ToNumber, float16ToNumber } from "../runtime/format/half.ts";
import type { Tensor } from "../runtime/format/tensor.ts";

export interface Agreement {
  /** Undefined when the outputs agree; else the first difference in words. */
  readonly difference: string | undefined;
  /** Largest |a - b| / max|b| over all outputs. */
  readonly largestError: number;
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

/** Compares `received` with `expected`, output by output of `expected`. */
export function compareOutputs(
  received: Readonly<Record<string, Tensor>>,
  expected: Readonly<Record<string, Tensor>>,
): Agreement {
  let largestError = 0;
  let difference: string | undefined;
  for (const [name, wanted] of Object.entries(expected)) {
    const got = received[name];
    const result = got ? compareTensors(got, wanted) : { difference: "is missing", error: Number.POSITIVE_INFINITY };
    largestError = Math.max(largestError, result.error);
    if (result.difference !== undefined) difference ??= `output ${name} ${result.difference}`;
  }
  return { difference, largestError };
}

interface TensorAgreement {
  readonly difference: string | undefined;
  readonly error: number;
}

function compareTensors(got: Tensor, wanted: Tensor): TensorAgreement {
  const form = ({ dtype, shape }: Tensor): string => `${dtype} [${shape.join(", ")}]`;
  if (form(got) !== form(wanted)) {
    return { difference: `is ${form(got)}, expected ${form(wanted)}`, error: Number.POSITIVE_INFINITY };
  }
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
