/**
 * e^x for x <= 0, as softmax needs it: 2^y with y = x log2(e), in half the instructions of the general function.
 * The relative error grows with |x| (6e-8 |x|), below -87.7 the result is exactly 0. NaN gives NaN.
 */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression as Code } from "../../assemble/expression.ts";
import { multiplyAdd, type WasmTarget } from "../../assemble/target.ts";
import { f32x4, i32x4 } from "../../assemble/vector.ts";

type Vector = Code<"v128">;

/** Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits. */
const rounder = 12582912;
/** e^r on |r| <= 0.35 (a minimax fit, 9.8e-8 relative), its argument scaled to 2^f = e^(f ln 2). */
const exponential = [
  1, 0.9999997019767761, 0.49999117851257324, 0.16667649149894714, 0.041902314871549606, 0.008290749974548817,
].map((coefficient, power) => coefficient * Math.LN2 ** power);

/** The function for use inside loops of the current scope: its constants are loaded here, once. */
export function decayingExponential(body: BodyBuilder, target: WasmTarget): (x: Vector) => Vector {
  const constant = (value: number): Vector => body.local("v128", f32x4.splat(value));
  const scale = constant(Math.LOG2E);
  // At -127 the exponent bits are those of zero.
  const least = constant(-127);
  const magic = constant(rounder);
  const coefficients = exponential.map(constant);
  const one = coefficients[0] as Vector;
  return (x) => {
    const y = body.local("v128", f32x4.pmax(f32x4.mul(x, scale), least));
    const rounded = body.local("v128", f32x4.add(y, magic));
    const rest = body.local("v128", f32x4.sub(y, f32x4.sub(rounded, magic)));
    const polynomial = coefficients.reduceRight((sum, coefficient) => multiplyAdd(target, sum, rest, coefficient));
    return f32x4.mul(polynomial, i32x4.add(i32x4.shl(rounded, 23), one));
  };
}
