/**
 * The cost table: how fast each variant of each family runs on a host, measured by `leafcutter bench kernels`.
 * A file and an input of the compile: nothing is timed while compiling.
 */

export interface CostTable {
  readonly host: string;
  /** Work (as the family counts it) per nanosecond, by "family/variant". Variants without an entry are not chosen while another has one. */
  readonly rates: Readonly<Record<string, number>>;
  /** Nanoseconds of entering one step. */
  readonly stepOverhead: number;
}

/** Nanoseconds that `work` takes; undefined when the table does not know the variant. */
export function costOf(table: CostTable, family: string, variant: string, work: number): number | undefined {
  const rate = table.rates[`${family}/${variant}`];
  return rate === undefined ? undefined : table.stepOverhead + work / rate;
}
