import { describe, expect, test } from "vitest";
import type { Expression, ValueType } from "../../compiler/assemble/expression.ts";
import { f32x4, f64x2, i8x16, i16x8, i32x4, i64x2, v128 } from "../../compiler/assemble/vector.ts";
import { evaluate, supports } from "./run.ts";

type Numbers =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array;
type View<T extends Numbers = Numbers> = new (buffer: ArrayBuffer) => T;
type Result = Numbers | BigInt64Array | number;
/** What an instruction computes from the bytes of its operands; a vector by its lanes. */
type Reference = (a: ArrayBuffer, b: ArrayBuffer, c: ArrayBuffer) => Result;

interface Shape {
  readonly signed: View;
  readonly unsigned: View;
  readonly bits: number;
}
const shapes = {
  i8x16: { signed: Int8Array, unsigned: Uint8Array, bits: 8 },
  i16x8: { signed: Int16Array, unsigned: Uint16Array, bits: 16 },
  i32x4: { signed: Int32Array, unsigned: Uint32Array, bits: 32 },
} as const;

/** A typed array of sixteen bytes whose lane i is f(i); integers wrap. */
function fill<T extends Numbers>(type: View<T>, f: (lane: number) => number): T {
  const result = new type(new ArrayBuffer(16));
  for (let lane = 0; lane < result.length; lane++) result[lane] = f(lane);
  return result;
}
function fillBig(f: (lane: number) => bigint): BigInt64Array {
  return BigInt64Array.from([0, 1], (lane) => BigInt.asIntN(64, f(lane)));
}
const lane = (type: View, bytes: ArrayBuffer, index: number): number => new type(bytes)[index] ?? NaN;
const long = (bytes: ArrayBuffer, index: number): bigint => new BigInt64Array(bytes)[index] ?? 0n;

const map =
  (type: View, f: (x: number) => number): Reference =>
  (a) =>
    fill(type, (i) => f(lane(type, a, i)));
const zip =
  (type: View, f: (x: number, y: number) => number, into: View = type): Reference =>
  (a, b) =>
    fill(into, (i) => f(lane(type, a, i), lane(type, b, i)));
const mask = (type: View, into: View, f: (x: number, y: number) => boolean): Reference =>
  zip(type, (x, y) => (f(x, y) ? -1 : 0), into);
const count = (bytes: ArrayBuffer, type: View): number => new type(bytes).length;
const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);

/** a * b mod 2^32 and wider products are exact through BigInt. */
const product = (x: number, y: number): number => Number(BigInt.asIntN(32, BigInt(x) * BigInt(y)));

function comparisons({ signed, unsigned }: Shape): Record<string, Reference> {
  return {
    eq: mask(signed, signed, (x, y) => x === y),
    ne: mask(signed, signed, (x, y) => x !== y),
    ltS: mask(signed, signed, (x, y) => x < y),
    ltU: mask(unsigned, signed, (x, y) => x < y),
    gtS: mask(signed, signed, (x, y) => x > y),
    gtU: mask(unsigned, signed, (x, y) => x > y),
    leS: mask(signed, signed, (x, y) => x <= y),
    leU: mask(unsigned, signed, (x, y) => x <= y),
    geS: mask(signed, signed, (x, y) => x >= y),
    geU: mask(unsigned, signed, (x, y) => x >= y),
  };
}

function arithmetic({ signed, unsigned }: Shape): Record<string, Reference> {
  return {
    abs: map(signed, Math.abs),
    neg: map(signed, (x) => -x),
    add: zip(signed, (x, y) => x + y),
    sub: zip(signed, (x, y) => x - y),
    minS: zip(signed, Math.min),
    minU: zip(unsigned, Math.min),
    maxS: zip(signed, Math.max),
    maxU: zip(unsigned, Math.max),
    allTrue: (a) => Number([...new signed(a)].every((x) => x !== 0)),
    bitmask: (a) => [...new signed(a)].reduce((bits, x, i) => bits | (x < 0 ? 1 << i : 0), 0),
  };
}

