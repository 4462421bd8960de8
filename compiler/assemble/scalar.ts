/**
 * The scalar instructions of WebAssembly, typed: `i32`, `i64`, `f32`, `f64`. Names are those of the
 * specification in camel case (`i32.shr_u` is `i32.shrU`). i32 arithmetic on constants is folded, and
 * adding 0, multiplying by 1 and their like cost nothing. Stores are statements: see body.ts.
 */
import { constant, type Expression, type Operand, select, toExpression } from "./expression.ts";
import { type Binary, instructionSet } from "./instruction.ts";

const core = instructionSet();
const saturating = instructionSet(0xfc);

type Fold = (a: number, b: number) => number | undefined;
type Table<N> = { readonly [K in keyof N]: Binary<"i32", "i32"> };

/** An i32 operation that folds constants; `neutral` is the right operand that leaves the left unchanged. */
function folded<const N extends Readonly<Record<string, number>>>(
  codes: N,
  folds: { readonly [K in keyof N]: Fold },
  neutral: { readonly [K in keyof N]?: number } = {},
  commutative: readonly (keyof N)[] = [],
): Table<N> {
  const plain = core.binary("i32", "i32", codes);
  const names = Object.keys(codes) as (keyof N)[];
  const rows = names.map((name) => {
    const operation: Binary<"i32", "i32"> = (a, b) => {
      const [left, right] = [toExpression("i32", a), toExpression("i32", b)];
      if (left.constant !== undefined && right.constant !== undefined) {
        const value = folds[name](left.constant, right.constant);
        if (value !== undefined) return constant("i32", value);
      }
      if (right.constant !== undefined && right.constant === neutral[name]) return left;
      if (left.constant !== undefined && left.constant === neutral[name] && commutative.includes(name)) return right;
      return plain[name](left, right);
    };
    return [name, operation] as const;
  });
  return Object.fromEntries(rows) as Table<N>;
}

const i32Arithmetic = folded(
  {
    add: 0x6a,
    sub: 0x6b,
    mul: 0x6c,
    divS: 0x6d,
    divU: 0x6e,
    remS: 0x6f,
    remU: 0x70,
    and: 0x71,
    or: 0x72,
    xor: 0x73,
    shl: 0x74,
    shrS: 0x75,
    shrU: 0x76,
  },
  {
    add: (a, b) => a + b,
    sub: (a, b) => a - b,
    mul: Math.imul,
    divS: (a, b) => (b === 0 || (a === -0x80000000 && b === -1) ? undefined : a / b),
    divU: (a, b) => (b === 0 ? undefined : (a >>> 0) / (b >>> 0)),
    remS: (a, b) => (b === 0 ? undefined : a % b),
    remU: (a, b) => (b === 0 ? undefined : (a >>> 0) % (b >>> 0)),
    and: (a, b) => a & b,
    or: (a, b) => a | b,
    xor: (a, b) => a ^ b,
    shl: (a, b) => a << b,
    shrS: (a, b) => a >> b,
    shrU: (a, b) => a >>> b,
  },
  { add: 0, sub: 0, mul: 1, divS: 1, divU: 1, and: -1, or: 0, xor: 0, shl: 0, shrS: 0, shrU: 0 },
  ["add", "mul", "and", "or", "xor"],
);

const i32Comparison = folded(
  { eq: 0x46, ne: 0x47, ltS: 0x48, ltU: 0x49, gtS: 0x4a, gtU: 0x4b, leS: 0x4c, leU: 0x4d, geS: 0x4e, geU: 0x4f },
  {
    eq: (a, b) => Number(a === b),
    ne: (a, b) => Number(a !== b),
    ltS: (a, b) => Number(a < b),
    ltU: (a, b) => Number(a >>> 0 < b >>> 0),
    gtS: (a, b) => Number(a > b),
    gtU: (a, b) => Number(a >>> 0 > b >>> 0),
    leS: (a, b) => Number(a <= b),
    leU: (a, b) => Number(a >>> 0 <= b >>> 0),
    geS: (a, b) => Number(a >= b),
    geU: (a, b) => Number(a >>> 0 >= b >>> 0),
  },
);

export const i32 = {
  const: (value: number): Expression<"i32"> => constant("i32", value),
  ...i32Arithmetic,
  ...i32Comparison,
  ...core.binary("i32", "i32", { rotl: 0x77, rotr: 0x78 }),
  ...core.unary("i32", "i32", { eqz: 0x45, clz: 0x67, ctz: 0x68, popcnt: 0x69, extend8S: 0xc0, extend16S: 0xc1 }),
  ...core.unary("i64", "i32", { wrapI64: 0xa7 }),
  ...core.unary("f32", "i32", { truncF32S: 0xa8, truncF32U: 0xa9, reinterpretF32: 0xbc }),
  ...core.unary("f64", "i32", { truncF64S: 0xaa, truncF64U: 0xab }),
  ...saturating.unary("f32", "i32", { truncSatF32S: 0, truncSatF32U: 1 }),
  ...saturating.unary("f64", "i32", { truncSatF64S: 2, truncSatF64U: 3 }),
  ...core.load("i32", { load: 0x28, load8S: 0x2c, load8U: 0x2d, load16S: 0x2e, load16U: 0x2f }),
};

