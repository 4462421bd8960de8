/** Schedules of the norm family. */
import type { Variant } from "../contract.ts";

/** Mean, variance and result in three sweeps over a contiguous row. */
export const normVariants: readonly Variant[] = [{ name: "rows" }];