function saturating({ signed, unsigned, bits }: Shape): Record<string, Reference> {
  const [low, high, top] = [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 2 ** bits - 1];
  return {
    addSatS: zip(signed, (x, y) => clamp(x + y, low, high)),
    addSatU: zip(unsigned, (x, y) => clamp(x + y, 0, top)),
    subSatS: zip(signed, (x, y) => clamp(x - y, low, high)),
    subSatU: zip(unsigned, (x, y) => clamp(x - y, 0, top)),
    avgrU: zip(unsigned, (x, y) => Math.floor((x + y + 1) / 2)),
  };
}

/** Instructions that read the half-as-wide shape `from`, named with it. */
function widening(to: Shape, from: Shape, name: string): Record<string, Reference> {
  const references: Record<string, Reference> = {};
  for (const sign of ["S", "U"] as const) {
    const source = sign === "S" ? from.signed : from.unsigned;
    for (const half of ["Low", "High"] as const) {
      const start = (bytes: ArrayBuffer) => (half === "Low" ? 0 : count(bytes, source) / 2);
      references[`extend${half}${name}${sign}`] = (a) => fill(to.signed, (i) => lane(source, a, start(a) + i));
      references[`extmul${half}${name}${sign}`] = (a, b) =>
        fill(to.signed, (i) => product(lane(source, a, start(a) + i), lane(source, b, start(b) + i)));
    }
    references[`extaddPairwise${name}${sign}`] = (a) =>
      fill(to.signed, (i) => lane(source, a, 2 * i) + lane(source, a, 2 * i + 1));
  }
  return references;
}

function narrowing(to: Shape, from: Shape, name: string): Record<string, Reference> {
  const both = (a: ArrayBuffer, b: ArrayBuffer, low: number, high: number, type: View) => {
    const lanes = [...new from.signed(a), ...new from.signed(b)];
    return fill(type, (i) => clamp(lanes[i] ?? NaN, low, high));
  };
  return {
    [`narrow${name}S`]: (a, b) => both(a, b, -(2 ** (to.bits - 1)), 2 ** (to.bits - 1) - 1, to.signed),
    [`narrow${name}U`]: (a, b) => both(a, b, 0, 2 ** to.bits - 1, to.unsigned),
  };
}

/** Products of 16-bit lanes summed in pairs (bytes likewise). */
const dotPairs =
  (type: View, into: View): Reference =>
  (a, b) =>
    fill(
      into,
      (i) => lane(type, a, 2 * i) * lane(type, b, 2 * i) + lane(type, a, 2 * i + 1) * lane(type, b, 2 * i + 1),
    );
const q15 = (x: number, y: number): number => clamp((x * y + 0x4000) >> 15, -32768, 32767);

