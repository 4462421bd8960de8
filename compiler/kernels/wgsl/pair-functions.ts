/**
 * WGSL functions on 64-bit integers as vec2u(low, high): Pair where the sign does not matter, Long for int64, Ulong
 * for uint64. Arithmetic wraps around, division truncates, by zero gives 0.
 */
export const pairFunctions = {
  addPair: {
    source: `fn addPair(a: vec2u, b: vec2u) -> vec2u {
  let low = a.x + b.x;
  return vec2u(low, a.y + b.y + select(0u, 1u, low < a.x));
}`,
  },
  subtractPair: {
    source:
      "fn subtractPair(a: vec2u, b: vec2u) -> vec2u { return vec2u(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x)); }",
  },
  multiplyPair: {
    source: `fn multiplyPair(a: vec2u, b: vec2u) -> vec2u {
  let p = (a.x & 0xffffu) * (b.x & 0xffffu);
  let q = (a.x >> 16u) * (b.x & 0xffffu);
  let r = (a.x & 0xffffu) * (b.x >> 16u);
  let middle = (p >> 16u) + (q & 0xffffu) + (r & 0xffffu);
  let high = (a.x >> 16u) * (b.x >> 16u) + (q >> 16u) + (r >> 16u) + (middle >> 16u);
  return vec2u((p & 0xffffu) | (middle << 16u), high + a.x * b.y + a.y * b.x);
}`,
  },
  negatePair: {
    needs: ["subtractPair"],
    source: "fn negatePair(x: vec2u) -> vec2u { return subtractPair(vec2u(), x); }",
  },
  absLong: {
    needs: ["negatePair"],
    source: "fn absLong(x: vec2u) -> vec2u { return select(x, negatePair(x), (x.y >> 31u) == 1u); }",
  },
  signLong: {
    source: `fn signLong(x: vec2u) -> vec2u {
  if ((x.y >> 31u) == 1u) { return vec2u(0xffffffffu); }
  return vec2u(select(0u, 1u, any(x != vec2u())), 0u);
}`,
  },
  signUlong: { source: "fn signUlong(x: vec2u) -> vec2u { return vec2u(select(0u, 1u, any(x != vec2u())), 0u); }" },

  lessUlong: {
    source: "fn lessUlong(a: vec2u, b: vec2u) -> bool { return a.y < b.y || (a.y == b.y && a.x < b.x); }",
  },
  lessLong: {
    needs: ["lessUlong"],
    source:
      "fn lessLong(a: vec2u, b: vec2u) -> bool { return lessUlong(a ^ vec2u(0u, 0x80000000u), b ^ vec2u(0u, 0x80000000u)); }",
  },

  // Quotient and rest, bit by bit.
  quotientUlong: {
    needs: ["lessUlong", "subtractPair"],
    source: `fn quotientUlong(a: vec2u, b: vec2u) -> vec4u {
  if (all(b == vec2u())) { return vec4u(); }
  var quotient = vec2u();
  var rest = vec2u();
  for (var i = 0u; i < 64u; i++) {
    let carry = rest.y >> 31u;
    let bit = (select(a.x, a.y, i < 32u) >> ((31u - i) & 31u)) & 1u;
    rest = vec2u((rest.x << 1u) | bit, (rest.y << 1u) | (rest.x >> 31u));
    quotient = vec2u(quotient.x << 1u, (quotient.y << 1u) | (quotient.x >> 31u));
    if (carry == 1u || !lessUlong(rest, b)) {
      rest = subtractPair(rest, b);
      quotient.x |= 1u;
    }
  }
  return vec4u(quotient, rest);
}`,
  },
  divideUlong: {
    needs: ["quotientUlong"],
    source: "fn divideUlong(a: vec2u, b: vec2u) -> vec2u { return quotientUlong(a, b).xy; }",
  },
  remainderUlong: {
    needs: ["quotientUlong"],
    source: "fn remainderUlong(a: vec2u, b: vec2u) -> vec2u { return quotientUlong(a, b).zw; }",
  },
  divideLong: {
    needs: ["quotientUlong", "absLong", "negatePair"],
    source: `fn divideLong(a: vec2u, b: vec2u) -> vec2u {
  let value = quotientUlong(absLong(a), absLong(b)).xy;
  return select(value, negatePair(value), ((a.y ^ b.y) >> 31u) == 1u);
}`,
  },
  remainderLong: {
    needs: ["quotientUlong", "absLong", "negatePair"],
    source: `fn remainderLong(a: vec2u, b: vec2u) -> vec2u {
  let value = quotientUlong(absLong(a), absLong(b)).zw;
  return select(value, negatePair(value), (a.y >> 31u) == 1u);
}`,
  },
  moduloLong: {
    needs: ["remainderLong", "addPair"],
    source: `fn moduloLong(a: vec2u, b: vec2u) -> vec2u {
  let rest = remainderLong(a, b);
  return select(rest, addPair(rest, b), any(rest != vec2u()) && ((rest.y ^ b.y) >> 31u) == 1u);
}`,
  },

  shiftLeftPair: {
    source: `fn shiftLeftPair(x: vec2u, count: u32) -> vec2u {
  let n = count & 31u;
  if ((count & 32u) != 0u) { return vec2u(0u, x.x << n); }
  return vec2u(x.x << n, (x.y << n) | select(x.x >> ((32u - n) & 31u), 0u, n == 0u));
}`,
  },
  shiftRightLong: {
    source: `fn shiftRightLong(x: vec2u, count: u32) -> vec2u {
  let n = count & 31u;
  let high = bitcast<i32>(x.y);
  if ((count & 32u) != 0u) { return bitcast<vec2u>(vec2i(high >> n, high >> 31u)); }
  return vec2u((x.x >> n) | select(x.y << ((32u - n) & 31u), 0u, n == 0u), bitcast<u32>(high >> n));
}`,
  },
  shiftRightUlong: {
    source: `fn shiftRightUlong(x: vec2u, count: u32) -> vec2u {
  let n = count & 31u;
  if ((count & 32u) != 0u) { return vec2u(x.y >> n, 0u); }
  return vec2u((x.x >> n) | select(x.y << ((32u - n) & 31u), 0u, n == 0u), x.y >> n);
}`,
  },

  pairOfInt: { source: "fn pairOfInt(x: i32) -> vec2u { return vec2u(u32(x), u32(x >> 31u)); }" },
  floatOfPair: {
    source: `fn floatOfPair(x: vec2u) -> f32 {
  let high = bitcast<i32>(x.y);
  if (high == bitcast<i32>(x.x) >> 31u) { return f32(bitcast<i32>(x.x)); }
  if (high >= 0) { return f32(high) * 4294967296f + f32(x.x); }
  let low = 0u - x.x;
  return -(f32(~x.y + select(0u, 1u, low == 0u)) * 4294967296f + f32(low));
}`,
  },
  // Below 2^64, without its sign and fraction.
  pairOfSize: {
    source: `fn pairOfSize(x: f32) -> vec2u {
  let size = floor(abs(x));
  let high = floor(size / 4294967296f);
  return vec2u(u32(size - high * 4294967296f), u32(high));
}`,
  },
  longOfFloat: {
    needs: ["pairOfSize", "negatePair", "isNaN"],
    source: `fn longOfFloat(x: f32) -> vec2u {
  if (isNaN(x)) { return vec2u(); }
  if (x >= 9223372036854775808f) { return vec2u(0xffffffffu, 0x7fffffffu); }
  if (x <= -9223372036854775808f) { return vec2u(0u, 0x80000000u); }
  let value = pairOfSize(x);
  return select(value, negatePair(value), x < 0f);
}`,
  },
  ulongOfFloat: {
    needs: ["pairOfSize"],
    source: `fn ulongOfFloat(x: f32) -> vec2u {
  if (!(x > 0f)) { return vec2u(); }
  if (x >= 18446744073709551616f) { return vec2u(0xffffffffu); }
  return pairOfSize(x);
}`,
  },
} as const satisfies Readonly<Record<string, { readonly needs?: readonly string[]; readonly source: string }>>;
