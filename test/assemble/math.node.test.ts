import { describe, expect, test } from "vitest";
import type { Expression } from "../../compiler/assemble/expression.ts";
import { MathLibrary } from "../../compiler/assemble/math.ts";
import { type WasmTarget, wasmRelaxed, wasmSimd } from "../../compiler/assemble/target.ts";
import { f32x4, v128 } from "../../compiler/assemble/vector.ts";
import { ModuleBuilder } from "../../compiler/assemble/wasm.ts";
import { float16ToNumber, numberToFloat16 } from "../../runtime/format/half.ts";
import { erf, power, sigmoid, softplus } from "../../runtime/reference/special.ts";
import { exportedFunction, supports } from "./run.ts";

type Vector = Expression<"v128">;
type Operation = (math: MathLibrary, x: Vector, y: Vector) => Vector;

const relaxedRuns = supports((a) => f32x4.relaxedMadd(a, a, a));
const targets: readonly WasmTarget[] = relaxedRuns ? [wasmSimd, wasmRelaxed] : [wasmSimd];

/** Computes the operation on arrays of equal length. */
function compute(
  operation: Operation,
  target: WasmTarget,
  x: Float32Array<ArrayBuffer>,
  y: Float32Array<ArrayBuffer> = x,
): Float32Array {
  const bytes = Math.ceil(x.byteLength / 16) * 16;
  const initial = Math.ceil((3 * bytes) / 65536) + 1;
  const module = new ModuleBuilder({ memory: { module: "env", name: "memory", initialPages: 1 } });
  const math = new MathLibrary(module, target);
  module.function("run", { params: [], results: [], exported: true }, (body) => {
    body.forRange(0, bytes, 16, (offset) => {
      const result = operation(math, v128.load(offset), v128.load(offset, { offset: bytes }));
      body.v128Store(offset, result, { offset: 2 * bytes });
    });
  });
  const memory = new WebAssembly.Memory({ initial });
  const compiled = new WebAssembly.Module(module.encode());
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
  new Float32Array(memory.buffer).set(x);
  new Float32Array(memory.buffer, bytes).set(y);
  exportedFunction(exports, "run")();
  return new Float32Array(memory.buffer, 2 * bytes, x.length).slice();
}

/** The distance between a float32 at |x| and the next. */
function unitInLastPlace(x: number): number {
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(x))), -126);
  return 2 ** (exponent - 23);
}

/** n values evenly spaced. */
function linear(from: number, to: number, n: number): number[] {
  return Array.from({ length: n }, (_, i) => from + ((to - from) * i) / (n - 1));
}
/** n values with evenly spaced logarithms, of both signs. */
function logarithmic(from: number, to: number, n: number): number[] {
  return linear(Math.log(from), Math.log(to), n).flatMap((x) => [Math.exp(x), -Math.exp(x)]);
}

interface Case {
  readonly operation: Operation;
  readonly reference: (x: number) => number;
  readonly samples: readonly number[];
  /** Largest error in units in the last place, unless the absolute error is at most `absolute`. */
  readonly ulp: number;
  readonly absolute?: number;
  /** In place of the special values all cases share. */
  readonly specials?: readonly number[];
}

const everywhere = [...logarithmic(1e-44, 3.4e38, 20000), ...linear(-20, 20, 20001)];
const unit = [...linear(-1, 1, 40001), ...logarithmic(1e-44, 1, 5000)];
const moderate = [...linear(-1000, 1000, 40001), ...logarithmic(1e-44, 1, 5000)];

const trigonometricSpecials = [0, -0, Infinity, -Infinity, NaN, 2 ** -149, -(2 ** -149)];