const nearest = (x: number): number => {
  const rounded = Math.round(x);
  const even = Math.abs(x % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
  return even === 0 && (x < 0 || Object.is(x, -0)) ? -0 : even;
};
const pick = (condition: boolean, x: number, y: number): number => (condition ? x : y);
const minimum = (x: number, y: number): number => (Number.isNaN(x) || Number.isNaN(y) ? NaN : Math.min(x, y));
const maximum = (x: number, y: number): number => (Number.isNaN(x) || Number.isNaN(y) ? NaN : Math.max(x, y));

function floats(type: View, integer: View): Record<string, Reference> {
  const compare = (f: (x: number, y: number) => boolean): Reference =>
    type === Float64Array
      ? (a, b) => fillBig((i) => (f(lane(type, a, i), lane(type, b, i)) ? -1n : 0n))
      : mask(type, integer, f);
  return {
    ceil: map(type, Math.ceil),
    floor: map(type, Math.floor),
    trunc: map(type, Math.trunc),
    nearest: map(type, nearest),
    abs: map(type, Math.abs),
    neg: map(type, (x) => -x),
    sqrt: map(type, Math.sqrt),
    add: zip(type, (x, y) => x + y),
    sub: zip(type, (x, y) => x - y),
    mul: zip(type, (x, y) => x * y),
    div: zip(type, (x, y) => x / y),
    min: zip(type, minimum),
    max: zip(type, maximum),
    pmin: zip(type, (x, y) => pick(y < x, y, x)),
    pmax: zip(type, (x, y) => pick(x < y, y, x)),
    eq: compare((x, y) => x === y),
    ne: compare((x, y) => x !== y),
    lt: compare((x, y) => x < y),
    gt: compare((x, y) => x > y),
    le: compare((x, y) => x <= y),
    ge: compare((x, y) => x >= y),
  };
}

const toInteger = (x: number, low: number, high: number): number =>
  Number.isNaN(x) ? 0 : clamp(Math.trunc(x), low, high);
const truncations = (source: View, lanes: number): { readonly S: Reference; readonly U: Reference } => ({
  S: (a) => fill(Int32Array, (i) => (i < lanes ? toInteger(lane(source, a, i), -(2 ** 31), 2 ** 31 - 1) : 0)),
  U: (a) => fill(Uint32Array, (i) => (i < lanes ? toInteger(lane(source, a, i), 0, 2 ** 32 - 1) : 0)),
});

const swizzle: Reference = (a, b) => fill(Uint8Array, (i) => new Uint8Array(a)[lane(Uint8Array, b, i)] ?? 0);

const longZip =
  (f: (x: bigint, y: bigint) => bigint): Reference =>
  (a, b) =>
    fillBig((i) => f(long(a, i), long(b, i)));
const longMask = (f: (x: bigint, y: bigint) => boolean): Reference => longZip((x, y) => (f(x, y) ? -1n : 0n));

/** Every instruction that takes vectors only, and what it computes. */
const references: Record<string, Record<string, Reference>> = {
  v128: {
    not: map(Uint8Array, (x) => ~x),
    and: zip(Uint8Array, (x, y) => x & y),
    andnot: zip(Uint8Array, (x, y) => x & ~y),
    or: zip(Uint8Array, (x, y) => x | y),
    xor: zip(Uint8Array, (x, y) => x ^ y),
    bitselect: (a, b, c) =>
      fill(Uint8Array, (i) => {
        const bits = lane(Uint8Array, c, i);
        return (lane(Uint8Array, a, i) & bits) | (lane(Uint8Array, b, i) & ~bits);
      }),
    anyTrue: (a) => Number(new Uint8Array(a).some((x) => x !== 0)),
  },
  i8x16: {
    ...comparisons(shapes.i8x16),
    ...arithmetic(shapes.i8x16),
    ...saturating(shapes.i8x16),
    ...narrowing(shapes.i8x16, shapes.i16x8, "I16x8"),
    popcnt: map(Uint8Array, (x) => x.toString(2).replaceAll("0", "").length),
    swizzle,
  },
  i16x8: {
    ...comparisons(shapes.i16x8),
    ...arithmetic(shapes.i16x8),
    ...saturating(shapes.i16x8),
    ...narrowing(shapes.i16x8, shapes.i32x4, "I32x4"),
    ...widening(shapes.i16x8, shapes.i8x16, "I8x16"),
    mul: zip(Int16Array, (x, y) => x * y),
    q15mulrSatS: zip(Int16Array, q15),
  },
  i32x4: {
    ...comparisons(shapes.i32x4),
    ...arithmetic(shapes.i32x4),
    ...widening(shapes.i32x4, shapes.i16x8, "I16x8"),
    mul: zip(Int32Array, product),
    dotI16x8S: dotPairs(Int16Array, Int32Array),
    truncSatF32x4S: truncations(Float32Array, 4).S,
    truncSatF32x4U: truncations(Float32Array, 4).U,
    truncSatF64x2SZero: truncations(Float64Array, 2).S,
    truncSatF64x2UZero: truncations(Float64Array, 2).U,
  },
  i64x2: {
    abs: (a) => fillBig((i) => (long(a, i) < 0n ? -long(a, i) : long(a, i))),
    neg: (a) => fillBig((i) => -long(a, i)),
    add: longZip((x, y) => x + y),
    sub: longZip((x, y) => x - y),
    mul: longZip((x, y) => x * y),
    eq: longMask((x, y) => x === y),
    ne: longMask((x, y) => x !== y),
    ltS: longMask((x, y) => x < y),
    gtS: longMask((x, y) => x > y),
    leS: longMask((x, y) => x <= y),
    geS: longMask((x, y) => x >= y),
    allTrue: (a) => Number(long(a, 0) !== 0n && long(a, 1) !== 0n),
    bitmask: (a) => Number(long(a, 0) < 0n) + 2 * Number(long(a, 1) < 0n),
    ...longWidening("S", Int32Array),
    ...longWidening("U", Uint32Array),
  },
  f32x4: {
    ...floats(Float32Array, Int32Array),
    demoteF64x2Zero: (a) => fill(Float32Array, (i) => (i < 2 ? lane(Float64Array, a, i) : 0)),
    convertI32x4S: (a) => fill(Float32Array, (i) => lane(Int32Array, a, i)),
    convertI32x4U: (a) => fill(Float32Array, (i) => lane(Uint32Array, a, i)),
  },
  f64x2: {
    ...floats(Float64Array, Int32Array),
    promoteLowF32x4: (a) => fill(Float64Array, (i) => lane(Float32Array, a, i)),
    convertLowI32x4S: (a) => fill(Float64Array, (i) => lane(Int32Array, a, i)),
    convertLowI32x4U: (a) => fill(Float64Array, (i) => lane(Uint32Array, a, i)),
  },
};

function longWidening(sign: "S" | "U", source: View): Record<string, Reference> {
  const at = (bytes: ArrayBuffer, index: number): bigint => BigInt(lane(source, bytes, index));
  return {
    [`extendLowI32x4${sign}`]: (a) => fillBig((i) => at(a, i)),
    [`extendHighI32x4${sign}`]: (a) => fillBig((i) => at(a, 2 + i)),
    [`extmulLowI32x4${sign}`]: (a, b) => fillBig((i) => at(a, i) * at(b, i)),
    [`extmulHighI32x4${sign}`]: (a, b) => fillBig((i) => at(a, 2 + i) * at(b, 2 + i)),
  };
}

const namespaces: Record<string, object> = { v128, i8x16, i16x8, i32x4, i64x2, f32x4, f64x2 };

/** Those with a scalar, memory or lane operand, tested one by one below. */
const special = /^(const|splat|shuffle|extractLane[SU]?|replaceLane|shl|shr[SU]|load.*|relaxed.*)$/;

function call(shape: string, name: string, ...operands: readonly unknown[]): Expression<ValueType> {
  const value: unknown = Reflect.get(namespaces[shape] ?? {}, name);
  if (typeof value !== "function") throw new Error(`no instruction ${shape}.${name}`);
  return Reflect.apply(value, undefined, operands) as Expression<ValueType>;
}

/** Sixteen bytes of an xorshift generator. */
function* randomVectors(seed: number): Generator<ArrayBuffer, never> {
  let state = seed;
  for (;;) {
    yield Uint32Array.from([0, 1, 2, 3], () => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return state >>> 0;
    }).buffer;
  }
}

