/**
 * The multiple-choice knapsack that a budget is: one choice for every item, the least sum of one quantity while the sums
 * of others stay within capacities. Which quantities there are (bytes, nanoseconds, joules, loss) is the caller's affair.
 */

/** One amount for every quantity; smaller is better for all of them. */
export type Amounts = readonly number[];

export interface ChoiceProblem {
  /** [item][choice] */
  readonly items: readonly (readonly Amounts[])[];
  /** Index of the quantity whose sum is to be least. */
  readonly objective: number;
  /** Most of every quantity; Infinity where there is no limit. */
  readonly capacities: Amounts;
}

/** The sums of every quantity over the choices `picks`, added in the order of the items. */
export function sumsOf(items: ChoiceProblem["items"], picks: readonly number[], quantities: number): number[] {
  const sums = new Array<number>(quantities).fill(0);
  items.forEach((choices, item) => {
    const amounts = choices[picks[item] ?? 0] as Amounts;
    for (let k = 0; k < quantities; k++) sums[k] = (sums[k] as number) + (amounts[k] as number);
  });
  return sums;
}

export const fits = (sums: Amounts, capacities: Amounts): boolean =>
  sums.every((sum, k) => sum <= (capacities[k] as number));

/** Indices of one item's choices that no other choice beats or equals in every quantity that matters, in their order. */
export function undominated(choices: readonly Amounts[], quantities: readonly number[]): readonly number[] {
  const beats = (left: Amounts, right: Amounts): boolean =>
    quantities.every((k) => (left[k] as number) <= (right[k] as number));
  return choices.flatMap((choice, at) => {
    const beaten = choices.some(
      (other, index) => index !== at && beats(other, choice) && (!beats(choice, other) || index < at),
    );
    return beaten ? [] : [at];
  });
}