const cases: Record<string, Case> = {
  exp: {
    operation: (m, x) => m.exp(x),
    reference: Math.exp,
    samples: [...linear(-110, 90, 40001), ...everywhere],
    ulp: 2,
  },
  log: {
    operation: (m, x) => m.log(x),
    reference: Math.log,
    samples: [...everywhere, ...linear(0.4, 3, 20001)],
    ulp: 2,
  },
  log1p: { operation: (m, x) => m.log1p(x), reference: Math.log1p, samples: [...everywhere, ...unit], ulp: 3 },
  sigmoid: {
    operation: (m, x) => m.sigmoid(x),
    reference: sigmoid,
    samples: [...linear(-100, 100, 40001), ...everywhere],
    ulp: 4,
    absolute: 2 ** -126, // subnormal results are flushed to 0
  },
  tanh: { operation: (m, x) => m.tanh(x), reference: Math.tanh, samples: everywhere, ulp: 5 },
  erf: { operation: (m, x) => m.erf(x), reference: erf, samples: [...everywhere, ...linear(-5, 5, 40001)], ulp: 6 },
  softplus: { operation: (m, x) => m.softplus(x), reference: softplus, samples: everywhere, ulp: 4 },
  sin: {
    operation: (m, x) => m.sin(x),
    reference: Math.sin,
    samples: moderate,
    specials: trigonometricSpecials,
    ulp: 2,
  },
  cos: {
    operation: (m, x) => m.cos(x),
    reference: Math.cos,
    samples: moderate,
    specials: trigonometricSpecials,
    ulp: 2,
  },
  tan: {
    operation: (m, x) => m.tan(x),
    reference: Math.tan,
    samples: moderate,
    specials: trigonometricSpecials,
    ulp: 4,
  },
  asin: { operation: (m, x) => m.asin(x), reference: Math.asin, samples: unit, ulp: 3 },
  acos: { operation: (m, x) => m.acos(x), reference: Math.acos, samples: unit, ulp: 3 },
  atan: { operation: (m, x) => m.atan(x), reference: Math.atan, samples: everywhere, ulp: 3 },
  sinh: {
    operation: (m, x) => m.sinh(x),
    reference: Math.sinh,
    samples: [...linear(-90, 90, 40001), ...everywhere],
    ulp: 3,
  },
  cosh: {
    operation: (m, x) => m.cosh(x),
    reference: Math.cosh,
    samples: [...linear(-90, 90, 40001), ...everywhere],
    ulp: 3,
  },
  asinh: { operation: (m, x) => m.asinh(x), reference: Math.asinh, samples: everywhere, ulp: 4 },
  acosh: {
    operation: (m, x) => m.acosh(x),
    reference: Math.acosh,
    samples: [...everywhere, ...linear(1, 3, 20001)],
    ulp: 4,
  },
  atanh: { operation: (m, x) => m.atanh(x), reference: Math.atanh, samples: unit, ulp: 4 },
  reciprocal: { operation: (m, x) => m.reciprocal(x), reference: (x) => 1 / x, samples: everywhere, ulp: 0.5 },
  sqrt: { operation: (m, x) => m.sqrt(x), reference: Math.sqrt, samples: everywhere, ulp: 0.5 },
};

const specials = [0, -0, 1, -1, Infinity, -Infinity, NaN, 2 ** -149, -(2 ** -149), 3.4e38, -3.4e38, 88.7, 89.3, -104];

/** The largest error of the results, in units in the last place of the float32 reference, and where it is. */
function worst({ reference, absolute = 0 }: Case, x: Float32Array, results: Float32Array) {
  let largest = { ulp: 0, at: NaN, got: NaN, expected: NaN };
  for (const [i, got] of results.entries()) {
    const at = x[i] ?? NaN;
    const expected = reference(at);
    const rounded = Math.fround(expected);
    if (Object.is(got, rounded) || Math.abs(got - expected) <= absolute) continue;
    const distance = Math.abs(got - expected) / unitInLastPlace(rounded);
    const ulp = Number.isFinite(distance) ? distance : Infinity;
    if (ulp > largest.ulp) largest = { ulp, at, got, expected };
  }
  return largest;
}

describe.each(targets)("$name", (target) => {
  test.each(Object.entries(cases))("%s", (_, row) => {
    const x = Float32Array.from([...row.samples, ...(row.specials ?? specials)]);
    const error = worst(row, x, compute(row.operation, target, x));
    expect(error.ulp, JSON.stringify(error)).toBeLessThanOrEqual(row.ulp);
  });
});

