/**
 * Atomic instructions on 32-bit words of linear memory, sequentially consistent. Addresses are multiples of 4 (anything
 * else traps). `wait` needs a shared memory and a thread that may block. Stores and fences are statements: see body.ts.
 */
import {
  apply,
  type Expression,
  type MemoryArgument,
  memoryArgument,
  type Operand,
  toExpression,
} from "./expression.ts";

type Place = Pick<MemoryArgument, "offset">;

/** Prefix of the atomic instructions. */
export const atomicPrefix = 0xfe;

/** Atomic accesses promise their natural alignment. */
export const atomicArgument = ({ offset = 0 }: Place): readonly number[] => memoryArgument({ offset, align: 4 });

const integers = (...operands: readonly Operand<"i32">[]): readonly Expression<"i32">[] =>
  operands.map((operand) => toExpression("i32", operand));

const access = (code: number, operands: readonly Expression<"i32">[], place: Place): Expression<"i32"> =>
  apply("i32", operands, atomicPrefix, code, ...atomicArgument(place));

export const atomic = {
  load: (address: Operand<"i32">, place: Place = {}): Expression<"i32"> => access(0x10, integers(address), place),
  /** The value before the addition. */
  add: (address: Operand<"i32">, value: Operand<"i32">, place: Place = {}): Expression<"i32"> =>
    access(0x1e, integers(address, value), place),
  /** Stores `replacement` where `expected` stands; the value before. */
  compareExchange: (
    address: Operand<"i32">,
    expected: Operand<"i32">,
    replacement: Operand<"i32">,
    place: Place = {},
  ): Expression<"i32"> => access(0x48, integers(address, expected, replacement), place),
  /** Sleeps while the word is `expected`, `nanoseconds` at most (negative: for ever). 0 woken, 1 not equal, 2 timed out. */
  wait: (
    address: Operand<"i32">,
    expected: Operand<"i32">,
    nanoseconds: Operand<"i64">,
    place: Place = {},
  ): Expression<"i32"> =>
    apply(
      "i32",
      [...integers(address, expected), toExpression("i64", nanoseconds)],
      atomicPrefix,
      0x01,
      ...atomicArgument(place),
    ),
  /** Wakes at most `count` sleepers (unsigned); how many it woke. */
  notify: (address: Operand<"i32">, count: Operand<"i32">, place: Place = {}): Expression<"i32"> =>
    access(0x00, integers(address, count), place),
};
