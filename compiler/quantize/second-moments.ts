/**
 * The second moments H = E[x x'] of a layer's input, made ready to weigh rounding errors: damped, so that directions the samples
 * hardly show count a little, and factorised as H = (I + U) D (I + U)' with U strictly upper triangular.
 */
/** Matrices in single precision, which is half the way from memory; they were found in double. */
export interface SecondMoments {
  readonly size: number;
  /** Row-major. */
  readonly matrix: Float32Array;
  /** U, row-major; zeros on and below the diagonal. */
  readonly upper: Float32Array;
  /** The diagonal of D, all positive. */
  readonly pivots: Float64Array;
}

/** Added to the diagonal, as a share of its mean: few samples, or text of a model's own, need more than GPTQ's 0.01. */
const damping = 0.05;
/** A pivot that rounding errors have eaten up is at least this share of what was added. */
const leastPivot = 1e-3;

export function prepareMoments(moments: Float64Array, size: number): SecondMoments {
  const matrix = moments.slice();
  let trace = 0;
  for (let i = 0; i < size; i++) trace += moments[i * size + i] as number;
  // An input that is always zero: any rounding will do, so all weights count alike.
  const added = damping * (trace / size) || 1;
  for (let i = 0; i < size; i++) matrix[i * size + i] = (matrix[i * size + i] as number) + added;
  const upper = matrix.slice();
  const pivots = new Float64Array(size);
  for (let c = size - 1; c >= 0; c--) {
    const pivot = Math.max(upper[c * size + c] as number, leastPivot * added);
    pivots[c] = pivot;
    for (let i = 0; i < c; i++) {
      const scaled = (upper[i * size + c] as number) / pivot;
      if (scaled === 0) continue;
      // Row c mirrors column c, so that the inner loop runs along rows.
      for (let j = i; j < c; j++)
        upper[i * size + j] = (upper[i * size + j] as number) - scaled * (upper[c * size + j] as number);
    }
    for (let i = 0; i < c; i++) upper[i * size + c] = (upper[i * size + c] as number) / pivot;
    // What is left of the rows above has to be mirrored into row c - 1 before it is next.
    for (let i = 0; i < c - 1; i++) upper[(c - 1) * size + i] = upper[i * size + c - 1] as number;
  }
  for (let i = 0; i < size; i++) upper.fill(0, i * size, i * size + i + 1);
  return { size, matrix: Float32Array.from(matrix), upper: Float32Array.from(upper), pivots };
}
