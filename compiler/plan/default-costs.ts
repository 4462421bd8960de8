/** Rates measured on one x86-64 host: work per nanosecond of every variant. */
import type { CostTable } from "./cost-table.ts";

export const defaultCosts: CostTable = {
  host: "x86-64, 2 cores, Node 22",
  rates: {
    "norm/rows": 1.5,
    "pool/channels": 4,
    "reduce/columns": 3,
    "reduce/rows": 3,
    "softmax/columns": 0.6,
    "softmax/rows": 1,
  },
  stepOverhead: 30,
};