const edges: readonly ArrayBuffer[] = [
  new ArrayBuffer(16),
  new Uint8Array(16).fill(0xff).buffer,
  new Uint8Array(16).fill(0x80).buffer,
  Uint8Array.from({ length: 16 }, (_, index) => index).buffer,
  Int16Array.of(-32768, 32767, -32768, 1, 0, -1, 255, 256).buffer,
  Int32Array.of(-(2 ** 31), 2 ** 31 - 1, 70000, -70000).buffer,
  Float32Array.of(0.5, -0.5, 2.5, -1.5).buffer,
  Float32Array.of(NaN, Infinity, -0, 3e9).buffer,
  Float32Array.of(-Infinity, 0, 1e-40, -5e9).buffer,
  Float64Array.of(-2.5, 3e9).buffer,
  Float64Array.of(NaN, -0).buffer,
  Float64Array.of(0.1, -Infinity).buffer,
];

/** Equal bytes, or NaN in the same float lanes. */
function expectSame(actual: ReturnType<typeof evaluate>, expected: Result, message: string): void {
  if (typeof expected === "number") {
    expect(actual, message).toEqual(expected);
    return;
  }
  if (!(actual instanceof Uint8Array)) throw new Error(`${message} gave no vector`);
  const type = expected.constructor as new (buffer: ArrayBufferLike) => typeof expected;
  expect(new type(actual.buffer), message).toEqual(expected);
}

