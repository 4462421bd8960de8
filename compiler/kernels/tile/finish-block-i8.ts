/** The epilogue over a block of output rows of an integer product, from accumulators in scratch. */
import { byteSize } from "../../../runtime/format/dtype.ts";
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression, Local } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";
import type { WasmKernelContext } from "../contract.ts";
import { emitFinish, type Finish } from "./finish-i8.ts";
import type { RecordReader } from "./words.ts";

type Address = Local<"i32">;

/** Rows `first`…`first + rows` of an image, `pixels` in all. */
export interface Block {
  readonly image: Address;
  readonly first: Address;
  readonly rows: Address;
  readonly pixels: Address;
}

export interface BlockFinish {
  readonly finish: Finish;
  /** Whether the pixels of a block are one run of accumulators, output and operands. */
  readonly joined: boolean;
  /** Operands start again after a number of rows (`operandKPeriod`) instead of by image and row. */
  readonly periodic: boolean;
}

/** Channels `channel`…`channel + valid` of the block; rows of accumulators are `sumsRow` bytes apart. */
export function finishBlock(
  context: WasmKernelContext,
  body: BodyBuilder,
  words: RecordReader,
  { finish, joined, periodic }: BlockFinish,
  block: Block,
  sumsRow: Expression<"i32">,
  channel: Address,
  valid: Address,
): void {
  const { outputType, operands } = finish;
  const run = (y: Address, count: Address, sums: Address): void => {
    const place = (name: string, bytes: number, isContiguous: boolean, isPeriodic: boolean): Address => {
      const start = i32.add(words.word(name), isContiguous ? i32.mul(channel, bytes) : i32.const(0));
      const offset = isPeriodic
        ? i32.mul(i32.remU(y, words.word(`${name}Period`)), words.word(`${name}Row`))
        : i32.add(i32.mul(block.image, words.word(`${name}Image`)), i32.mul(y, words.word(`${name}Row`)));
      return body.local("i32", i32.add(start, offset));
    };
    emitFinish(context, body, finish, {
      count,
      valid,
      sums,
      output: { address: place("output", byteSize[outputType], true, false), step: words.local("outputPixel") },
      operands: operands.map(({ dtype, channels }, k) => ({
        address: place(`operand${k}`, byteSize[dtype], channels === "contiguous", periodic),
        step: words.local(`operand${k}Pixel`),
      })),
    });
  };
  body.scope(() => {
    const sums = words.local("sums");
    if (joined) return run(block.first, block.pixels, sums);
    const width = words.local("outputWidth");
    const step = body.local("i32", sumsRow);
    const last = body.local("i32", i32.add(block.first, block.rows));
    body.forRange(block.first, last, 1, (y) => {
      run(y, width, sums);
      body.set(sums, i32.add(sums, step));
    });
  });
}
