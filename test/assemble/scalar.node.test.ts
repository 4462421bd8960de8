import { describe, expect, test } from "vitest";
import { constant, type Expression, type Operand, type ValueType } from "../../compiler/assemble/expression.ts";
import { f32, f64, i32, i64, maximumS, minimumS } from "../../compiler/assemble/scalar.ts";
import { ModuleBuilder } from "../../compiler/assemble/wasm.ts";
import { exportedFunction, instantiate, onePage } from "./run.ts";

type Value = number | bigint;
type Reference = (a: never, b: never) => Value;

/** One instruction: operand type, how many, and what it computes (undefined: traps, not compared). */
interface Case {
  readonly operand: ValueType;
  readonly arity: 1 | 2;
  readonly reference: Reference;
}

const values: Record<"i32" | "i64" | "f32" | "f64", readonly Value[]> = {
  i32: [0, 1, -1, 2, 7, -8, 31, 33, 255, 40000, 0x12345678, -0x80000000, 0x7fffffff],
  i64: [0n, 1n, -1n, 5n, -9n, 63n, 65n, 200n, 0x123456789abcdefn, -(1n << 63n), (1n << 63n) - 1n],
  f32: [0, -0, 1, -1.5, 2.5, 3.5, -0.5, 1e10, -3e9, 1e-40, Infinity, -Infinity, NaN],
  f64: [0, -0, 1, -1.5, 2.5, 3.5, -0.5, 1e100, -3e9, 1e-310, Infinity, -Infinity, NaN],
};

const u32 = (a: number): number => a >>> 0;
const u64 = (a: bigint): bigint => BigInt.asUintN(64, a);
const s64 = (a: bigint): bigint => BigInt.asIntN(64, a);
const bool = (value: boolean): number => Number(value);
const nearest = (a: number): number => {
  const down = Math.floor(a);
  if (a - down !== 0.5) return Math.round(a) === 0 && (a < 0 || Object.is(a, -0)) ? -0 : Math.round(a);
  return down % 2 === 0 ? (down === 0 && a < 0 ? -0 : down) : down + 1 === 0 ? -0 : down + 1;
};
const minimum = (a: number, b: number): number => (Number.isNaN(a) || Number.isNaN(b) ? NaN : Math.min(a, b));
const maximum = (a: number, b: number): number => (Number.isNaN(a) || Number.isNaN(b) ? NaN : Math.max(a, b));
const copysign = (a: number, b: number): number => (b < 0 || Object.is(b, -0) ? -Math.abs(a) : Math.abs(a));
const saturate = (a: number, low: bigint, high: bigint): bigint => {
  if (Number.isNaN(a)) return 0n;
  if (a <= Number(low)) return low;
  if (a >= Number(high)) return high;
  return BigInt(Math.trunc(a));
};
const truncate = (a: number, low: bigint, high: bigint): bigint => {
  if (Number.isNaN(a) || Math.trunc(a) < Number(low) || Math.trunc(a) > Number(high)) throw new RangeError("trap");
  const value = BigInt(Math.trunc(a));
  if (value > high) throw new RangeError("trap");
  return value;
};
const ranges = {
  i32S: [-(1n << 31n), (1n << 31n) - 1n],
  i32U: [0n, (1n << 32n) - 1n],
  i64S: [-(1n << 63n), (1n << 63n) - 1n],
  i64U: [0n, (1n << 64n) - 1n],
} as const;
const bits = new DataView(new ArrayBuffer(8));

const unary = (operand: ValueType, reference: Reference): Case => ({ operand, arity: 1, reference });
const binary = (operand: ValueType, reference: Reference): Case => ({ operand, arity: 2, reference });
const divided =
  <T>(f: (a: T, b: T) => T) =>
  (a: T, b: T): T => {
    if (b === 0 || b === 0n) throw new RangeError("trap");
    return f(a, b);
  };

