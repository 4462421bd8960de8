/**
 * What a vector function is written with: the body it is emitted into, and the idioms all of them share.
 * Functions that several others use are defined in the module once, on first call, by `SharedFunctions`.
 */
import type { BodyBuilder } from "./body.ts";
import {
  call,
  type Expression,
  type FunctionReference,
  Local,
  type Operand,
  toExpression,
  VectorConstant,
} from "./expression.ts";
import { i32 } from "./scalar.ts";
import { multiplyAdd, type WasmTarget } from "./target.ts";
import { f32x4, i32x4, v128 } from "./vector.ts";
import type { ModuleBuilder } from "./wasm.ts";

export type Vector = Expression<"v128">;
export type UnaryDefinition = (code: VectorCode, x: Local<"v128">) => Vector;
export type BinaryDefinition = (code: VectorCode, x: Local<"v128">, y: Local<"v128">) => Vector;

type VectorFunction = FunctionReference<readonly ["v128"], readonly ["v128"]>;
type VectorFunction2 = FunctionReference<readonly ["v128", "v128"], readonly ["v128"]>;

/** The vector functions of one module; a name stands for one definition. */
export class SharedFunctions {
  readonly #module: ModuleBuilder;
  readonly #target: WasmTarget;
  readonly #unary = new Map<string, VectorFunction>();
  readonly #binary = new Map<string, VectorFunction2>();

  constructor(module: ModuleBuilder, target: WasmTarget) {
    this.#module = module;
    this.#target = target;
  }

  /** A call of the function, defined if this is its first. */
  unary(name: string, define: UnaryDefinition, x: Vector): Vector {
    let target = this.#unary.get(name);
    if (target === undefined) {
      target = this.#module.function(name, { params: ["v128"], results: ["v128"] }, (body, a) => {
        body.return(define(this.code(body), a));
      });
      this.#unary.set(name, target);
    }
    return call(target, x);
  }

  /** A call of the function of two vectors, defined if this is its first. */
  binary(name: string, define: BinaryDefinition, x: Vector, y: Vector): Vector {
    let target = this.#binary.get(name);
    if (target === undefined) {
      target = this.#module.function(name, { params: ["v128", "v128"], results: ["v128"] }, (body, a, b) => {
        body.return(define(this.code(body), a, b));
      });
      this.#binary.set(name, target);
    }
    return call(target, x, y);
  }

  /** The means to write vector code into a body. */
  code(body: BodyBuilder): VectorCode {
    return new VectorCode(body, this.#target, this);
  }
}

export class VectorCode {
  readonly body: BodyBuilder;
  readonly functions: SharedFunctions;
  readonly #target: WasmTarget;

  constructor(body: BodyBuilder, target: WasmTarget, functions: SharedFunctions) {
    this.body = body;
    this.functions = functions;
    this.#target = target;
  }

  /** The value in a local: computed here, once. */
  keep(value: Vector): Local<"v128"> {
    return value instanceof Local ? value : this.body.local("v128", value);
  }

  /** `a * b + c`. */
  multiplyAdd(a: Vector, b: Vector, c: Vector): Vector {
    return multiplyAdd(this.#target, a, b, c);
  }

  /** The polynomial with these coefficients, that of x^0 first, by Horner's rule. */
  polynomial(x: Local<"v128">, coefficients: readonly number[]): Vector {
    const splats = coefficients.map(splat);
    return splats.reduceRight((sum, coefficient) => this.multiplyAdd(sum, x, coefficient));
  }
}

/** One float32 in every lane. */
export function splat(value: number): Vector {
  return hoistable(f32x4.splat(value));
}

/** One 32-bit pattern in every lane. */
export function splatBits(bits: Operand<"i32">): Vector {
  const splatted = i32x4.splat(bits);
  return toExpression("i32", bits).constant === undefined ? splatted : hoistable(splatted);
}

/** A constant as one item of code. */
function hoistable(constant: Vector): Vector {
  const bytes = constant.code.filter((item) => typeof item === "number");
  return { type: "v128", code: [new VectorConstant(bytes)] };
}

export const signBit = splatBits(i32.const(0x80000000));

/** The magnitude of one vector (which has no sign of its own) with the sign of another. */
export function withSign(magnitude: Vector, sign: Vector): Vector {
  return v128.or(magnitude, v128.and(sign, signBit));
}

/** `low <= x <= high`; NaN stays NaN. */
export function clamp(x: Vector, low: number, high: number): Vector {
  return f32x4.pmax(f32x4.pmin(x, splat(high)), splat(low));
}

/** `mask ? a : b` by lane. */
export function choose(mask: Vector, a: Vector, b: Vector): Vector {
  return v128.bitselect(a, b, mask);
}
