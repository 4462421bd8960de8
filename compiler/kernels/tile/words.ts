/** Record words by name: a family lists its arguments once, and its kernel reads them by the same names. */
import type { Access } from "../../../runtime/format/program.ts";
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression, Local } from "../../assemble/expression.ts";
import type { Dim } from "../../graph/dimension.ts";
import type { Argument, Buffer, View } from "../contract.ts";
import { recordWord } from "../record.ts";

export type NamedArguments = readonly (readonly [name: string, argument: Argument])[];

export const integerWord = (name: string, value: Dim): readonly [string, Argument] => [
  name,
  { kind: "integer", value },
];

export const addressWord = (
  name: string,
  place: { readonly buffer: Buffer; readonly offset: Dim },
  access: Access["mode"],
): readonly [string, Argument] => [name, { kind: "address", buffer: place.buffer, offset: place.offset, access }];

/** Reads of the words of one record by name. */
export class RecordReader {
  readonly #names: readonly string[];
  readonly #body: BodyBuilder;
  readonly #record: Expression<"i32">;

  constructor(body: BodyBuilder, record: Expression<"i32">, names: readonly string[]) {
    this.#body = body;
    this.#record = record;
    this.#names = names;
  }

  has(name: string): boolean {
    return this.#names.includes(name);
  }

  /** A load of the word. */
  word(name: string): Expression<"i32"> {
    const index = this.#names.indexOf(name);
    if (index < 0) throw new RangeError(`the record has no word ${name}`);
    return recordWord(this.#record, index);
  }

  /** The word in a local of the current scope. */
  local(name: string): Local<"i32"> {
    return this.#body.local("i32", this.word(name));
  }
}

/** Words of epilogue operand k: its address and image, row and pixel strides. */
export const operandWords = (operands: readonly View[]): NamedArguments =>
  operands.flatMap((view, k) => [
    addressWord(`operand${k}`, view, "read"),
    integerWord(`operand${k}Image`, view.strides[0] ?? 0),
    integerWord(`operand${k}Row`, view.strides[1] ?? 0),
    integerWord(`operand${k}Pixel`, view.strides[2] ?? 0),
  ]);