describe.each(targets)("$name, large arguments", (target) => {
  const x = Float32Array.from(logarithmic(1000, 2 ** 20, 40000));

  test.each([
    ["sin", Math.sin],
    ["cos", Math.cos],
  ] as const)("%s is within 1.1e-7 up to 2^20", (name, reference) => {
    const results = compute((math, v) => math[name](v), target, x);
    const errors = results.map((got, i) => Math.abs(got - reference(x[i] ?? NaN)));
    expect(errors.reduce((a, b) => Math.max(a, b), 0)).toBeLessThan(1.1e-7);
  });

  test("sin and cos stay bounded beyond", () => {
    const far = Float32Array.from(logarithmic(2 ** 20, 3.4e38, 1000));
    for (const name of ["sin", "cos"] as const) {
      const results = compute((math, v) => math[name](v), target, far);
      expect(results.every((value) => Math.abs(value) <= 1.000001)).toBe(true);
    }
  });
});

describe.each(targets)("$name, two operands", (target) => {
  const interesting = [
    ...[0, -0, 1, -1, 2, -2, 3, -3, 0.5, -0.5, 1.5, -2.5, 7, 1e-40, -1e-40, 1e30, -1e30],
    ...[16777216, -16777216, 16777215, 33554432, Infinity, -Infinity, NaN, 2 ** -149, 3.4e38, 0.1, -0.3],
  ];
  const pairs = interesting.flatMap((a) => interesting.map((b) => [a, b] as const));
  const left = Float32Array.from(pairs, ([a]) => a);
  const right = Float32Array.from(pairs, ([, b]) => b);

  function compare(
    name: "power" | "remainder" | "modulo",
    a: Float32Array<ArrayBuffer>,
    b: Float32Array<ArrayBuffer>,
    ulp: number,
  ) {
    const reference = { power, remainder: (x: number, y: number) => x % y, modulo: flooredModulo }[name];
    const results = compute((math, x, y) => math[name](x, y), target, a, b);
    let failures = "";
    for (const [i, got] of results.entries()) {
      const [x, y] = [a[i] ?? NaN, b[i] ?? NaN];
      const expected = Math.fround(reference(x, y));
      const same = Object.is(got, expected) || Math.abs(got - expected) <= ulp * unitInLastPlace(expected);
      if (!same) failures += `${name}(${x}, ${y}) = ${got}, not ${expected}\n`;
    }
    expect(failures).toBe("");
  }

  test("special cases of power are those of IEEE 754", () => compare("power", left, right, 1));
  test("special cases of remainder", () => compare("remainder", left, right, 0));
  test("special cases of modulo", () => compare("modulo", left, right, 0));

  test("power over the whole range", () => {
    const bases = logarithmic(1e-44, 3.4e38, 10000).map(Math.abs);
    const exponents = bases.map((x, i) => (((i * 0.618034) % 1) * 2 - 1) * (104 / Math.max(1, Math.abs(Math.log(x)))));
    compare("power", Float32Array.from(bases), Float32Array.from(exponents), 1);
    const near = linear(0.5, 2, 20001);
    compare(
      "power",
      Float32Array.from(near),
      Float32Array.from(near, (_, i) => (i % 301) - 150),
      1,
    );
    compare(
      "power",
      Float32Array.from(near, (x) => -x * 3),
      Float32Array.from(near, (_, i) => (i % 61) - 30),
      1,
    );
  });

  test("remainder and modulo are exact whatever the quotient", () => {
    const dividends = logarithmic(1e-44, 3.4e38, 10000);
    const divisors = dividends.map((_, i) => logarithmic(1e-44, 3.4e38, 101)[(i * 37) % 202] ?? 1);
    const near = linear(-50, 50, 20001);
    for (const name of ["remainder", "modulo"] as const) {
      compare(name, Float32Array.from(dividends), Float32Array.from(divisors), 0);
      compare(
        name,
        Float32Array.from(near),
        Float32Array.from(near, (_, i) => ((i % 17) - 8) * 0.37),
        0,
      );
    }
  });
});

/** The remainder with the sign of the divisor. */
function flooredModulo(x: number, y: number): number {
  const rest = x % y;
  return rest !== 0 && rest < 0 !== y < 0 ? rest + y : rest;
}

