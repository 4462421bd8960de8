/** The epilogue pass of a convolution over one row of output pixels that was just written. */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Local } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";
import type { WasmKernelContext } from "../contract.ts";
import { emitPass } from "../tile/finish.ts";
import type { RecordReader } from "../tile/words.ts";
import type { ConvShape } from "./shape.ts";

type Address = Local<"i32">;

export function finishRow(
  context: WasmKernelContext,
  body: BodyBuilder,
  words: RecordReader,
  { epilogue, operandChannels }: ConvShape,
  { image, y }: { readonly image: Address; readonly y: Address },
  channel: Address,
  valid: Address,
): void {
  if (!epilogue) return;
  const runOf = (name: string, isContiguous: boolean) => {
    const start = i32.add(
      i32.add(words.word(name), isContiguous ? i32.shl(channel, 2) : i32.const(0)),
      i32.add(i32.mul(image, words.word(`${name}Image`)), i32.mul(y, words.word(`${name}Row`))),
    );
    return { address: body.local("i32", start), step: words.local(`${name}Pixel`) };
  };
  emitPass(context, body, epilogue, operandChannels, {
    count: words.local("outputWidth"),
    valid,
    output: runOf("output", true),
    operands: operandChannels.map((channels, k) => runOf(`operand${k}`, channels === "contiguous")),
  });
}
