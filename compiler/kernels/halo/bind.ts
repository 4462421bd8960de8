/**
 * The border of an NHWC buffer set to a value (zero unless elements are bytes): everything of each image that is not an inner pixel. A planned step,
 * because the arena's bytes have been something else before.
 */
import { input } from "../../../runtime/format/expression.ts";
import { recordHeaderWords } from "../../../runtime/format/program.ts";
import type { FunctionReference } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";
import { addDims, ceilDivideDims, type Dim, multiplyDims, subtractDims } from "../../graph/dimension.ts";
import type { BoundStep, Kernel, View, WasmKernelContext } from "../contract.ts";
import { haloWgsl } from "./wgsl.ts";

/** Pixel geometry of a bordered image, as the planner lays it out. */
export interface BorderedImage {
  readonly rowPixels: Dim;
  /** Pixels before the first inner pixel, and of the whole image. */
  readonly lead: Dim;
  readonly imagePixels: Dim;
}

/**
 * Words: buffer address, image bytes, lead bytes, inner row bytes, row pitch bytes, inner rows, bytes behind the last inner
 * row, the byte to fill with. Throws RangeError for a value that is not one byte repeated.
 */
export function haloFillStep(view: View, image: BorderedImage, elementBytes: number, fill: number): BoundStep {
  if (fill !== 0 && elementBytes !== 1)
    throw new RangeError(`a border of ${fill} in elements of ${elementBytes} bytes`);
  const [batch, height, width, channels] = view.shape as readonly [Dim, Dim, Dim, Dim];
  const pixel = multiplyDims(channels, elementBytes);
  const inner = multiplyDims(width, pixel);
  const pitch = multiplyDims(image.rowPixels, pixel);
  const whole = multiplyDims(image.imagePixels, pixel);
  const lead = multiplyDims(image.lead, pixel);
  const lastEnd = addDims(lead, multiplyDims(addDims(height, -1), pitch), inner);
  const integer = (value: Dim): BoundStep["arguments"][number] => ({ kind: "integer", value });
  const border = multiplyDims(batch, subtractDims(whole, multiplyDims(height, inner)));
  return {
    kernel,
    arguments: [
      { kind: "address", buffer: view.buffer, offset: 0, access: "write" },
      ...[whole, lead, inner, pitch, height, subtractDims(whole, lastEnd), fill & 0xff].map(integer),
    ],
    range: batch,
    flops: 0,
    bytes: border,
    elementwise: [
      {
        points: ceilDivideDims(border, 4),
        rows: multiplyDims(batch, addDims(height, 1)),
        form: "fill",
        expression: input(0),
      },
    ],
    invocations: multiplyDims(batch, image.imagePixels, channels),
  };
}

const kernel: Kernel = { key: "halo", name: "border", emitWasm: emit, emitWgsl: haloWgsl };

function emit({ module }: WasmKernelContext): FunctionReference {
  return module.function("halo", { params: ["i32", "i32", "i32"], results: [] }, (body, record, begin, end) => {
    const word = (index: number) => i32.load(record, { offset: (recordHeaderWords + index) * 4 });
    const [image, lead, inner, pitch, rows, tail] = [1, 2, 3, 4, 5, 6].map((index) => body.local("i32", word(index)));
    if (!image || !lead || !inner || !pitch || !rows || !tail) return;
    const value = body.local("i32", word(7));
    const gap = body.local("i32", i32.sub(pitch, inner));
    const cursor = body.local("i32");
    body.forRange(begin, end, 1, (index) => {
      const start = body.local("i32", i32.add(word(0), i32.mul(index, image)));
      body.memoryFill(start, value, lead);
      body.set(cursor, i32.add(i32.add(start, lead), inner));
      body.if(gap, () => {
        body.forRange(1, rows, 1, () => {
          body.memoryFill(cursor, value, gap);
          body.set(cursor, i32.add(cursor, pitch));
        });
      });
      body.memoryFill(i32.sub(i32.add(start, image), tail), value, tail);
    });
  });
}
