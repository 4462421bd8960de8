/** Mathematical functions that JavaScript's Math lacks, to about 1e-15. */

const twoOverSqrtPi = 2 / Math.sqrt(Math.PI);

/**
 * The error function. Below 2.5 the series exp(-x^2) * sum 2^n x^(2n+1) / (2n+1)!! (Abramowitz and Stegun 7.1.6, all
 * terms positive); above, one minus the continued fraction of erfc (7.1.14), evaluated backwards.
 */
export function erf(value: number): number {
  const x = Math.abs(value);
  if (Number.isNaN(x) || x === 0) return value;
  const sign = value < 0 ? -1 : 1;
  if (x > 6) return sign;
  if (x < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; term > sum * 1e-17; n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return sign * twoOverSqrtPi * Math.exp(-x * x) * sum;
  }
  let fraction = x;
  for (let n = 60; n >= 1; n--) fraction = x + n / 2 / fraction;
  return sign * (1 - Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction));
}

/** 1 / (1 + e^-x). */
export const sigmoid = (value: number): number => 1 / (1 + Math.exp(-value));

/** log(1 + e^x) without overflow. */
export const softplus = (value: number): number => Math.max(value, 0) + Math.log1p(Math.exp(-Math.abs(value)));

/** IEEE 754 pow: unlike Math.pow, 1 to any power is 1, and -1 to an infinite power is 1. */
export function power(base: number, exponent: number): number {
  if (base === 1 || (base === -1 && Math.abs(exponent) === Infinity)) return 1;
  return base ** exponent;
}
