/**
 * The 128-bit SIMD instructions of WebAssembly, typed: `v128` and the lane shapes `i8x16`, `i16x8`, `i32x4`,
 * `i64x2`, `f32x4`, `f64x2`. Names are those of the specification in camel case. The relaxed instructions
 * (`relaxed…`) are valid only on targets that say so (target.ts). Stores are statements: see body.ts.
 */
import { type Bytes, float32, float64 } from "./encode.ts";
import {
  apply,
  type Expression,
  type MemoryArgument,
  memoryArgument,
  type Operand,
  toExpression,
  type ValueType,
  VectorConstant,
} from "./expression.ts";
import { instructionSet, opcode } from "./instruction.ts";

type Vector = Expression<"v128">;
const simd = instructionSet(0xfd);

/** Shifts: a vector by a scalar count (taken modulo the lane width). */
function shifts<const N extends Readonly<Record<"shl" | "shrS" | "shrU", number>>>(codes: N) {
  const shift = (code: number) => (a: Vector, count: Operand<"i32">) =>
    apply("v128", [a, toExpression("i32", count)], ...opcode(0xfd, code));
  return { shl: shift(codes.shl), shrS: shift(codes.shrS), shrU: shift(codes.shrU) };
}

/** Operations on three vectors. */
function ternary(code: number) {
  return (a: Vector, b: Vector, c: Vector): Vector => apply("v128", [a, b, c], ...opcode(0xfd, code));
}

function checkLane(lane: number, count: number): number {
  if (!Number.isInteger(lane) || lane < 0 || lane >= count) throw new RangeError(`lane ${lane} of ${count}`);
  return lane;
}

function extractLane<T extends ValueType>(type: T, count: number, code: number) {
  return (a: Vector, lane: number): Expression<T> => apply(type, [a], 0xfd, code, checkLane(lane, count));
}

function replaceLane<T extends ValueType>(type: T, count: number, code: number) {
  return (a: Vector, lane: number, value: Operand<T>): Vector =>
    apply("v128", [a, toExpression(type, value)], 0xfd, code, checkLane(lane, count));
}

/** Loads one lane from memory into a copy of a vector. */
function loadLane(count: number, code: number) {
  return (address: Operand<"i32">, a: Vector, lane: number, argument: MemoryArgument = {}): Vector =>
    apply("v128", [toExpression("i32", address), a], 0xfd, code, ...memoryArgument(argument), checkLane(lane, count));
}

/** A constant from its lanes, lowest first. */
function lanesConstant<N extends number | bigint>(count: number, encodeLane: (lane: N) => Bytes) {
  return (...lanes: readonly N[]): Vector => {
    if (lanes.length !== count) throw new TypeError(`${lanes.length} lanes where ${count} are expected`);
    const bytes = lanes.flatMap((lane) => [...encodeLane(lane)]);
    return { type: "v128", code: [new VectorConstant([0xfd, 12, ...bytes])] };
  };
}

const byteLane = (lane: number): Bytes => [lane & 0xff];
const shortLane = (lane: number): Bytes => [lane & 0xff, (lane >> 8) & 0xff];
const wordLane = (lane: number): Bytes => [...shortLane(lane), ...shortLane(lane >> 16)];
const longLane = (lane: bigint): Bytes => [
  ...wordLane(Number(BigInt.asIntN(32, lane))),
  ...wordLane(Number(BigInt.asIntN(32, lane >> 32n))),
];

export const v128 = {
  /** Sixteen bytes, lowest address first. */
  const: lanesConstant(16, byteLane),
  ...simd.load("v128", {
    load: 0,
    load8x8S: 1,
    load8x8U: 2,
    load16x4S: 3,
    load16x4U: 4,
    load32x2S: 5,
    load32x2U: 6,
    load8Splat: 7,
    load16Splat: 8,
    load32Splat: 9,
    load64Splat: 10,
    load32Zero: 92,
    load64Zero: 93,
  }),
  load8Lane: loadLane(16, 84),
  load16Lane: loadLane(8, 85),
  load32Lane: loadLane(4, 86),
  load64Lane: loadLane(2, 87),
  ...simd.unary("v128", "v128", { not: 77 }),
  ...simd.binary("v128", "v128", { and: 78, andnot: 79, or: 80, xor: 81 }),
  /** Bits of `a` where `mask` is 1, of `b` where it is 0. */
  bitselect: (a: Vector, b: Vector, mask: Vector): Vector => ternary(82)(a, b, mask),
  ...simd.unary("v128", "i32", { anyTrue: 83 }),
};

