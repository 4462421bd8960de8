/**
 * float32 mathematics on four lanes for the kernels of one module. Methods are named like the operations of
 * runtime/format/expression.ts. Those of one or two instructions are written in place; the others call a
 * function that the module gets when it is first used, or are inlined where `inline` says so.
 *
 * Errors against the correctly rounded result: at most 4 units in the last place on both targets, tanh 5,
 * erf 6 (most are below 2); sin and cos 2 for |x| <= 1000, and 1.1e-7 absolute up to 2^20. Signed zeros, infinities, NaN, overflow and
 * underflow are those of IEEE 754, but sigmoid is 0 below -88.3 where it is subnormal.
 */
import type { BodyBuilder } from "./body.ts";
import { cosh, erf, exp, sigmoid, sinh, tanh } from "./exponential.ts";
import { floatToHalf, halfToFloat } from "./half.ts";
import { acosh, asinh, atanh, log, log1p, softplus } from "./logarithm.ts";
import { modulo, power, remainder } from "./power.ts";
import type { WasmTarget } from "./target.ts";
import { acos, asin, atan, cos, sin, tan } from "./trigonometric.ts";
import { f32x4 } from "./vector.ts";
import { choose, SharedFunctions, splat, type UnaryDefinition, type Vector, withSign } from "./vector-code.ts";
import type { ModuleBuilder } from "./wasm.ts";

const sign: UnaryDefinition = (_, x) => choose(f32x4.gt(f32x4.abs(x), splat(0)), withSign(splat(1), x), x);

const unaryDefinitions = {
  exp,
  log,
  log1p,
  sigmoid,
  tanh,
  erf,
  softplus,
  sin,
  cos,
  tan,
  asin,
  acos,
  atan,
  sinh,
  cosh,
  asinh,
  acosh,
  atanh,
  sign,
  halfToFloat,
  floatToHalf,
} satisfies Record<string, UnaryDefinition>;

/** The functions of one vector that are more than an instruction or two. */
export type MathFunction = keyof typeof unaryDefinitions;

export class MathLibrary {
  readonly #functions: SharedFunctions;

  constructor(module: ModuleBuilder, target: WasmTarget) {
    this.#functions = new SharedFunctions(module, target);
  }

  /** The function written into a body instead of called: for hot loops that keep values in registers. */
  inline(name: MathFunction, body: BodyBuilder, x: Vector): Vector {
    const code = this.#functions.code(body);
    return unaryDefinitions[name](code, code.keep(x));
  }

  exp(x: Vector): Vector {
    return this.#call("exp", x);
  }
  log(x: Vector): Vector {
    return this.#call("log", x);
  }
  /** ln(1 + x). */
  log1p(x: Vector): Vector {
    return this.#call("log1p", x);
  }
  sigmoid(x: Vector): Vector {
    return this.#call("sigmoid", x);
  }
  tanh(x: Vector): Vector {
    return this.#call("tanh", x);
  }
  erf(x: Vector): Vector {
    return this.#call("erf", x);
  }
  softplus(x: Vector): Vector {
    return this.#call("softplus", x);
  }
  sin(x: Vector): Vector {
    return this.#call("sin", x);
  }
  cos(x: Vector): Vector {
    return this.#call("cos", x);
  }
  tan(x: Vector): Vector {
    return this.#call("tan", x);
  }
  asin(x: Vector): Vector {
    return this.#call("asin", x);
  }
  acos(x: Vector): Vector {
    return this.#call("acos", x);
  }
  atan(x: Vector): Vector {
    return this.#call("atan", x);
  }
  sinh(x: Vector): Vector {
    return this.#call("sinh", x);
  }
  cosh(x: Vector): Vector {
    return this.#call("cosh", x);
  }
  asinh(x: Vector): Vector {
    return this.#call("asinh", x);
  }
  acosh(x: Vector): Vector {
    return this.#call("acosh", x);
  }
  atanh(x: Vector): Vector {
    return this.#call("atanh", x);
  }
  /** -1, 1, or x itself where it is zero or NaN. */
  sign(x: Vector): Vector {
    return this.#call("sign", x);
  }
  /** Four halves, each in the low 16 bits of an i32 lane (as `v128.load16x4U` gives them), to float32. */
  halfToFloat(half: Vector): Vector {
    return this.#call("halfToFloat", half);
  }
  /** float32 to four halves in the low 16 bits of i32 lanes (`i16x8.narrowI32x4U` packs them), to nearest even. */
  floatToHalf(x: Vector): Vector {
    return this.#call("floatToHalf", x);
  }

  power(x: Vector, y: Vector): Vector {
    return this.#functions.binary("power", power, x, y);
  }
  /** Remainder with the sign of x (fmod), exact. */
  remainder(x: Vector, y: Vector): Vector {
    return this.#functions.binary("remainder", remainder, x, y);
  }
  /** Remainder with the sign of y. */
  modulo(x: Vector, y: Vector): Vector {
    return this.#functions.binary("modulo", modulo, x, y);
  }

  negate(x: Vector): Vector {
    return f32x4.neg(x);
  }
  abs(x: Vector): Vector {
    return f32x4.abs(x);
  }
  sqrt(x: Vector): Vector {
    return f32x4.sqrt(x);
  }
  reciprocal(x: Vector): Vector {
    return f32x4.div(splat(1), x);
  }
  floor(x: Vector): Vector {
    return f32x4.floor(x);
  }
  ceil(x: Vector): Vector {
    return f32x4.ceil(x);
  }
  truncate(x: Vector): Vector {
    return f32x4.trunc(x);
  }
  /** To nearest, halves to even. */
  round(x: Vector): Vector {
    return f32x4.nearest(x);
  }

  #call(name: MathFunction, x: Vector): Vector {
    return this.#functions.unary(name, unaryDefinitions[name], x);
  }
}
