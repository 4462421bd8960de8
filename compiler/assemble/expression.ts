/**
 * Typed WebAssembly expressions. An `Expression<T>` is an immutable piece of code that leaves exactly
 * one value of type T on the stack; it runs where a statement consumes it, and each time one does (put it
 * in a local to compute it once). Code is bytes with unresolved references to locals and functions, whose
 * indices are known only when the module is encoded.
 */
import { type Bytes, float32, float64, signed32, signed64, unsigned } from "./encode.ts";

export type ValueType = "i32" | "i64" | "f32" | "f64" | "v128";

/** One byte, a reference that becomes an index when the module is encoded, or a constant that may be hoisted. */
export type CodeItem = number | Local<ValueType> | FunctionReference | VectorConstant;

/** A constant vector as one item, so that `BodyBuilder.hoistConstants` finds it: some engines build it anew at every use. */
export class VectorConstant {
  /** The instructions that leave it on the stack. */
  readonly code: Bytes;

  constructor(code: Bytes) {
    this.code = code;
  }
}
export type Code = readonly CodeItem[];

export interface Expression<T extends ValueType> {
  readonly type: T;
  readonly code: Code;
  /** The value, when it is a known i32 (as signed) or float constant. */
  readonly constant?: number;
}

/** What an operation accepts: an expression, or a plain number where a scalar constant is meant. */
export type Operand<T extends ValueType> =
  | Expression<T>
  | (T extends "v128" ? never : T extends "i64" ? number | bigint : number);

export interface Signature<P extends readonly ValueType[], R extends readonly ValueType[]> {
  readonly params: P;
  readonly results: R;
}

/** A function of the module being built, imported or defined; identity is what counts. */
export class FunctionReference<
  P extends readonly ValueType[] = readonly ValueType[],
  R extends readonly ValueType[] = readonly ValueType[],
> implements Signature<P, R>
{
  readonly name: string;
  readonly params: P;
  readonly results: R;

  constructor(name: string, signature: Signature<P, R>) {
    this.name = name;
    this.params = signature.params;
    this.results = signature.results;
  }
}

/** A variable of one function body; used as an expression it reads the variable. */
export class Local<T extends ValueType> implements Expression<T> {
  readonly type: T;
  readonly code: Code;
  /** The body it belongs to, and its place there: a parameter, or a slot that later locals may reuse. */
  readonly owner: object;
  readonly place: { readonly kind: "parameter" | "slot"; readonly index: number };
  /** False once its scope has ended. */
  live = true;

  constructor(type: T, owner: object, place: Local<T>["place"]) {
    this.type = type;
    this.owner = owner;
    this.place = place;
    this.code = [0x20, this];
  }
}

/** Arguments for parameters P: an operand each. */
export type ArgumentsOf<P extends readonly ValueType[]> = {
  readonly [K in keyof P]: P[K] extends ValueType ? Operand<P[K]> : never;
};

/** Locals for parameters P. */
export type LocalsOf<P extends readonly ValueType[]> = {
  readonly [K in keyof P]: P[K] extends ValueType ? Local<P[K]> : never;
};

/** The `type.const` instruction; an i32 is taken modulo 2^32, a float32 is rounded. */
export function constant<T extends "i32" | "i64" | "f32" | "f64">(type: T, value: number | bigint): Expression<T> {
  const kind: "i32" | "i64" | "f32" | "f64" = type;
  switch (kind) {
    case "i32": {
      const wrapped = Number(value) | 0;
      return { type, code: [0x41, ...signed32(wrapped)], constant: wrapped };
    }
    case "i64":
      return { type, code: [0x42, ...signed64(BigInt(value))] };
    case "f32":
      return { type, code: [0x43, ...float32(Number(value))], constant: Math.fround(Number(value)) };
    case "f64":
      return { type, code: [0x44, ...float64(Number(value))], constant: Number(value) };
  }
}

/** The operand as an expression of the given type. */
export function toExpression<T extends ValueType>(type: T, operand: Operand<T>): Expression<T>;
export function toExpression(type: ValueType, operand: Operand<ValueType>): Expression<ValueType> {
  if (typeof operand === "object") {
    if (operand.type !== type) throw new TypeError(`operand of type ${operand.type} where ${type} is expected`);
    return operand;
  }
  if (type === "v128") throw new TypeError("a number is no v128 operand: splat it or use a v128 constant");
  return constant(type, operand);
}

/** An instruction applied to its operands: their code in order, then the instruction's bytes. */
export function apply<T extends ValueType>(
  type: T,
  operands: readonly Expression<ValueType>[],
  ...instruction: Bytes
): Expression<T> {
  return { type, code: [...operands.flatMap((operand) => operand.code), ...instruction] };
}

/** `condition ? a : b` without a branch: both sides are always evaluated. */
export function select<T extends ValueType>(
  type: T,
  condition: Operand<"i32">,
  a: Operand<T>,
  b: Operand<T>,
): Expression<T> {
  const test = toExpression("i32", condition);
  const [whenTrue, whenFalse] = [toExpression(type, a), toExpression(type, b)];
  if (test.constant !== undefined) return test.constant !== 0 ? whenTrue : whenFalse;
  const typed = type === "v128" ? [0x1c, 1, valueTypeCode(type)] : [0x1b];
  return apply(type, [whenTrue, whenFalse, test], ...typed);
}

/** A call whose one result is used; several results go through `BodyBuilder.callInto`. */
export function call<const P extends readonly ValueType[], R extends ValueType>(
  target: FunctionReference<P, readonly [R]>,
  ...values: ArgumentsOf<P>
): Expression<R> {
  return { type: target.results[0], code: [...argumentCode(target.params, values), 0x10, target] };
}

/** The code that pushes call arguments in order; counts and types are checked. */
export function argumentCode(
  types: readonly ValueType[],
  values: readonly (Operand<ValueType> | undefined)[],
): CodeItem[] {
  if (types.length !== values.length) {
    throw new TypeError(`${values.length} arguments where (${types.join(", ")}) is expected`);
  }
  return types.flatMap((type, index) => {
    const value = values[index];
    if (value === undefined) throw new TypeError(`argument ${index} is missing`);
    return [...toExpression<ValueType>(type, value).code];
  });
}

/** The encoding of a value type. */
export function valueTypeCode(type: ValueType): number {
  switch (type) {
    case "i32":
      return 0x7f;
    case "i64":
      return 0x7e;
    case "f32":
      return 0x7d;
    case "f64":
      return 0x7c;
    case "v128":
      return 0x7b;
  }
}

/** Where a load or store goes: a constant byte offset, and an alignment promise in bytes (default 1: none). */
export interface MemoryArgument {
  readonly offset?: number;
  readonly align?: number;
}

/** The alignment exponent and offset that follow a load or store opcode. */
export function memoryArgument({ offset = 0, align = 1 }: MemoryArgument): Bytes {
  if (!Number.isInteger(offset) || offset < 0 || offset > 0xffffffff) {
    throw new RangeError(`memory offset ${offset} is not an unsigned 32-bit integer`);
  }
  const exponent = Math.log2(align);
  if (!Number.isInteger(exponent)) throw new RangeError(`alignment ${align} is not a power of two`);
  return [...unsigned(exponent), ...unsigned(offset)];
}