export const i8x16 = {
  const: lanesConstant(16, byteLane),
  /** Sixteen lanes chosen by constant index from `a` (0-15) and `b` (16-31). */
  shuffle: (a: Vector, b: Vector, lanes: readonly number[]): Vector => {
    if (lanes.length !== 16) throw new TypeError(`${lanes.length} shuffle lanes where 16 are expected`);
    return apply("v128", [a, b], 0xfd, 13, ...lanes.map((lane) => checkLane(lane, 32)));
  },
  ...simd.unary("i32", "v128", { splat: 15 }),
  extractLaneS: extractLane("i32", 16, 21),
  extractLaneU: extractLane("i32", 16, 22),
  replaceLane: replaceLane("i32", 16, 23),
  ...shifts({ shl: 107, shrS: 108, shrU: 109 }),
  ...simd.unary("v128", "v128", { abs: 96, neg: 97, popcnt: 98 }),
  ...simd.unary("v128", "i32", { allTrue: 99, bitmask: 100 }),
  ...simd.binary("v128", "v128", {
    swizzle: 14,
    eq: 35,
    ne: 36,
    ltS: 37,
    ltU: 38,
    gtS: 39,
    gtU: 40,
    leS: 41,
    leU: 42,
    geS: 43,
    geU: 44,
    narrowI16x8S: 101,
    narrowI16x8U: 102,
    add: 110,
    addSatS: 111,
    addSatU: 112,
    sub: 113,
    subSatS: 114,
    subSatU: 115,
    minS: 118,
    minU: 119,
    maxS: 120,
    maxU: 121,
    avgrU: 123,
    relaxedSwizzle: 0x100,
  }),
  relaxedLaneselect: ternary(0x109),
};

export const i16x8 = {
  const: lanesConstant(8, shortLane),
  ...simd.unary("i32", "v128", { splat: 16 }),
  extractLaneS: extractLane("i32", 8, 24),
  extractLaneU: extractLane("i32", 8, 25),
  replaceLane: replaceLane("i32", 8, 26),
  ...shifts({ shl: 139, shrS: 140, shrU: 141 }),
  ...simd.unary("v128", "v128", {
    extaddPairwiseI8x16S: 124,
    extaddPairwiseI8x16U: 125,
    abs: 128,
    neg: 129,
    extendLowI8x16S: 135,
    extendHighI8x16S: 136,
    extendLowI8x16U: 137,
    extendHighI8x16U: 138,
  }),
  ...simd.unary("v128", "i32", { allTrue: 131, bitmask: 132 }),
  ...simd.binary("v128", "v128", {
    eq: 45,
    ne: 46,
    ltS: 47,
    ltU: 48,
    gtS: 49,
    gtU: 50,
    leS: 51,
    leU: 52,
    geS: 53,
    geU: 54,
    q15mulrSatS: 130,
    narrowI32x4S: 133,
    narrowI32x4U: 134,
    add: 142,
    addSatS: 143,
    addSatU: 144,
    sub: 145,
    subSatS: 146,
    subSatU: 147,
    mul: 149,
    minS: 150,
    minU: 151,
    maxS: 152,
    maxU: 153,
    avgrU: 155,
    extmulLowI8x16S: 156,
    extmulHighI8x16S: 157,
    extmulLowI8x16U: 158,
    extmulHighI8x16U: 159,
    relaxedQ15mulrS: 0x111,
    relaxedDotI8x16I7x16S: 0x112,
  }),
  relaxedLaneselect: ternary(0x10a),
};

