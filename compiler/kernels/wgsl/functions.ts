/**
 * The WGSL functions that generated shaders call, each with those it calls itself. WGSL leaves NaN and infinities to
 * the implementation in many built-in functions, so those that must keep them test the bits.
 */
import { memoryFunctions } from "./memory-functions.ts";
import { pairFunctions } from "./pair-functions.ts";

interface WgslFunction {
  readonly needs?: readonly WgslFunctionName[];
  readonly source: string;
}

export type WgslFunctionName = keyof typeof sources;

const sources = {
  ...memoryFunctions,
  ...pairFunctions,

  floatOfBits: { source: "fn floatOfBits(bits: u32) -> f32 { return bitcast<f32>(bits); }" },
  isNaN: { source: "fn isNaN(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }" },

  minimumFloat: {
    needs: ["isNaN"],
    source:
      "fn minimumFloat(a: f32, b: f32) -> f32 { if (isNaN(a)) { return a; } if (isNaN(b)) { return b; } return min(a, b); }",
  },
  maximumFloat: {
    needs: ["isNaN"],
    source:
      "fn maximumFloat(a: f32, b: f32) -> f32 { if (isNaN(a)) { return a; } if (isNaN(b)) { return b; } return max(a, b); }",
  },
  signFloat: {
    needs: ["isNaN"],
    source: "fn signFloat(x: f32) -> f32 { if (isNaN(x)) { return x; } return sign(x); }",
  },
  remainderFloat: {
    source: "fn remainderFloat(a: f32, b: f32) -> f32 { return a - b * trunc(a / b); }",
  },
  moduloFloat: {
    needs: ["remainderFloat"],
    source: `fn moduloFloat(a: f32, b: f32) -> f32 {
  let rest = remainderFloat(a, b);
  return select(rest, rest + b, rest != 0f && (rest < 0f) != (b < 0f));
}`,
  },
  power: {
    needs: ["isNaN", "isInfinite", "floatOfBits"],
    source: `fn power(a: f32, b: f32) -> f32 {
  if (b == 0f || a == 1f) { return 1f; }
  if (isNaN(a) || isNaN(b)) { return floatOfBits(0x7fc00000u); }
  let infinity = floatOfBits(0x7f800000u);
  let size = abs(a);
  if (isInfinite(b)) {
    if (size == 1f) { return 1f; }
    return select(0f, infinity, (size > 1f) == (b > 0f));
  }
  let isWhole = b == floor(b);
  let isNegative = (bitcast<u32>(a) >> 31u) == 1u && isWhole && fract(b * 0.5f) != 0f;
  if (a == 0f || isInfinite(a)) {
    let value = select(0f, infinity, (a == 0f) == (b < 0f));
    return select(value, -value, isNegative);
  }
  if (a < 0f && !isWhole) { return floatOfBits(0x7fc00000u); }
  if (b == 1f) { return a; }
  if (b == 2f) { return a * a; }
  let value = pow(size, b);
  return select(value, -value, isNegative);
}`,
  },
  tanhFloat: {
    needs: ["isNaN"],
    source: `fn tanhFloat(x: f32) -> f32 {
  if (isNaN(x)) { return x; }
  let size = abs(x);
  if (size < 0.05f) { let s = x * x; return x * (1f - s * (0.33333333f - s * 0.13333333f)); }
  if (size > 10f) { return select(1f, -1f, x < 0f); }
  let value = 1f - 2f / (exp(2f * size) + 1f);
  return select(value, -value, x < 0f);
}`,
  },
  sinhFloat: {
    needs: ["expFloat"],
    source: `fn sinhFloat(x: f32) -> f32 {
  let s = x * x;
  if (s < 0.25f) { return x * (1f + s * (0.16666667f + s * (0.0083333333f + s * 0.00019841270f))); }
  let half = expFloat(0.5f * abs(x));
  let value = 0.5f * half * half - 0.5f / half / half;
  return select(value, -value, x < 0f);
}`,
  },
  coshFloat: {
    needs: ["expFloat"],
    source: `fn coshFloat(x: f32) -> f32 {
  let half = expFloat(0.5f * abs(x));
  return 0.5f * half * half + 0.5f / half / half;
}`,
  },
  // log(1 + x) by the quotient that cancels the rounding of 1 + x (Kahan).
  logOnePlus: {
    needs: ["logFloat", "isNaN", "isInfinite"],
    source: `fn logOnePlus(x: f32) -> f32 {
  let u = 1f + x;
  if (u == 1f || isNaN(x) || isInfinite(x)) { return x; }
  return logFloat(u) * (x / (u - 1f));
}`,
  },
  asinhFloat: {
    needs: ["logOnePlus", "logFloat"],
    source: `fn asinhFloat(x: f32) -> f32 {
  let size = abs(x);
  if (size > 1e9f) { let large = logFloat(size) + 0.69314718f; return select(large, -large, x < 0f); }
  let value = logOnePlus(size + size * size / (1f + sqrt(size * size + 1f)));
  return select(value, -value, x < 0f);
}`,
  },
  acoshFloat: {
    needs: ["logOnePlus", "logFloat", "isNaN", "floatOfBits"],
    source: `fn acoshFloat(x: f32) -> f32 {
  if (isNaN(x) || x < 1f) { return floatOfBits(0x7fc00000u); }
  if (x > 1e9f) { return logFloat(x) + 0.69314718f; }
  let d = x - 1f;
  return logOnePlus(d + sqrt(2f * d + d * d));
}`,
  },
  atanhFloat: {
    needs: ["logOnePlus", "floatOfBits"],
    source: `fn atanhFloat(x: f32) -> f32 {
  if (abs(x) > 1f) { return floatOfBits(0x7fc00000u); }
  return 0.5f * (logOnePlus(x) - logOnePlus(-x));
}`,
  },
  // Taylor series around 0, else Abramowitz and Stegun 7.1.26 (absolute error 1.5e-7).
  erf: {
    needs: ["isNaN"],
    source: `fn erf(x: f32) -> f32 {
  if (isNaN(x)) { return x; }
  let size = abs(x);
  if (size < 0.5f) {
    let s = x * x;
    return x * (1.1283792f - s * (0.37612639f - s * (0.11283792f - s * (0.026866171f - s * (0.0052239776f - s * 0.00085483270f)))));
  }
  if (size > 4f) { return select(1f, -1f, x < 0f); }
  let t = 1f / (1f + 0.3275911f * size);
  let tail = t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f)))) * exp(-size * size);
  return select(1f - tail, tail - 1f, x < 0f);
}`,
  },
  sigmoid: {
    needs: ["expFloat"],
    source: `fn sigmoid(x: f32) -> f32 {
  let tail = expFloat(-abs(x));
  return select(1f, tail, x < 0f) / (1f + tail);
}`,
  },
  softplus: {
    needs: ["logOnePlus", "expFloat", "isNaN"],
    source: `fn softplus(x: f32) -> f32 {
  if (isNaN(x)) { return x; }
  return max(x, 0f) + logOnePlus(expFloat(-abs(x)));
}`,
  },
  isInfinite: {
    source: `fn isInfinite(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) == 0x7f800000u; }`,
  },
  expFloat: {
    needs: ["isNaN", "floatOfBits"],
    source: `fn expFloat(x: f32) -> f32 {
  if (isNaN(x)) { return x; }
  if (x > 88.8f) { return floatOfBits(0x7f800000u); }
  if (x < -104f) { return 0f; }
  return exp(x);
}`,
  },
  logFloat: {
    needs: ["isNaN", "isInfinite", "floatOfBits"],
    source: `fn logFloat(x: f32) -> f32 {
  if (isNaN(x) || x < 0f) { return floatOfBits(0x7fc00000u); }
  if (x == 0f) { return floatOfBits(0xff800000u); }
  if (isInfinite(x)) { return x; }
  return log(x);
}`,
  },

  // Three-part reduction by pi/2 and polynomials (Cephes): WGSL promises 2^-11 for sin and cos, and only within pi.
  quarterWave: {
    source: `fn quarterWave(x: f32, quarter: i32) -> f32 {
  let k = round(x * 0.63661977f);
  let r = ((x - k * 1.5703125f) - k * 4.8375129699707e-4f) - k * 7.5497899548e-8f;
  let s = r * r;
  let odd = ((i32(k) + quarter) & 1) == 1;
  let sine = r + r * s * (-1.6666654611e-1f + s * (8.3321608736e-3f - s * 1.9515295891e-4f));
  let cosine = 1f - 0.5f * s + s * s * (4.1666645683e-2f + s * (-1.3887316255e-3f + s * 2.4433157118e-5f));
  let value = select(sine, cosine, odd);
  return select(value, -value, ((i32(k) + quarter) & 2) == 2);
}`,
  },
  sinFloat: {
    needs: ["quarterWave", "isNaN", "isInfinite", "floatOfBits"],
    source: `fn sinFloat(x: f32) -> f32 {
  if (isNaN(x) || isInfinite(x)) { return floatOfBits(0x7fc00000u); }
  return quarterWave(x, 0);
}`,
  },
  cosFloat: {
    needs: ["quarterWave", "isNaN", "isInfinite", "floatOfBits"],
    source: `fn cosFloat(x: f32) -> f32 {
  if (isNaN(x) || isInfinite(x)) { return floatOfBits(0x7fc00000u); }
  return quarterWave(x, 1);
}`,
  },
  tanFloat: {
    needs: ["sinFloat", "cosFloat"],
    source: "fn tanFloat(x: f32) -> f32 { return sinFloat(x) / cosFloat(x); }",
  },
  // asin on 0..0.5, and atan, by the polynomials of Cephes.
  asinCore: {
    source: `fn asinCore(a: f32) -> f32 {
  let z = a * a;
  return a + a * z * (1.6666752422e-1f + z * (7.4953002686e-2f + z * (4.5470025998e-2f + z * (2.4181311049e-2f + z * 4.2163199048e-2f))));
}`,
  },
  asinFloat: {
    needs: ["asinCore", "isNaN", "floatOfBits"],
    source: `fn asinFloat(x: f32) -> f32 {
  let size = abs(x);
  if (isNaN(x) || size > 1f) { return floatOfBits(0x7fc00000u); }
  if (size <= 0.5f) { return asinCore(x); }
  let value = 1.57079633f - 2f * asinCore(sqrt(0.5f * (1f - size)));
  return select(value, -value, x < 0f);
}`,
  },
  acosFloat: {
    needs: ["asinCore", "isNaN", "floatOfBits"],
    source: `fn acosFloat(x: f32) -> f32 {
  let size = abs(x);
  if (isNaN(x) || size > 1f) { return floatOfBits(0x7fc00000u); }
  if (size <= 0.5f) { return 1.57079633f - asinCore(x); }
  let value = 2f * asinCore(sqrt(0.5f * (1f - size)));
  return select(value, 3.14159265f - value, x < 0f);
}`,
  },
  atanFloat: {
    needs: ["isNaN"],
    source: `fn atanFloat(x: f32) -> f32 {
  if (isNaN(x)) { return x; }
  let size = abs(x);
  var base = 0f;
  var r = size;
  if (size > 2.41421356f) { base = 1.57079633f; r = -1f / size; }
  else if (size > 0.41421356f) { base = 0.78539816f; r = (size - 1f) / (size + 1f); }
  let z = r * r;
  let value = base + r + r * z * (-3.33329491539e-1f + z * (1.99777106478e-1f + z * (-1.38776856032e-1f + z * 8.05374449538e-2f)));
  return select(value, -value, x < 0f);
}`,
  },

  divideInt: {
    source: `fn divideInt(a: i32, b: i32) -> i32 {
  if (b == 0) { return 0; }
  if (b == -1) { return 0 - a; }
  return a / b;
}`,
  },
  remainderInt: {
    source: "fn remainderInt(a: i32, b: i32) -> i32 { if (b == 0 || b == -1) { return 0; } return a % b; }",
  },
  moduloInt: {
    needs: ["remainderInt"],
    source: `fn moduloInt(a: i32, b: i32) -> i32 {
  let rest = remainderInt(a, b);
  return select(rest, rest + b, rest != 0 && (rest ^ b) < 0);
}`,
  },
  divideUint: { source: "fn divideUint(a: u32, b: u32) -> u32 { if (b == 0u) { return 0u; } return a / b; }" },
  remainderUint: { source: "fn remainderUint(a: u32, b: u32) -> u32 { if (b == 0u) { return 0u; } return a % b; }" },

  intOfFloat: {
    needs: ["isNaN"],
    source: `fn intOfFloat(x: f32) -> i32 {
  if (isNaN(x)) { return 0; }
  if (x >= 2147483648f) { return 2147483647; }
  if (x <= -2147483648f) { return i32(-2147483648); }
  return i32(x);
}`,
  },
  uintOfFloat: {
    source: `fn uintOfFloat(x: f32) -> u32 {
  if (!(x > 0f)) { return 0u; }
  if (x >= 4294967296f) { return 4294967295u; }
  return u32(x);
}`,
  },
} as const satisfies Readonly<Record<string, { readonly needs?: readonly string[]; readonly source: string }>>;

/** The sources of `names` and of all that they call, callees first, each once. */
export function wgslSources(names: Iterable<WgslFunctionName>): readonly string[] {
  const found = new Map<WgslFunctionName, string>();
  const add = (name: WgslFunctionName): void => {
    if (found.has(name)) return;
    const { needs = [], source }: WgslFunction = sources[name];
    for (const needed of needs) add(needed);
    found.set(name, source);
  };
  for (const name of names) add(name);
  return [...found.values()];
}
