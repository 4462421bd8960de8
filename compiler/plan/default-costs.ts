/** Rates measured on one x86-64 host: work per nanosecond of every variant. */
import type { CostTable } from "./cost-table.ts";

export const defaultCosts: CostTable = {
  host: "x86-64, 2 cores, Node 20",
  rates: {
    "norm/rows": 2.9,
    "pool/channels": 12,
    "reduce/columns": 14,
    "reduce/rows": 19,
    "softmax/columns": 0.6,
    "softmax/rows": 1.1,
  },
  stepOverhead: 30,
};
