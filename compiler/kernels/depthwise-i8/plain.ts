/** An integer depthwise convolution element by element, for a few channels and for more outputs than inputs. */
import { byteSize, type DType } from "../../../runtime/format/dtype.ts";
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression as Code, Local } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";
import type { WasmKernelContext } from "../contract.ts";
import { emitScalar } from "../expression/scalar.ts";
import { loadScalar, storeScalar } from "../loop/element.ts";
import type { RecordReader } from "../tile/words.ts";
import type { IntegerDepthwiseShape, PixelPlace } from "./shape.ts";

/** One row of the output; `input` is the first tap of its first pixel. */
export function emitPlainRow(
  { math }: WasmKernelContext,
  body: BodyBuilder,
  { inputType, outputType, multiplier, epilogue, operands }: IntegerDepthwiseShape,
  words: RecordReader,
  input: Local<"i32">,
  place: PixelPlace,
): void {
  const channels = words.local("channels");
  const kernelHeight = words.local("kernelHeight");
  const kernelWidth = words.local("kernelWidth");
  const weights = words.local("weights");
  body.forRange(0, words.word("outputWidth"), 1, (x) => {
    const pixel = body.local("i32", i32.add(input, i32.mul(x, words.word("inputStep"))));
    const element = (start: Local<"i32">, name: string, dtype: DType, channel: Code<"i32">): Code<"i32"> =>
      i32.add(start, i32.add(i32.mul(x, words.word(name)), i32.mul(channel, byteSize[dtype])));
    body.forRange(0, channels, 1, (channel) => {
      const sum = body.local("i32", i32.load(i32.add(weights, i32.shl(channel, 2))));
      const taps = i32.mul(kernelHeight, kernelWidth);
      const weight = body.local("i32", i32.add(weights, i32.add(i32.shl(channels, 2), i32.mul(channel, taps))));
      const row = body.local("i32", i32.add(pixel, i32.divU(channel, multiplier)));
      body.forRange(0, kernelHeight, 1, () => {
        const tap = body.local("i32", row);
        body.forRange(0, kernelWidth, 1, () => {
          const value = inputType === "int8" ? i32.load8S(tap) : i32.load8U(tap);
          body.set(sum, i32.add(sum, i32.mul(value, i32.load8S(weight))));
          body.set(weight, i32.add(weight, 1));
          body.set(tap, i32.add(tap, words.word("tapStep")));
        });
        body.set(row, i32.add(row, words.word("kernelRow")));
      });
      const target = body.local("i32", element(place.output, "outputPixel", outputType, channel));
      const value = epilogue
        ? emitScalar(
            {
              body,
              math,
              operands: ["int32", ...operands.map(({ dtype }) => dtype)],
              leaf: (leaf) => {
                if (leaf.kind !== "input" || leaf.index === 0) return sum;
                const k = leaf.index - 1;
                const { dtype, kind } = operands[k] as (typeof operands)[number];
                const at = kind === "pixel" || kind === "tensor" ? i32.const(0) : channel;
                return loadScalar(
                  math,
                  dtype,
                  element(place.operands[k] as Local<"i32">, `operand${k}Pixel`, dtype, at),
                );
              },
            },
            epilogue,
          )
        : sum;
      storeScalar(body, math, outputType, target, value);
    });
  });
}
