/** The int32 sums of eight channels of neighbouring pixels through the epilogue to the output. */
import { byteSize, type DType } from "../../../runtime/format/dtype.ts";
import type { Expression } from "../../../runtime/format/expression.ts";
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression as Code, Local } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";
import { i8x16, i16x8 } from "../../assemble/vector.ts";
import type { WasmKernelContext } from "../contract.ts";
import { emitVector } from "../expression/vector.ts";
import { loadScalar, loadVector, splatOf } from "../loop/element.ts";
import type { RecordReader } from "../tile/words.ts";
import type { PixelOperand, PixelPlace } from "./shape.ts";

export interface Finish {
  readonly epilogue: Expression | undefined;
  readonly outputType: DType;
  readonly operands: readonly PixelOperand[];
  readonly words: RecordReader;
  readonly place: PixelPlace;
}

/** Whether all pixels have the same value, and whether all channels have. */
const isFixed = (kind: PixelOperand["kind"]): boolean => kind === "tensor" || kind === "channel";
const isSingle = (kind: PixelOperand["kind"]): boolean => kind === "tensor" || kind === "pixel";

/** `sums[p]` are channels channel..channel+7 of pixel x + p. */
export function storeBlock(
  { math }: WasmKernelContext,
  body: BodyBuilder,
  { epilogue, outputType, operands, words, place }: Finish,
  sums: readonly (readonly Local<"v128">[])[],
  x: Local<"i32">,
  channel: Local<"i32">,
): void {
  const addressOf = (start: Local<"i32">, step: Code<"i32">, size: number): Local<"i32"> =>
    body.local("i32", i32.add(start, i32.add(i32.mul(x, step), i32.mul(channel, size))));
  const pointers = operands.map(({ dtype, kind }, k) =>
    addressOf(
      place.operands[k] as Local<"i32">,
      isFixed(kind) ? i32.const(0) : words.word(`operand${k}Pixel`),
      isSingle(kind) ? 0 : byteSize[dtype],
    ),
  );
  const read = (k: number, half: number): Local<"v128"> => {
    const { dtype, kind } = operands[k] as PixelOperand;
    const pointer = pointers[k] as Local<"i32">;
    const value = isSingle(kind)
      ? splatOf(dtype, loadScalar(math, dtype, pointer))
      : loadVector(math, dtype, half === 0 ? pointer : i32.add(pointer, 4 * byteSize[dtype]));
    return body.local("v128", value);
  };
  const held = operands.map(({ kind }, k) => {
    if (!isFixed(kind)) return [];
    const first = read(k, 0);
    return [first, isSingle(kind) ? first : read(k, 1)];
  });
  const output = addressOf(place.output, words.word("outputPixel"), byteSize[outputType]);
  const outputStep = words.local("outputPixel");
  sums.forEach((pair, pixel) => {
    if (pixel > 0) {
      body.set(output, i32.add(output, outputStep));
      operands.forEach(({ kind }, k) => {
        const pointer = pointers[k] as Local<"i32">;
        if (!isFixed(kind)) body.set(pointer, i32.add(pointer, words.word(`operand${k}Pixel`)));
      });
    }
    body.scope(() => {
      const values = pair.map((sum, half) => {
        if (!epilogue) return sum;
        const inputs = [sum, ...operands.map((_, k) => held[k]?.[half] ?? read(k, half))];
        const value = emitVector(
          {
            body,
            math,
            operands: ["int32", ...operands.map(({ dtype }) => dtype)],
            leaf: (leaf) => {
              const input = leaf.kind === "input" ? inputs[leaf.index] : undefined;
              if (!input) throw new RangeError(`an epilogue of ${inputs.length} inputs reads ${JSON.stringify(leaf)}`);
              return input;
            },
          },
          epilogue,
        );
        return body.local("v128", value);
      });
      storeEight(body, outputType, output, values as [Local<"v128">, Local<"v128">]);
    });
  });
}

/** Eight neighbouring elements; the lanes of narrow integers are within their range. */
function storeEight(
  body: BodyBuilder,
  dtype: DType,
  address: Local<"i32">,
  [low, high]: readonly [Local<"v128">, Local<"v128">],
): void {
  if (byteSize[dtype] === 4) {
    body.v128Store(address, low);
    body.v128Store(address, high, { offset: 16 });
    return;
  }
  const words = body.local("v128", i16x8.narrowI32x4S(low, high));
  const narrow = dtype === "int8" ? i8x16.narrowI16x8S : i8x16.narrowI16x8U;
  body.v128Store64Lane(address, narrow(words, words), 0);
}