describe("exact operations", () => {
  test.each([
    ["round", (x: number) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x))],
    ["floor", Math.floor],
    ["ceil", Math.ceil],
    ["truncate", Math.trunc],
    ["abs", Math.abs],
    ["negate", (x: number) => -x],
    ["sign", Math.sign],
  ] as const)("%s", (name, reference) => {
    const x = Float32Array.from([...linear(-8, 8, 65), ...specials, 8388607.5, -8388607.5, 1e10]);
    const results = compute((math, v) => math[name](v), wasmSimd, x);
    const expected = x.map(reference);
    const keepsZero = name === "abs" || name === "negate" || name === "sign";
    expect(keepsZero ? results : results.map((value) => value + 0)).toEqual(
      keepsZero ? expected : expected.map((value) => value + 0),
    );
  });

  test("every half to float32", () => {
    const halves = Uint32Array.from({ length: 65536 }, (_, half) => half | 0xabcd0000);
    const results = compute((math, v) => math.halfToFloat(v), wasmSimd, new Float32Array(halves.buffer));
    expect(results).toEqual(Float32Array.from({ length: 65536 }, (_, half) => float16ToNumber(half)));
  });

  test("float32 to half: nearest, ties to even", () => {
    const exact = Array.from({ length: 65536 }, (_, half) => float16ToNumber(half));
    const halfway = exact.map((value, half) => (value + (exact[half + 1] ?? value)) / 2);
    const around = halfway.flatMap((value) => [value, value * (1 + 1e-7), value * (1 - 1e-7)]);
    const beyond = [65504, 65519.99, 65520, 65536, 1e10, -1e10, 3.4e38, 1e-8, 2 ** -25, 2.0001 ** -25, 1e-45];
    const x = Float32Array.from([...exact, ...around, ...beyond, ...specials]);
    const results = new Uint32Array(compute((math, v) => math.floatToHalf(v), wasmSimd, x).buffer);
    const expected = Uint32Array.from(x, numberToFloat16);
    const isNaNHalf = (half: number): boolean => (half & 0x7c00) === 0x7c00 && (half & 0x3ff) !== 0;
    for (const [i, half] of results.entries()) {
      const wanted = expected[i] ?? 0;
      if (half !== wanted && !(isNaNHalf(half) && isNaNHalf(wanted))) {
        expect.fail(`${x[i]} gives ${half.toString(16)}, not ${wanted.toString(16)}`);
      }
    }
  });
});

describe("functions of a module", () => {
  test("each is defined once, when used, and small", () => {
    const module = new ModuleBuilder({ memory: { module: "env", name: "memory", initialPages: 1 } });
    const math = new MathLibrary(module, wasmSimd);
    expect(module.functionSizes()).toEqual([]);
    module.function("run", { params: ["v128"], results: ["v128"] }, (body, x) => {
      body.return(math.softplus(math.exp(math.exp(math.sqrt(x)))));
    });
    const sizes = module.functionSizes();
    expect(sizes.map(({ name }) => name).toSorted()).toEqual(["exp", "log1p", "run", "softplus"]);
    for (const { name, bytes } of sizes) expect(bytes, name).toBeLessThan(400);
  });

  test("an inlined function computes the same, and adds none", () => {
    const x = Float32Array.from(linear(-20, 20, 401));
    const called = compute((math, v) => math.sigmoid(v), wasmSimd, x);
    const module = new ModuleBuilder({ memory: { module: "env", name: "memory", initialPages: 1 } });
    const math = new MathLibrary(module, wasmSimd);
    module.function("run", { params: [], results: [], exported: true }, (body) => {
      body.forRange(0, x.byteLength, 16, (offset) => {
        body.v128Store(offset, math.inline("sigmoid", body, v128.load(offset)));
      });
    });
    expect(module.functionSizes()).toHaveLength(1);
    const memory = new WebAssembly.Memory({ initial: 1 });
    new Float32Array(memory.buffer).set(x);
    const compiled = new WebAssembly.Module(module.encode());
    exportedFunction(new WebAssembly.Instance(compiled, { env: { memory } }).exports, "run")();
    expect(new Float32Array(memory.buffer, 0, x.length)).toEqual(called);
  });
});