const floatCases = (type: "f32" | "f64"): Record<string, Case> => ({
  add: binary(type, (a: number, b: number) => a + b),
  sub: binary(type, (a: number, b: number) => a - b),
  mul: binary(type, (a: number, b: number) => a * b),
  div: binary(type, (a: number, b: number) => a / b),
  min: binary(type, minimum),
  max: binary(type, maximum),
  copysign: binary(type, (a: number, b: number) => copysign(a, b)),
  eq: binary(type, (a: number, b: number) => bool(a === b)),
  ne: binary(type, (a: number, b: number) => bool(a !== b)),
  lt: binary(type, (a: number, b: number) => bool(a < b)),
  gt: binary(type, (a: number, b: number) => bool(a > b)),
  le: binary(type, (a: number, b: number) => bool(a <= b)),
  ge: binary(type, (a: number, b: number) => bool(a >= b)),
  abs: unary(type, Math.abs),
  neg: unary(type, (a: number) => -a),
  ceil: unary(type, Math.ceil),
  floor: unary(type, Math.floor),
  trunc: unary(type, Math.trunc),
  nearest: unary(type, nearest),
  sqrt: unary(type, Math.sqrt),
  convertI32S: unary("i32", (a: number) => a),
  convertI32U: unary("i32", u32),
  convertI64S: unary("i64", (a: bigint) => (type === "f64" ? Number(a) : roundToFloat32(a))),
  convertI64U: unary("i64", (a: bigint) => (type === "f64" ? Number(u64(a)) : roundToFloat32(u64(a)))),
});

/** Number(a) then fround rounds twice, which these sample values do not expose. */
function roundToFloat32(a: bigint): number {
  return Math.fround(Number(a));
}

const truncations = (to: "i32" | "i64"): Record<string, Case> => {
  const cases: Record<string, Case> = {};
  for (const from of ["f32", "f64"] as const) {
    for (const sign of ["S", "U"] as const) {
      const [low, high] = ranges[`${to}${sign}`];
      const finish = (value: bigint): Value => (to === "i32" ? Number(value) | 0 : s64(value));
      const name = `${from.toUpperCase()}${sign}`;
      cases[`trunc${name}`] = unary(from, (a: number) => finish(truncate(a, low, high)));
      cases[`truncSat${name}`] = unary(from, (a: number) => finish(saturate(a, low, high)));
    }
  }
  return cases;
};