describe.each(Object.keys(references))("%s", (shape) => {
  const names = Object.keys(namespaces[shape] ?? {}).filter((name) => !special.test(name));

  test("every instruction on vectors has a reference", () => {
    expect(names.toSorted()).toEqual(Object.keys(references[shape] ?? {}).toSorted());
  });

  test.each(names)("%s", (name) => {
    const reference = references[shape]?.[name];
    if (reference === undefined) throw new Error("no reference");
    const random = randomVectors(name.length * 977 + 1);
    const next = () => random.next().value;
    const triples: [ArrayBuffer, ArrayBuffer, ArrayBuffer][] = [];
    for (const [i, a] of edges.entries()) triples.push([a, edges[(i + 1) % edges.length] ?? a, next()], [a, a, next()]);
    for (let i = 0; i < 12; i++) triples.push([next(), next(), next()]);
    for (const [a, b, c] of triples) {
      const views = [a, b, c].map((bytes) => new Uint8Array(bytes));
      const actual = evaluate((x, y, z) => call(shape, name, x, y, z), views);
      expectSame(actual, reference(a, b, c), `${shape}.${name} of ${views.join(" | ")}`);
    }
  });
});

describe.each(["i8x16", "i16x8", "i32x4", "i64x2"] as const)("%s shifts", (shape) => {
  const bits = { i8x16: 8, i16x8: 16, i32x4: 32, i64x2: 64 }[shape];
  test.each(["shl", "shrS", "shrU"] as const)("%s", (name) => {
    const bytes = Uint8Array.from({ length: 16 }, (_, index) => (index * 37 + 129) & 0xff);
    for (const by of [0, 1, bits - 1, bits + 3, -1]) {
      const amount = BigInt(((by % bits) + bits) % bits);
      const actual = evaluate((a) => call(shape, name, a, by), [bytes]);
      if (!(actual instanceof Uint8Array)) throw new Error("no vector");
      const lanes = (data: Uint8Array): bigint[] =>
        Array.from({ length: 128 / bits }, (_, i) =>
          data
            .slice((i * bits) / 8, ((i + 1) * bits) / 8)
            .reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n),
        );
      const shifted = lanes(bytes).map((value) => {
        if (name === "shl") return BigInt.asUintN(bits, value << amount);
        return BigInt.asUintN(bits, (name === "shrS" ? BigInt.asIntN(bits, value) : value) >> amount);
      });
      expect(lanes(actual), `${shape}.${name} by ${by}`).toEqual(shifted);
    }
  });
});

