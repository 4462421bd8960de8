/** The cost table used unless another one is given. */
import type { CostTable } from "./cost-table.ts";

export const defaultCosts: CostTable = { host: "none measured", rates: {}, stepOverhead: 50 };