export const i32x4 = {
  const: lanesConstant(4, wordLane),
  ...simd.unary("i32", "v128", { splat: 17 }),
  extractLane: extractLane("i32", 4, 27),
  replaceLane: replaceLane("i32", 4, 28),
  ...shifts({ shl: 171, shrS: 172, shrU: 173 }),
  ...simd.unary("v128", "v128", {
    extaddPairwiseI16x8S: 126,
    extaddPairwiseI16x8U: 127,
    abs: 160,
    neg: 161,
    extendLowI16x8S: 167,
    extendHighI16x8S: 168,
    extendLowI16x8U: 169,
    extendHighI16x8U: 170,
    truncSatF32x4S: 248,
    truncSatF32x4U: 249,
    truncSatF64x2SZero: 252,
    truncSatF64x2UZero: 253,
    relaxedTruncF32x4S: 0x101,
    relaxedTruncF32x4U: 0x102,
    relaxedTruncF64x2SZero: 0x103,
    relaxedTruncF64x2UZero: 0x104,
  }),
  ...simd.unary("v128", "i32", { allTrue: 163, bitmask: 164 }),
  ...simd.binary("v128", "v128", {
    eq: 55,
    ne: 56,
    ltS: 57,
    ltU: 58,
    gtS: 59,
    gtU: 60,
    leS: 61,
    leU: 62,
    geS: 63,
    geU: 64,
    add: 174,
    sub: 177,
    mul: 181,
    minS: 182,
    minU: 183,
    maxS: 184,
    maxU: 185,
    dotI16x8S: 186,
    extmulLowI16x8S: 188,
    extmulHighI16x8S: 189,
    extmulLowI16x8U: 190,
    extmulHighI16x8U: 191,
  }),
  relaxedLaneselect: ternary(0x10b),
  /** Adds to four i32 accumulators the dot products of signed bytes `a` with 7-bit bytes `b` (0..127). */
  relaxedDotI8x16I7x16AddS: ternary(0x113),
};

export const i64x2 = {
  const: lanesConstant(2, longLane),
  ...simd.unary("i64", "v128", { splat: 18 }),
  extractLane: extractLane("i64", 2, 29),
  replaceLane: replaceLane("i64", 2, 30),
  ...shifts({ shl: 203, shrS: 204, shrU: 205 }),
  ...simd.unary("v128", "v128", {
    abs: 192,
    neg: 193,
    extendLowI32x4S: 199,
    extendHighI32x4S: 200,
    extendLowI32x4U: 201,
    extendHighI32x4U: 202,
  }),
  ...simd.unary("v128", "i32", { allTrue: 195, bitmask: 196 }),
  ...simd.binary("v128", "v128", {
    add: 206,
    sub: 209,
    mul: 213,
    eq: 214,
    ne: 215,
    ltS: 216,
    gtS: 217,
    leS: 218,
    geS: 219,
    extmulLowI32x4S: 220,
    extmulHighI32x4S: 221,
    extmulLowI32x4U: 222,
    extmulHighI32x4U: 223,
  }),
  relaxedLaneselect: ternary(0x10c),
};

export const f32x4 = {
  const: lanesConstant(4, float32),
  ...simd.unary("f32", "v128", { splat: 19 }),
  extractLane: extractLane("f32", 4, 31),
  replaceLane: replaceLane("f32", 4, 32),
  ...simd.unary("v128", "v128", {
    demoteF64x2Zero: 94,
    ceil: 103,
    floor: 104,
    trunc: 105,
    nearest: 106,
    abs: 224,
    neg: 225,
    sqrt: 227,
    convertI32x4S: 250,
    convertI32x4U: 251,
  }),
  ...simd.binary("v128", "v128", {
    eq: 65,
    ne: 66,
    lt: 67,
    gt: 68,
    le: 69,
    ge: 70,
    add: 228,
    sub: 229,
    mul: 230,
    div: 231,
    min: 232,
    max: 233,
    /** `b < a ? b : a`: one instruction on x86, where min is several. */
    pmin: 234,
    /** `a < b ? b : a`. */
    pmax: 235,
    relaxedMin: 0x10d,
    relaxedMax: 0x10e,
  }),
  /** `a * b + c`, fused or not. */
  relaxedMadd: ternary(0x105),
  /** `-(a * b) + c`, fused or not. */
  relaxedNmadd: ternary(0x106),
};

export const f64x2 = {
  const: lanesConstant(2, float64),
  ...simd.unary("f64", "v128", { splat: 20 }),
  extractLane: extractLane("f64", 2, 33),
  replaceLane: replaceLane("f64", 2, 34),
  ...simd.unary("v128", "v128", {
    promoteLowF32x4: 95,
    ceil: 116,
    floor: 117,
    trunc: 122,
    nearest: 148,
    abs: 236,
    neg: 237,
    sqrt: 239,
    convertLowI32x4S: 254,
    convertLowI32x4U: 255,
  }),
  ...simd.binary("v128", "v128", {
    eq: 71,
    ne: 72,
    lt: 73,
    gt: 74,
    le: 75,
    ge: 76,
    add: 240,
    sub: 241,
    mul: 242,
    div: 243,
    min: 244,
    max: 245,
    pmin: 246,
    pmax: 247,
    relaxedMin: 0x10f,
    relaxedMax: 0x110,
  }),
  relaxedMadd: ternary(0x107),
  relaxedNmadd: ternary(0x108),
};