describe("lanes", () => {
  const bytes = Uint8Array.from({ length: 16 }, (_, index) => (index * 29 + 130) & 0xff);
  const lastLane = { i8x16: 15, i16x8: 7, i32x4: 3, i64x2: 1, f32x4: 3, f64x2: 1 };

  test("splat, extract and replace in every lane", () => {
    const views = { i8x16: Int8Array, i16x8: Int16Array, i32x4: Int32Array, f32x4: Float32Array, f64x2: Float64Array };
    for (const [shape, view] of Object.entries(views)) {
      const original = [...new view(bytes.buffer)];
      const extract = shape === "i8x16" || shape === "i16x8" ? "extractLaneS" : "extractLane";
      const splat = evaluate(() => call(shape, "splat", -7), [bytes]);
      expect([...new view((splat as Uint8Array<ArrayBuffer>).buffer)]).toEqual(original.map(() => -7));
      original.forEach((value, index) => {
        expect(
          evaluate((a) => call(shape, extract, a, index), [bytes]),
          `${shape} ${index}`,
        ).toBe(value);
        const replaced = evaluate((a) => call(shape, "replaceLane", a, index, 11), [bytes]);
        expect([...new view((replaced as Uint8Array<ArrayBuffer>).buffer)]).toEqual(original.with(index, 11));
      });
    }
    expect(evaluate((a) => i8x16.extractLaneU(a, 0), [bytes])).toBe(130);
    expect(evaluate((a) => i16x8.extractLaneU(a, 0), [bytes])).toBe(new Uint16Array(bytes.buffer)[0]);
    expect(evaluate((a) => i64x2.extractLane(a, 1), [bytes])).toBe(new BigInt64Array(bytes.buffer)[1]);
    expect(evaluate((a) => i64x2.extractLane(i64x2.replaceLane(a, 1, -5n), 1), [bytes])).toBe(-5n);
    expect(evaluate(() => i64x2.extractLane(i64x2.splat(9n), 1))).toBe(9n);
  });

  test("a lane out of range is refused", () => {
    for (const [shape, last] of Object.entries(lastLane)) {
      expect(() => call(shape, "replaceLane", v128.load(0), last + 1, 0)).toThrow(RangeError);
    }
    expect(() => i8x16.shuffle(v128.load(0), v128.load(0), Array(16).fill(32))).toThrow(RangeError);
  });

  test("shuffle", () => {
    const other = bytes.map((x) => x ^ 0x55);
    const order = [0, 31, 5, 16, 17, 2, 2, 30, 15, 14, 13, 12, 20, 21, 1, 0];
    const both = [...bytes, ...other];
    expect(evaluate((a, b) => i8x16.shuffle(a, b, order), [bytes, other])).toEqual(
      Uint8Array.from(order, (index) => both[index] ?? 0),
    );
  });

  test("constants", () => {
    const lanes = (value: Expression<"v128">, view: View) => [
      ...new view((evaluate(() => value) as Uint8Array<ArrayBuffer>).buffer),
    ];
    expect(lanes(i8x16.const(...Array.from({ length: 16 }, (_, i) => i - 8)), Int8Array)[0]).toBe(-8);
    expect(lanes(i16x8.const(1, -2, 3, -4, 5, -6, 7, -32768), Int16Array)).toEqual([1, -2, 3, -4, 5, -6, 7, -32768]);
    expect(lanes(i32x4.const(-1, 2 ** 31 - 1, -(2 ** 31), 70000), Int32Array)).toEqual([
      -1,
      2 ** 31 - 1,
      -(2 ** 31),
      70000,
    ]);
    expect(lanes(f32x4.const(0.5, -0, Infinity, NaN), Float32Array)).toEqual([0.5, -0, Infinity, NaN]);
    expect(lanes(f64x2.const(0.1, -1e300), Float64Array)).toEqual([0.1, -1e300]);
    const longs = evaluate(() => i64x2.const(-(1n << 63n), 0x123456789abcdef0n));
    expect([...new BigInt64Array((longs as Uint8Array<ArrayBuffer>).buffer)]).toEqual([
      -(1n << 63n),
      0x123456789abcdef0n,
    ]);
  });
});

