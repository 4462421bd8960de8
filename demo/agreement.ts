/** How far two engines' outputs are apart. */
import type { Tensor } from "../runtime/index.ts";

export interface Agreement {
  /** Largest |a - b| over all outputs, as a share of the largest |b| of its output. */
  readonly relativeError: number;
  /** |a - b| <= 1e-4 max|b| + 1e-3 |b| everywhere, same shapes: what `leafcutter verify` asks of a float32 package. */
  readonly close: boolean;
  /** Why the outputs cannot be compared. */
  readonly mismatch?: string;
}

const sameShape = (left: readonly number[], right: readonly number[]): boolean =>
  left.length === right.length && left.every((extent, axis) => extent === right[axis]);

function compare(ours: Tensor, theirs: Tensor): Agreement {
  let largest = 0;
  for (const value of theirs.data)
    if (Number.isFinite(Number(value))) largest = Math.max(largest, Math.abs(Number(value)));
  let [error, close] = [0, true];
  for (let i = 0; i < theirs.data.length; i++) {
    const [a, b] = [Number(ours.data[i]), Number(theirs.data[i])];
    if (Object.is(a, b) || a === b) continue;
    const difference = Math.abs(a - b);
    if (!(difference <= 1e-4 * largest + 1e-3 * Math.abs(b))) close = false;
    error = Math.max(error, Number.isFinite(difference) ? difference / (largest || 1) : Number.POSITIVE_INFINITY);
  }
  return { relativeError: error, close };
}

/** Compares outputs by name; `theirs` is the reference. */
export function agreementOf(
  ours: Readonly<Record<string, Tensor>>,
  theirs: Readonly<Record<string, Tensor>>,
): Agreement {
  const results = Object.entries(theirs).map(([name, tensor]): Agreement => {
    const own = ours[name];
    if (own !== undefined && sameShape(own.shape, tensor.shape)) return compare(own, tensor);
    const received =
      own === undefined ? "is missing" : `is [${own.shape.join(", ")}] instead of [${tensor.shape.join(", ")}]`;
    return { relativeError: Number.POSITIVE_INFINITY, close: false, mismatch: `output ${name} ${received}` };
  });
  const mismatch = results.find((result) => result.mismatch !== undefined)?.mismatch;
  return {
    relativeError: Math.max(0, ...results.map(({ relativeError }) => relativeError)),
    close: results.every(({ close }) => close),
    ...(mismatch === undefined ? {} : { mismatch }),
  };
}
