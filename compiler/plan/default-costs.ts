/** Rates measured on one x86-64 host: work per nanosecond of every variant. */
import type { CostTable } from "./cost-table.ts";

export const defaultCosts: CostTable = {
  host: "x86-64, 2 cores; products in Chromium 156 on wasm-relaxed, the rest in Node 20",
  rates: {
    "attention/6x8": 22,
    "attention/4x8": 20,
    "attention/stream": 22,
    "conv/6x8": 28,
    "conv/5x8": 26.8,
    "conv/4x8": 26.8,
    "conv/2x16": 26,
    "conv/8x4": 22.5,
    "conv-transpose/6x8": 26,
    "conv-transpose/4x8": 25,
    "depthwise/4x8": 20,
    "matmul/6x8": 28,
    "matmul/4x8": 26,
    "matmul/vector 1": 16.5,
    "matmul/vector 2": 24.8,
    "matmul/vector 3": 25.6,
    "matmul/vector 4": 24.8,
    "matmul/vector 5": 26,
    "norm/rows": 2.9,
    "pool/channels": 12,
    "reduce/columns": 14,
    "reduce/rows": 19,
    "softmax/columns": 0.6,
    "softmax/rows": 1.1,
  },
  stepOverhead: 30,
};
