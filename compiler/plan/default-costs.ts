/**
 * Measured on one x86-64 host by `leafcutter profile`; `host` says which and how. For a compile that is given no profile of
 * the device it is for: choices between kernels differ little between hosts, times do.
 */
import type { CostTable } from "../kernels/cost-table.ts";

/** Rates of one variant by how the weights are stored, while those of float32 fit the caches: beyond, narrow ones are faster. */
const narrow = (variant: string, rates: Readonly<Record<"float16" | "int8" | "int4" | "nf4", number>>) =>
  Object.fromEntries(Object.entries(rates).map(([storage, rate]) => [`${variant} ${storage}`, rate]));

export const defaultCosts: CostTable = {
  host: "AMD EPYC (2 virtual cores), Chromium 156 on wasm-relaxed, 2026-11-24: of three runs of `leafcutter profile` the best time of every kernel, of the rest the median",
  rates: {
    "matmul/6x8": 28,
    "matmul/4x8": 26,
    "matmul/vector 1": 16.5,
    ...narrow("matmul/vector 1", { float16: 15.3, int8: 10.5, int4: 19, nf4: 15 }),
    "matmul/vector 2": 25.5,
    ...narrow("matmul/vector 2", { float16: 23.8, int8: 17.8, int4: 27, nf4: 22.5 }),
    "matmul/vector 3": 28,
    ...narrow("matmul/vector 3", { float16: 24, int8: 20.6, int4: 30, nf4: 26 }),
    "matmul/vector 4": 26.5,
    ...narrow("matmul/vector 4", { float16: 24.8, int8: 21.7, int4: 32, nf4: 27.3 }),
    "matmul/vector 5": 27.4,
    ...narrow("matmul/vector 5", { float16: 24.4, int8: 23, int4: 32.5, nf4: 28.5 }),
    "conv/6x8": {
      work: 0.0344,
    },
    "conv/5x8": {
      work: 0.0353,
    },
    "conv/4x8": {
      work: 0.0364,
    },
    "conv/2x16": {
      work: 0.036,
    },
    "conv/8x4": {
      work: 0.0411,
      tiles: 5.03,
      runs: 1.27,
    },
    "conv/winograd": {
      work: 0.0363,
      kernels: 18,
      outputs: 13.7,
    },
    "depthwise/4x8": {
      work: 0.0289,
      inputs: 0.0212,
    },
    "conv-transpose/6x8": {
      work: 0.0344,
      tiles: 4.03,
    },
    "conv-transpose/4x8": {
      work: 0.0365,
      tiles: 2.99,
    },
    "depthwise-i8/4x8": {
      work: 0.03,
    },
    "depthwise-i8/2x8": {
      work: 0.0414,
    },
    "conv-i8/4x8": {
      work: 0.0215,
    },
    "conv-i8/2x16": {
      work: 0.023,
    },
    "conv-i8/8x4": {
      work: 0.0233,
      runs: 1.14,
      inputs: 0.0185,
    },
    "conv-i8/winograd": {
      work: 0.0255,
      inputs: 0.259,
    },
    "conv-i8/vector 1": {
      work: 0.0251,
    },
    "matmul-i8/4x8": {
      work: 0.0326,
      tiles: 1.65,
    },
    "matmul-i8/2x16": {
      work: 0.0345,
    },
    "matmul-i8/vector 1": {
      work: 0.0256,
    },
    "matmul-i8/vector 2": {
      work: 0.0233,
    },
    "matmul-i8/vector 3": {
      work: 0.0276,
    },
    "matmul-i8/vector 4": {
      work: 0.0229,
    },
    "reduce/rows": {
      work: 0.0169,
    },
    "reduce/columns": {
      work: 0.0316,
    },
    "dynamic-quantize/whole": {
      work: 0.245,
    },
    "softmax/rows": {
      work: 0.51,
      rows: 4.83,
    },
    "softmax/columns": {
      work: 0.653,
    },
    "norm/rows": {
      work: 0.232,
      rows: 16.1,
    },
    "attention/6x8": {
      work: 0.019,
      scores: 2.44,
    },
    "attention/4x8": {
      work: 0.0165,
      scores: 2.2,
    },
    "attention/stream": {
      work: 0.0239,
      scores: 0.84,
    },
    "recurrent/1 row": {
      work: 0.0226,
      gates: 1.76,
    },
    "recurrent/2 rows": {
      work: 0.0444,
    },
    "recurrent/3 rows": {
      work: 0.0671,
    },
    "conv/6x8 float16": {
      work: 0.0355,
    },
    "conv/5x8 float16": {
      work: 0.0366,
      widened: 0.189,
    },
    "conv/4x8 float16": {
      work: 0.0387,
    },
    "conv/2x16 float16": {
      work: 0.0381,
      widened: 0.107,
    },
    "conv/8x4 float16": {
      work: 0.0423,
      tiles: 5.18,
      runs: 1.31,
      widened: 0.223,
    },
    "conv/winograd float16": {
      work: 0.0371,
      kernels: 18.4,
      outputs: 14,
    },
    "conv/6x8 int8": {
      work: 0.0359,
    },
    "conv/5x8 int8": {
      work: 0.0369,
    },
    "conv/4x8 int8": {
      work: 0.0376,
      widened: 0.04,
    },
    "conv/2x16 int8": {
      work: 0.0374,
      widened: 0.0803,
    },
    "conv/8x4 int8": {
      work: 0.0424,
      tiles: 5.19,
      runs: 1.31,
      widened: 0.119,
    },
    "conv/winograd int8": {
      work: 0.0378,
      kernels: 18.7,
      outputs: 14.3,
    },
    "conv/6x8 int4": {
      work: 0.0356,
    },
    "conv/5x8 int4": {
      work: 0.0369,
      widened: 0.0756,
    },
    "conv/4x8 int4": {
      work: 0.0383,
      widened: 0.00872,
    },
    "conv/2x16 int4": {
      work: 0.037,
      widened: 0.405,
    },
    "conv/8x4 int4": {
      work: 0.0432,
      tiles: 5.28,
      runs: 1.33,
    },
    "conv/winograd int4": {
      work: 0.0384,
      kernels: 19.1,
      outputs: 14.5,
    },
    "conv/6x8 nf4": {
      work: 0.0356,
      widened: 0.139,
    },
    "conv/5x8 nf4": {
      work: 0.0367,
      widened: 0.0483,
    },
    "conv/4x8 nf4": {
      work: 0.0374,
      widened: 0.075,
    },
    "conv/2x16 nf4": {
      work: 0.0373,
      widened: 0.277,
    },
    "conv/8x4 nf4": {
      work: 0.0422,
      tiles: 5.16,
      runs: 1.3,
      widened: 0.0107,
    },
    "conv/winograd nf4": {
      work: 0.0377,
      kernels: 18.7,
      outputs: 14.2,
    },
    "depthwise/4x8 float16": {
      work: 0.0318,
      inputs: 0.0233,
    },
    "depthwise/4x8 int8": {
      work: 0.0318,
      inputs: 0.0233,
    },
    "conv-i8/4x8 7-bit": {
      work: 0.0219,
    },
    "conv-i8/2x16 7-bit": {
      work: 0.0216,
    },
    "conv-i8/8x4 7-bit": {
      work: 0.0232,
      runs: 1.27,
    },
    "conv-i8/winograd 7-bit": {
      work: 0.0255,
      inputs: 0.135,
    },
    "conv-i8/vector 1 7-bit": {
      work: 0.0147,
    },
    "conv-transpose/6x8 float16": {
      work: 0.0345,
      tiles: 4.04,
    },
    "conv-transpose/4x8 float16": {
      work: 0.0367,
      tiles: 3.01,
    },
    "conv-transpose/6x8 int8": {
      work: 0.0344,
      tiles: 4.03,
    },
    "conv-transpose/4x8 int8": {
      work: 0.0366,
      tiles: 3,
    },
    "matmul-i8/4x8 7-bit": {
      work: 0.02,
      tiles: 4.94,
    },
    "matmul-i8/2x16 7-bit": {
      work: 0.0185,
      outputs: 0.111,
      inputs: 0.142,
    },
    "matmul-i8/vector 1 7-bit": {
      work: 0.0153,
    },
    "matmul-i8/vector 2 7-bit": {
      work: 0.0188,
    },
    "matmul-i8/vector 3 7-bit": {
      work: 0.0198,
    },
    "matmul-i8/vector 4 7-bit": {
      work: 0.0203,
    },
    "pool/channels": {
      work: 0.0688,
    },
    "pool/channels max": {
      work: 0.0688,
    },
    "pool/channels max uint8": {
      work: 0.0482,
    },
    "pool/channels average": {
      work: 0.0442,
    },
  },
  stepOverhead: 4.41,
  run: {
    fixed: 3130,
    input: [
      {
        bytes: 4,
        nanoseconds: 996,
      },
      {
        bytes: 16400,
        nanoseconds: 11700,
      },
      {
        bytes: 262000,
        nanoseconds: 149000,
      },
      {
        bytes: 2100000,
        nanoseconds: 1140000,
      },
    ],
    output: [
      {
        bytes: 4,
        nanoseconds: 636,
      },
      {
        bytes: 16400,
        nanoseconds: 10600,
      },
      {
        bytes: 262000,
        nanoseconds: 135000,
      },
      {
        bytes: 2100000,
        nanoseconds: 1160000,
      },
    ],
    slice: {
      every: 5000000,
      nanoseconds: 97500,
    },
  },
  bandwidth: [
    {
      footprint: 16000,
      rate: 111,
    },
    {
      footprint: 96000,
      rate: 100,
    },
    {
      footprint: 256000,
      rate: 103,
    },
    {
      footprint: 512000,
      rate: 105,
    },
    {
      footprint: 1000000,
      rate: 86,
    },
    {
      footprint: 2000000,
      rate: 95.2,
    },
    {
      footprint: 4000000,
      rate: 99,
    },
    {
      footprint: 8000000,
      rate: 99,
    },
    {
      footprint: 16000000,
      rate: 80.7,
    },
    {
      footprint: 32000000,
      rate: 44.1,
    },
    {
      footprint: 200000000,
      rate: 28.3,
    },
  ],
  elementwise: {
    forms: {
      vector: {
        point: 0.071,
        row: 0.867,
      },
      scalar: {
        point: 0.302,
        row: 0.615,
      },
      copy: {
        point: 0.0442,
        row: 1.3,
      },
      transpose: {
        point: 0.0939,
        row: 0,
      },
      fill: {
        point: 0.0166,
        row: 4.21,
      },
    },
    operations: {
      add: 0.0251,
      multiply: 0.0245,
      divide: 0.109,
      maximum: 0.0253,
      minimum: 0.0258,
      reciprocal: 0.108,
      sqrt: 0.238,
      exp: 1.6,
      log: 2.47,
      round: 0.0106,
      floor: 0.0128,
      sin: 2.06,
      cos: 2.07,
      tanh: 0.64,
      sigmoid: 1.6,
      softplus: 4.97,
      erf: 1.61,
      power: 8.88,
      less: 0.0394,
    },
  },
  epilogue: {
    integer: {
      add: 0.0379,
      multiply: 0.0143,
      divide: 0.0821,
      maximum: 0.0302,
      minimum: 0.0379,
      reciprocal: 0.164,
      sqrt: 0.203,
      exp: 1.04,
      log: 2.55,
      round: 0.0293,
      floor: 0.0293,
      sin: 2.3,
      cos: 2.34,
      tanh: 0.64,
      sigmoid: 0.751,
      softplus: 5.44,
      erf: 0.794,
      power: 9.47,
      less: 0.333,
    },
    inline: 0.00646,
    pass: 0.0526,
    operations: {
      add: 0.0308,
      multiply: 0.0209,
      divide: 0.0247,
      maximum: 0.0479,
      minimum: 0.0522,
      reciprocal: 0.0226,
      sqrt: 0.136,
      exp: 1.7,
      log: 2.53,
      round: 0.0181,
      floor: 0.0194,
      sin: 2.17,
      cos: 2.25,
      tanh: 0.527,
      sigmoid: 0.639,
      softplus: 5.29,
      erf: 0.663,
      power: 9.1,
      less: 0.0181,
    },
  },
};
