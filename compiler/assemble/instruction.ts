/**
 * Builders of instruction tables: each turns `{ name: opcode }` into a typed object of functions from
 * operands to expressions. The namespaces of scalar.ts and vector.ts are made of these rows.
 */
import { type Bytes, unsigned } from "./encode.ts";
import {
  apply,
  type Expression,
  type MemoryArgument,
  memoryArgument,
  type Operand,
  toExpression,
  type ValueType,
} from "./expression.ts";

type Opcodes = Readonly<Record<string, number>>;
type Table<N extends Opcodes, F> = { readonly [K in keyof N]: F };

export type Unary<A extends ValueType, R extends ValueType> = (a: Operand<A>) => Expression<R>;
export type Binary<A extends ValueType, R extends ValueType> = (a: Operand<A>, b: Operand<A>) => Expression<R>;
export type Load<R extends ValueType> = (address: Operand<"i32">, argument?: MemoryArgument) => Expression<R>;

/** The bytes of an opcode: one byte, or a prefix (0xfc, 0xfd) and a LEB128 number. */
export function opcode(prefix: number | undefined, code: number): Bytes {
  return prefix === undefined ? [code] : [prefix, ...unsigned(code)];
}

function table<N extends Opcodes, F>(codes: N, make: (code: number) => F): Table<N, F> {
  const rows = Object.entries(codes).map(([name, code]) => [name, make(code)] as const);
  return Object.fromEntries(rows) as Table<N, F>;
}

/** Instructions of one opcode space: no prefix, 0xfc or 0xfd. */
export function instructionSet(prefix?: number) {
  return {
    unary: <A extends ValueType, R extends ValueType, const N extends Opcodes>(operand: A, result: R, codes: N) =>
      table<N, Unary<A, R>>(codes, (code) => (a) => apply(result, [toExpression(operand, a)], ...opcode(prefix, code))),
    binary: <A extends ValueType, R extends ValueType, const N extends Opcodes>(operand: A, result: R, codes: N) =>
      table<N, Binary<A, R>>(
        codes,
        (code) => (a, b) =>
          apply(result, [toExpression(operand, a), toExpression(operand, b)], ...opcode(prefix, code)),
      ),
    load: <R extends ValueType, const N extends Opcodes>(result: R, codes: N) =>
      table<N, Load<R>>(
        codes,
        (code) =>
          (address, argument = {}) =>
            apply(result, [toExpression("i32", address)], ...opcode(prefix, code), ...memoryArgument(argument)),
      ),
  };
}
