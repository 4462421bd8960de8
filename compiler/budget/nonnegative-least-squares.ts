/**
 * Coefficients x >= 0 with the least |A x - b|: the active-set method of Lawson and Hanson, Solving Least Squares Problems
 * (1974), chapter 23. For small, dense problems; columns should have comparable magnitudes.
 */

const mostRounds = 200;

/** `rows[i]` has one entry per coefficient; `target[i]` is what they should sum to. */
export function nonnegativeLeastSquares(
  rows: readonly (readonly number[])[],
  target: readonly number[],
): readonly number[] {
  const columns = rows[0]?.length ?? 0;
  let x: readonly number[] = new Array<number>(columns).fill(0);
  const passive = new Set<number>();
  for (let round = 0; round < mostRounds; round++) {
    const gradient = gradientOf(rows, target, x);
    const scale = Math.max(1e-12, ...target.map(Math.abs)) * 1e-9;
    const candidate = bestIndex(gradient, (index) => !passive.has(index));
    if (candidate === undefined || (gradient[candidate] as number) <= scale) return x;
    passive.add(candidate);
    for (;;) {
      const solution = leastSquares(rows, target, [...passive], columns);
      const negative = [...passive].filter((index) => (solution[index] as number) <= 0);
      if (negative.length === 0) {
        x = solution;
        break;
      }
      const share = Math.min(
        ...negative.map(
          (index) => (x[index] as number) / Math.max(1e-300, (x[index] as number) - (solution[index] as number)),
        ),
      );
      x = x.map((value, index) => value + share * ((solution[index] as number) - value));
      for (const index of negative) if ((x[index] as number) <= 1e-300) passive.delete(index);
      if (passive.size === 0) break;
      x = x.map((value, index) => (passive.has(index) ? value : 0));
    }
  }
  return x;
}

const dot = (left: readonly number[], right: readonly number[]): number =>
  left.reduce((sum, value, index) => sum + value * (right[index] as number), 0);

/** A^T (b - A x). */
function gradientOf(
  rows: readonly (readonly number[])[],
  target: readonly number[],
  x: readonly number[],
): readonly number[] {
  const residual = rows.map((row, index) => (target[index] as number) - dot(row, x));
  return x.map((_, column) => rows.reduce((sum, row, i) => sum + (row[column] as number) * (residual[i] as number), 0));
}

function bestIndex(values: readonly number[], allowed: (index: number) => boolean): number | undefined {
  let best: number | undefined;
  values.forEach((value, index) => {
    if (allowed(index) && (best === undefined || value > (values[best] as number))) best = index;
  });
  return best;
}

/** Over the columns `chosen` alone, by the normal equations; the others are 0. */
function leastSquares(
  rows: readonly (readonly number[])[],
  target: readonly number[],
  chosen: readonly number[],
  columns: number,
): readonly number[] {
  const matrix = chosen.map((left) => [
    ...chosen.map((right) => rows.reduce((sum, row) => sum + (row[left] as number) * (row[right] as number), 0)),
    rows.reduce((sum, row, i) => sum + (row[left] as number) * (target[i] as number), 0),
  ]);
  const size = chosen.length;
  for (let pivot = 0; pivot < size; pivot++) {
    const row = matrix[pivot] as number[];
    // Normal equations are positive semidefinite; a column that repeats others gets nothing.
    if (Math.abs(row[pivot] as number) < 1e-18) continue;
    for (let other = 0; other < size; other++) {
      if (other === pivot) continue;
      const line = matrix[other] as number[];
      const factor = (line[pivot] as number) / (row[pivot] as number);
      for (let k = pivot; k <= size; k++) line[k] = (line[k] as number) - factor * (row[k] as number);
    }
  }
  const x = new Array<number>(columns).fill(0);
  chosen.forEach((column, i) => {
    const row = matrix[i] as number[];
    const pivot = row[i] as number;
    x[column] = Math.abs(pivot) < 1e-18 ? 0 : (row[size] as number) / pivot;
  });
  return x;
}
