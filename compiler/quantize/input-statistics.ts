/** What is known of the input of one product with constant weights, in the order of WeightMatrix's columns. */
export interface InputStatistics {
  /** Mean of x_i^2, one per column. */
  readonly meanSquares: Float64Array;
  /** Mean of x_i x_j, row-major, columns by columns; absent when only the mean squares are known. */
  readonly moments?: Float64Array;
}