describe("loads", () => {
  const memory = Array.from({ length: 16 }, (_, index) => (index * 71 + 200) & 0xff);
  const buffer = Uint8Array.from(memory).buffer;
  const result = (view: View, value: Expression<"v128">, operands: readonly Uint8Array[] = []) => [
    ...new view((evaluate(() => value, operands, memory) as Uint8Array<ArrayBuffer>).buffer),
  ];
  const at = { offset: 64 };

  test("whole, extending, splatting, zeroing", () => {
    const [s8, u8] = [[...new Int8Array(buffer)], [...new Uint8Array(buffer)]];
    const [s16, u16] = [[...new Int16Array(buffer)], [...new Uint16Array(buffer)]];
    const [s32, u32] = [[...new Int32Array(buffer)], [...new Uint32Array(buffer)]];
    const wide = (view: BigInt64ArrayConstructor | BigUint64ArrayConstructor, value: Expression<"v128">) =>
      [...new view((evaluate(() => value, [], memory) as Uint8Array<ArrayBuffer>).buffer)].map(Number);
    expect(result(Uint8Array, v128.load(0, { ...at, align: 16 }))).toEqual(u8);
    expect(result(Int16Array, v128.load8x8S(64))).toEqual(s8.slice(0, 8));
    expect(result(Int16Array, v128.load8x8U(32, { offset: 32 }))).toEqual(u8.slice(0, 8));
    expect(result(Int32Array, v128.load16x4S(0, at))).toEqual(s16.slice(0, 4));
    expect(result(Int32Array, v128.load16x4U(0, at))).toEqual(u16.slice(0, 4));
    expect(wide(BigInt64Array, v128.load32x2S(0, at))).toEqual(s32.slice(0, 2));
    expect(wide(BigUint64Array, v128.load32x2U(0, at))).toEqual(u32.slice(0, 2));
    expect(result(Uint8Array, v128.load8Splat(0, at))).toEqual(Array(16).fill(u8[0]));
    expect(result(Uint16Array, v128.load16Splat(0, at))).toEqual(Array(8).fill(u16[0]));
    expect(result(Int32Array, v128.load32Splat(0, at))).toEqual(Array(4).fill(s32[0]));
    expect(result(Int32Array, v128.load64Splat(0, at))).toEqual([s32[0], s32[1], s32[0], s32[1]]);
    expect(result(Int32Array, v128.load32Zero(0, at))).toEqual([s32[0], 0, 0, 0]);
    expect(result(Int32Array, v128.load64Zero(0, at))).toEqual([s32[0], s32[1], 0, 0]);
  });

  test("single lanes", () => {
    const kept = new Uint8Array(16).fill(9);
    const a = v128.load(0);
    const nines = Array<number>(16).fill(9);
    expect(result(Uint8Array, v128.load8Lane(64, a, 15), [kept])).toEqual(nines.with(15, memory[0] ?? 0));
    expect(result(Uint8Array, v128.load16Lane(0, a, 7, at), [kept])).toEqual([
      ...nines.slice(2),
      ...memory.slice(0, 2),
    ]);
    expect(result(Uint8Array, v128.load32Lane(0, a, 0, at), [kept])).toEqual([
      ...memory.slice(0, 4),
      ...nines.slice(4),
    ]);
    expect(result(Uint8Array, v128.load64Lane(0, a, 1, { ...at, align: 8 }), [kept])).toEqual([
      ...nines.slice(8),
      ...memory.slice(0, 8),
    ]);
  });

  test("a misaligned promise or a negative offset is refused", () => {
    expect(() => v128.load(0, { align: 3 })).toThrow(RangeError);
    expect(() => v128.load(0, { offset: -1 })).toThrow(RangeError);
  });
});