export const i64 = {
  const: (value: number | bigint): Expression<"i64"> => constant("i64", value),
  ...core.binary("i64", "i64", {
    add: 0x7c,
    sub: 0x7d,
    mul: 0x7e,
    divS: 0x7f,
    divU: 0x80,
    remS: 0x81,
    remU: 0x82,
    and: 0x83,
    or: 0x84,
    xor: 0x85,
    shl: 0x86,
    shrS: 0x87,
    shrU: 0x88,
    rotl: 0x89,
    rotr: 0x8a,
  }),
  ...core.binary("i64", "i32", {
    eq: 0x51,
    ne: 0x52,
    ltS: 0x53,
    ltU: 0x54,
    gtS: 0x55,
    gtU: 0x56,
    leS: 0x57,
    leU: 0x58,
    geS: 0x59,
    geU: 0x5a,
  }),
  ...core.unary("i64", "i32", { eqz: 0x50 }),
  ...core.unary("i64", "i64", {
    clz: 0x79,
    ctz: 0x7a,
    popcnt: 0x7b,
    extend8S: 0xc2,
    extend16S: 0xc3,
    extend32S: 0xc4,
  }),
  ...core.unary("i32", "i64", { extendI32S: 0xac, extendI32U: 0xad }),
  ...core.unary("f32", "i64", { truncF32S: 0xae, truncF32U: 0xaf }),
  ...core.unary("f64", "i64", { truncF64S: 0xb0, truncF64U: 0xb1, reinterpretF64: 0xbd }),
  ...saturating.unary("f32", "i64", { truncSatF32S: 4, truncSatF32U: 5 }),
  ...saturating.unary("f64", "i64", { truncSatF64S: 6, truncSatF64U: 7 }),
  ...core.load("i64", {
    load: 0x29,
    load8S: 0x30,
    load8U: 0x31,
    load16S: 0x32,
    load16U: 0x33,
    load32S: 0x34,
    load32U: 0x35,
  }),
};

export const f32 = {
  const: (value: number): Expression<"f32"> => constant("f32", value),
  ...core.binary("f32", "f32", {
    add: 0x92,
    sub: 0x93,
    mul: 0x94,
    div: 0x95,
    min: 0x96,
    max: 0x97,
    copysign: 0x98,
  }),
  ...core.binary("f32", "i32", { eq: 0x5b, ne: 0x5c, lt: 0x5d, gt: 0x5e, le: 0x5f, ge: 0x60 }),
  ...core.unary("f32", "f32", {
    abs: 0x8b,
    neg: 0x8c,
    ceil: 0x8d,
    floor: 0x8e,
    trunc: 0x8f,
    nearest: 0x90,
    sqrt: 0x91,
  }),
  ...core.unary("i32", "f32", { convertI32S: 0xb2, convertI32U: 0xb3, reinterpretI32: 0xbe }),
  ...core.unary("i64", "f32", { convertI64S: 0xb4, convertI64U: 0xb5 }),
  ...core.unary("f64", "f32", { demoteF64: 0xb6 }),
  ...core.load("f32", { load: 0x2a }),
};

export const f64 = {
  const: (value: number): Expression<"f64"> => constant("f64", value),
  ...core.binary("f64", "f64", {
    add: 0xa0,
    sub: 0xa1,
    mul: 0xa2,
    div: 0xa3,
    min: 0xa4,
    max: 0xa5,
    copysign: 0xa6,
  }),
  ...core.binary("f64", "i32", { eq: 0x61, ne: 0x62, lt: 0x63, gt: 0x64, le: 0x65, ge: 0x66 }),
  ...core.unary("f64", "f64", {
    abs: 0x99,
    neg: 0x9a,
    ceil: 0x9b,
    floor: 0x9c,
    trunc: 0x9d,
    nearest: 0x9e,
    sqrt: 0x9f,
  }),
  ...core.unary("i32", "f64", { convertI32S: 0xb7, convertI32U: 0xb8 }),
  ...core.unary("i64", "f64", { convertI64S: 0xb9, convertI64U: 0xba, reinterpretI64: 0xbf }),
  ...core.unary("f32", "f64", { promoteF32: 0xbb }),
  ...core.load("f64", { load: 0x2b }),
};

/** The smaller of two signed i32; both operands are evaluated twice: give it locals or constants. */
export function minimumS(a: Expression<"i32">, b: Operand<"i32">): Expression<"i32"> {
  return select("i32", i32.ltS(a, b), a, b);
}

/** The larger of two signed i32; both operands are evaluated twice: give it locals or constants. */
export function maximumS(a: Expression<"i32">, b: Operand<"i32">): Expression<"i32"> {
  return select("i32", i32.gtS(a, b), a, b);
}