const cases: Record<"i32" | "i64" | "f32" | "f64", Record<string, Case>> = {
  i32: {
    add: binary("i32", (a: number, b: number) => a + b),
    sub: binary("i32", (a: number, b: number) => a - b),
    mul: binary("i32", Math.imul),
    divS: binary(
      "i32",
      divided((a: number, b: number) => {
        if (a === -0x80000000 && b === -1) throw new RangeError("trap");
        return a / b;
      }),
    ),
    divU: binary(
      "i32",
      divided((a: number, b: number) => u32(a) / u32(b)),
    ),
    remS: binary(
      "i32",
      divided((a: number, b: number) => a % b),
    ),
    remU: binary(
      "i32",
      divided((a: number, b: number) => u32(a) % u32(b)),
    ),
    and: binary("i32", (a: number, b: number) => a & b),
    or: binary("i32", (a: number, b: number) => a | b),
    xor: binary("i32", (a: number, b: number) => a ^ b),
    shl: binary("i32", (a: number, b: number) => a << b),
    shrS: binary("i32", (a: number, b: number) => a >> b),
    shrU: binary("i32", (a: number, b: number) => a >>> b),
    rotl: binary("i32", (a: number, b: number) => (a << b) | (a >>> -b)),
    rotr: binary("i32", (a: number, b: number) => (a >>> b) | (a << -b)),
    eq: binary("i32", (a: number, b: number) => bool(a === b)),
    ne: binary("i32", (a: number, b: number) => bool(a !== b)),
    ltS: binary("i32", (a: number, b: number) => bool(a < b)),
    ltU: binary("i32", (a: number, b: number) => bool(u32(a) < u32(b))),
    gtS: binary("i32", (a: number, b: number) => bool(a > b)),
    gtU: binary("i32", (a: number, b: number) => bool(u32(a) > u32(b))),
    leS: binary("i32", (a: number, b: number) => bool(a <= b)),
    leU: binary("i32", (a: number, b: number) => bool(u32(a) <= u32(b))),
    geS: binary("i32", (a: number, b: number) => bool(a >= b)),
    geU: binary("i32", (a: number, b: number) => bool(u32(a) >= u32(b))),
    eqz: unary("i32", (a: number) => bool(a === 0)),
    clz: unary("i32", Math.clz32),
    ctz: unary("i32", (a: number) => (a === 0 ? 32 : 31 - Math.clz32(a & -a))),
    popcnt: unary("i32", (a: number) => u32(a).toString(2).replaceAll("0", "").length),
    extend8S: unary("i32", (a: number) => (a << 24) >> 24),
    extend16S: unary("i32", (a: number) => (a << 16) >> 16),
    wrapI64: unary("i64", (a: bigint) => Number(BigInt.asIntN(32, a))),
    reinterpretF32: unary("f32", (a: number) => {
      bits.setFloat32(0, a);
      return bits.getInt32(0);
    }),
    ...truncations("i32"),
  },
  i64: {
    add: binary("i64", (a: bigint, b: bigint) => a + b),
    sub: binary("i64", (a: bigint, b: bigint) => a - b),
    mul: binary("i64", (a: bigint, b: bigint) => a * b),
    divS: binary(
      "i64",
      divided((a: bigint, b: bigint) => {
        if (a === -(1n << 63n) && b === -1n) throw new RangeError("trap");
        return a / b;
      }),
    ),
    divU: binary(
      "i64",
      divided((a: bigint, b: bigint) => u64(a) / u64(b)),
    ),
    remS: binary(
      "i64",
      divided((a: bigint, b: bigint) => a % b),
    ),
    remU: binary(
      "i64",
      divided((a: bigint, b: bigint) => u64(a) % u64(b)),
    ),
    and: binary("i64", (a: bigint, b: bigint) => a & b),
    or: binary("i64", (a: bigint, b: bigint) => a | b),
    xor: binary("i64", (a: bigint, b: bigint) => a ^ b),
    shl: binary("i64", (a: bigint, b: bigint) => a << (b & 63n)),
    shrS: binary("i64", (a: bigint, b: bigint) => a >> (b & 63n)),
    shrU: binary("i64", (a: bigint, b: bigint) => u64(a) >> (b & 63n)),
    rotl: binary("i64", (a: bigint, b: bigint) => (u64(a) << (b & 63n)) | (u64(a) >> (-b & 63n))),
    rotr: binary("i64", (a: bigint, b: bigint) => (u64(a) >> (b & 63n)) | (u64(a) << (-b & 63n))),
    eq: binary("i64", (a: bigint, b: bigint) => bool(a === b)),
    ne: binary("i64", (a: bigint, b: bigint) => bool(a !== b)),
    ltS: binary("i64", (a: bigint, b: bigint) => bool(a < b)),
    ltU: binary("i64", (a: bigint, b: bigint) => bool(u64(a) < u64(b))),
    gtS: binary("i64", (a: bigint, b: bigint) => bool(a > b)),
    gtU: binary("i64", (a: bigint, b: bigint) => bool(u64(a) > u64(b))),
    leS: binary("i64", (a: bigint, b: bigint) => bool(a <= b)),
    leU: binary("i64", (a: bigint, b: bigint) => bool(u64(a) <= u64(b))),
    geS: binary("i64", (a: bigint, b: bigint) => bool(a >= b)),
    geU: binary("i64", (a: bigint, b: bigint) => bool(u64(a) >= u64(b))),
    eqz: unary("i64", (a: bigint) => bool(a === 0n)),
    clz: unary("i64", (a: bigint) => BigInt(64 - (a === 0n ? 0 : u64(a).toString(2).length))),
    ctz: unary("i64", (a: bigint) => (a === 0n ? 64n : BigInt(u64(a & -a).toString(2).length - 1))),
    popcnt: unary("i64", (a: bigint) => BigInt(u64(a).toString(2).replaceAll("0", "").length)),
    extend8S: unary("i64", (a: bigint) => BigInt.asIntN(8, a)),
    extend16S: unary("i64", (a: bigint) => BigInt.asIntN(16, a)),
    extend32S: unary("i64", (a: bigint) => BigInt.asIntN(32, a)),
    extendI32S: unary("i32", (a: number) => BigInt(a)),
    extendI32U: unary("i32", (a: number) => BigInt(u32(a))),
    reinterpretF64: unary("f64", (a: number) => {
      bits.setFloat64(0, a);
      return bits.getBigInt64(0);
    }),
    ...truncations("i64"),
  },
  f32: {
    ...floatCases("f32"),
    demoteF64: unary("f64", Math.fround),
    reinterpretI32: unary("i32", (a: number) => {
      bits.setInt32(0, a);
      return bits.getFloat32(0);
    }),
  },
  f64: {
    ...floatCases("f64"),
    promoteF32: unary("f32", (a: number) => a),
    reinterpretI64: unary("i64", (a: bigint) => {
      bits.setBigInt64(0, a);
      return bits.getFloat64(0);
    }),
  },
};

/** A value as the host sees it when the function returns the type. */
function asType(type: ValueType, value: Value): Value {
  if (type === "i32") return Number(value) | 0;
  if (type === "i64") return s64(BigInt(value));
  return type === "f32" ? Math.fround(Number(value)) : Number(value);
}