// Inputs are chosen so that every behaviour the specification allows gives the same result.
describe.skipIf(!supports((a) => f32x4.relaxedMadd(a, a, a)))("relaxed (skipped where the host lacks them)", () => {
  const relaxed = Object.entries(namespaces).flatMap(([shape, namespace]) =>
    Object.keys(namespace).flatMap((name) => (name.startsWith("relaxed") ? [`${shape}.${name}`] : [])),
  );
  const [x, y, z] = [Float32Array.of(1.5, -2, 0, 8), Float32Array.of(2, 3, 7, -0.5), Float32Array.of(1, 10, -1, 4)];
  const [p, q, r] = [Float64Array.of(1.5, -2), Float64Array.of(2, 3), Float64Array.of(1, 10)];
  const bytes = Int8Array.of(-128, 127, 5, -6, 0, 1, 2, 3, 100, -100, 50, -50, 7, -8, 9, -10);
  const sevenBit = Int8Array.of(127, 127, 0, 1, 2, 3, 4, 5, 100, 90, 80, 70, 127, 0, 127, 0);
  const shorts = Int16Array.of(-32767, 32767, 100, -100, 0, 1, 16384, -16384);
  const picks = Uint8Array.of(15, 0, 1, 255, 128, 3, 2, 14, 9, 9, 200, 7, 6, 5, 4, 0);
  const selector = Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0);
  const select: Reference = (a, b, c) =>
    fill(Uint8Array, (i) => lane(Uint8Array, lane(Uint8Array, c, i) === 0 ? b : a, i));
  const madd =
    (type: View, sign: number): Reference =>
    (a, b, c) =>
      fill(type, (i) => sign * lane(type, a, i) * lane(type, b, i) + lane(type, c, i));

  const cases: Record<
    string,
    { readonly operands: readonly ArrayBufferView<ArrayBuffer>[]; readonly reference: Reference }
  > = {
    "i8x16.relaxedSwizzle": { operands: [bytes, picks], reference: swizzle },
    "i8x16.relaxedLaneselect": { operands: [bytes, picks, selector], reference: select },
    "i16x8.relaxedLaneselect": { operands: [bytes, picks, selector], reference: select },
    "i32x4.relaxedLaneselect": { operands: [bytes, picks, selector], reference: select },
    "i64x2.relaxedLaneselect": { operands: [bytes, picks, selector], reference: select },
    "i16x8.relaxedQ15mulrS": { operands: [shorts, shorts], reference: zip(Int16Array, q15) },
    "i16x8.relaxedDotI8x16I7x16S": { operands: [bytes, sevenBit], reference: dotPairs(Int8Array, Int16Array) },
    "i32x4.relaxedDotI8x16I7x16AddS": {
      operands: [bytes, sevenBit, Int32Array.of(1, -2, 100000, 0)],
      reference: (a, b, c) =>
        fill(Int32Array, (i) =>
          [0, 1, 2, 3].reduce(
            (sum, j) => sum + lane(Int8Array, a, 4 * i + j) * lane(Int8Array, b, 4 * i + j),
            lane(Int32Array, c, i),
          ),
        ),
    },
    "i32x4.relaxedTruncF32x4S": { operands: [x], reference: truncations(Float32Array, 4).S },
    "i32x4.relaxedTruncF32x4U": { operands: [x.map(Math.abs)], reference: truncations(Float32Array, 4).U },
    "i32x4.relaxedTruncF64x2SZero": { operands: [p], reference: truncations(Float64Array, 2).S },
    "i32x4.relaxedTruncF64x2UZero": { operands: [q], reference: truncations(Float64Array, 2).U },
    "f32x4.relaxedMadd": { operands: [x, y, z], reference: madd(Float32Array, 1) },
    "f32x4.relaxedNmadd": { operands: [x, y, z], reference: madd(Float32Array, -1) },
    "f32x4.relaxedMin": { operands: [x, y], reference: zip(Float32Array, Math.min) },
    "f32x4.relaxedMax": { operands: [x, y], reference: zip(Float32Array, Math.max) },
    "f64x2.relaxedMadd": { operands: [p, q, r], reference: madd(Float64Array, 1) },
    "f64x2.relaxedNmadd": { operands: [p, q, r], reference: madd(Float64Array, -1) },
    "f64x2.relaxedMin": { operands: [p, q], reference: zip(Float64Array, Math.min) },
    "f64x2.relaxedMax": { operands: [p, q], reference: zip(Float64Array, Math.max) },
  };

  // V8 11 (Node 20) has the 4-way dot product only behind its flag, and computes it wrongly.
  const wrong = Number.parseInt(process.versions.v8, 10) < 12 ? "i32x4.relaxedDotI8x16I7x16AddS" : "";

  test.each(relaxed.filter((path) => path !== wrong))("%s", (path) => {
    const found = cases[path];
    if (found === undefined) throw new Error(`${path} has no case`);
    const [shape = "", name = ""] = path.split(".");
    const [a, b, c] = found.operands.map((operand) => operand.buffer);
    const none = new ArrayBuffer(16);
    const actual = evaluate((...vectors) => call(shape, name, ...vectors), found.operands);
    expectSame(actual, found.reference(a ?? none, b ?? none, c ?? none), path);
  });
});
