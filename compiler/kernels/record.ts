/** The argument words of a step record, as a kernel reads them. */
import { recordHeaderWords } from "../../runtime/format/program.ts";
import type { BodyBuilder } from "../assemble/body.ts";
import type { Expression, Local } from "../assemble/expression.ts";
import { i32 } from "../assemble/scalar.ts";

/** Argument `index` of the record at address `record`. */
export const recordWord = (record: Expression<"i32">, index: number): Expression<"i32"> =>
  i32.load(record, { offset: (recordHeaderWords + index) * 4 });

/** The first arguments in locals, by name, in the order of `names`. */
export function recordLocals<const N extends string>(
  body: BodyBuilder,
  record: Expression<"i32">,
  names: readonly N[],
): { readonly [K in N]: Local<"i32"> } {
  const entries = names.map((name, index) => [name, body.local("i32", recordWord(record, index))]);
  return Object.fromEntries(entries) as { readonly [K in N]: Local<"i32"> };
}