type Operation = (a: Operand<"i32">, b: Operand<"i32">) => Expression<ValueType>;

function operation(namespace: object, name: string): Operation {
  const value: unknown = Reflect.get(namespace, name);
  if (typeof value !== "function") throw new Error(`no instruction ${name}`);
  return (...operands) => Reflect.apply(value, undefined, operands) as Expression<ValueType>;
}

const namespaces = { i32, i64, f32, f64 };

describe.each(["i32", "i64", "f32", "f64"] as const)("%s", (type) => {
  const names = Object.keys(namespaces[type]).filter((name) => name !== "const" && !name.startsWith("load"));

  test("every instruction has a case", () => {
    expect(names.toSorted()).toEqual(Object.keys(cases[type]).toSorted());
  });

  test.each(names)("%s", (name) => {
    const { operand, arity, reference } = cases[type][name] as Case;
    const run = operation(namespaces[type], name);
    const module = new ModuleBuilder({ memory: onePage });
    const zero = constant(operand as "i32", 0);
    const result = run(zero, zero).type;
    const params = Array.from({ length: arity }, () => operand);
    module.function("run", { params, results: [result], exported: true }, (body, ...operands) => {
      const [a, b] = operands as unknown as readonly Expression<"i32">[];
      if (a !== undefined) body.return(run(a, b ?? a));
    });
    const execute = exportedFunction(instantiate(module).exports, "run");
    const samples = values[operand as "i32"].map((value) => asType(operand, value));
    for (const a of samples) {
      for (const b of arity === 2 ? samples : [0]) {
        const inputs = arity === 2 ? [a, b] : [a];
        let expected: Value;
        try {
          expected = asType(result, reference(a as never, b as never));
        } catch {
          expect(() => execute(...inputs), `${name}(${inputs.join()})`).toThrow(WebAssembly.RuntimeError);
          continue;
        }
        if (name === "copysign" && Number.isNaN(b)) continue; // the sign of NaN is not visible here
        expect(execute(...inputs), `${name}(${inputs.join()})`).toEqual(expected);
      }
    }
  });
});

describe("constants", () => {
  test.each([0, 1, -1, 63, 64, -64, -65, 8191, 8192, 0x7fffffff, -0x80000000, 0xffffffff])("i32 %d", (value) => {
    expect(returned(i32.const(value))).toBe(value | 0);
  });

  test.each([0n, 63n, 64n, -65n, 1n << 40n, -(1n << 63n), (1n << 63n) - 1n])("i64 %d", (value) => {
    expect(returned(i64.const(value))).toBe(value);
  });

  test.each([0, -0, 0.1, -1e30, Infinity, NaN])("floats %d", (value) => {
    expect(returned(f32.const(value))).toBe(Math.fround(value));
    expect(returned(f64.const(value))).toBe(value);
  });

  test("i32 operations on constants fold to what they compute", () => {
    for (const name of Object.keys(cases.i32)) {
      const row = cases.i32[name] as Case;
      if (row.arity !== 2) continue;
      for (const a of values.i32 as readonly number[]) {
        for (const b of values.i32 as readonly number[]) {
          const folded = operation(i32, name)(a, b);
          if (folded.constant === undefined) continue;
          expect(folded.constant, `${name}(${a}, ${b})`).toBe((row.reference(a as never, b as never) as number) | 0);
          expect(folded.code[0]).toBe(0x41);
        }
      }
    }
    expect(i32.add(2, 3).constant).toBe(5);
    expect(i32.divS(1, 0).constant).toBeUndefined();
  });

  test("neutral operands cost nothing", () => {
    const x = i32.load(0);
    for (const same of [i32.add(x, 0), i32.add(0, x), i32.mul(x, 1), i32.mul(1, x), i32.shl(x, 0), i32.sub(x, 0)]) {
      expect(same).toBe(x);
    }
    expect(i32.sub(0, x)).not.toBe(x);
  });

  test("minimum and maximum", () => {
    expect([minimumS(i32.const(-3), 2).constant, maximumS(i32.const(-3), 2).constant]).toEqual([-3, 2]);
    const unknown = i32.load(0); // memory is zero
    expect([returned(minimumS(unknown, 2)), returned(maximumS(unknown, 2))]).toEqual([0, 2]);
  });
});

function returned(value: Expression<ValueType>): unknown {
  const module = new ModuleBuilder({ memory: onePage });
  module.function("run", { params: [], results: [value.type], exported: true }, (body) => body.return(value));
  return exportedFunction(instantiate(module).exports, "run")();
}
