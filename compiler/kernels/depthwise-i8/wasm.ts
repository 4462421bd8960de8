/**
 * WebAssembly of an integer depthwise convolution over a halo of the zero point. Per output row, tiles of neighbouring
 * pixels; per tile eight channels at a time. Two taps of each channel stand side by side in 16 bits, so that one dot
 * product of pairs makes four channels' int32 sums; neighbouring pixels share those pairs. Exact on every target. A ragged
 * last tile or block of channels starts earlier and computes some of it again.
 */
import type { BodyBuilder } from "../../assemble/body.ts";
import { type Expression as Code, type FunctionReference, type Local, select } from "../../assemble/expression.ts";
import { i32, minimumS } from "../../assemble/scalar.ts";
import { i8x16, i32x4, v128 } from "../../assemble/vector.ts";
import type { WasmKernelContext } from "../contract.ts";
import { RecordReader } from "../tile/words.ts";
import { slotBytes } from "./pack.ts";
import { emitPlainRow } from "./plain.ts";
import type { IntegerDepthwiseShape, PixelPlace } from "./shape.ts";
import { storeBlock } from "./store.ts";
import { panelChannels } from "./variants.ts";

export function emitIntegerDepthwise(context: WasmKernelContext, shape: IntegerDepthwiseShape): FunctionReference {
  return context.module.function(
    "depthwise_i8",
    { params: ["i32", "i32", "i32"], results: [] },
    (body, record, begin, end) => {
      const words = new RecordReader(body, record, shape.names);
      body.hoistConstants(() =>
        body.forRange(begin, end, 1, (row) => {
          const image = body.local("i32", i32.divU(row, words.word("outputHeight")));
          const y = body.local("i32", i32.sub(row, i32.mul(image, words.word("outputHeight"))));
          const rowOf = (name: string, step = `${name}Row`): Local<"i32"> => {
            const inImage = i32.add(i32.mul(image, words.word(`${name}Image`)), i32.mul(y, words.word(step)));
            return body.local("i32", i32.add(words.word(name), inImage));
          };
          const input = rowOf("input", "inputRowStep");
          const place: PixelPlace = {
            output: rowOf("output"),
            operands: shape.operands.map((_, k) => rowOf(`operand${k}`)),
          };
          if (shape.layout === "plain") emitPlainRow(context, body, shape, words, input, place);
          else new IntegerDepthwiseRow(context, shape, body, words, input, place).emit();
        }),
      );
    },
  );
}

type Address = Local<"i32">;
type Vector = Code<"v128">;
/** Sums of eight channels: of the first and of the last four. */
type Sums = readonly [Local<"v128">, Local<"v128">];

class IntegerDepthwiseRow {
  readonly #context: WasmKernelContext;
  readonly #shape: IntegerDepthwiseShape;
  readonly #body: BodyBuilder;
  readonly #words: RecordReader;
  readonly #input: Address;
  readonly #place: PixelPlace;

  constructor(
    context: WasmKernelContext,
    shape: IntegerDepthwiseShape,
    body: BodyBuilder,
    words: RecordReader,
    input: Address,
    place: PixelPlace,
  ) {
    this.#context = context;
    this.#shape = shape;
    this.#body = body;
    this.#words = words;
    this.#input = input;
    this.#place = place;
  }

  emit(): void {
    const body = this.#body;
    const { pixels } = this.#shape;
    const width = this.#words.local("outputWidth");
    body.if(
      i32.geS(width, pixels),
      () => {
        const last = body.local("i32", i32.sub(width, pixels));
        body.forRange(0, width, pixels, (x) => this.#channels(pixels, body.local("i32", minimumS(x, last))));
      },
      () => body.forRange(0, width, 1, (x) => this.#channels(1, x)),
    );
  }

  /** All channels of `pixels` output pixels from `x` on. */
  #channels(pixels: number, x: Address): void {
    const body = this.#body;
    const words = this.#words;
    const channels = words.local("channels");
    const last = body.local("i32", i32.sub(channels, panelChannels));
    const panel = body.local("i32", words.word("weights"));
    const panelBytes = words.local("panelBytes");
    const input = body.local("i32", i32.add(this.#input, i32.mul(x, words.word("inputStep"))));
    body.forRange(0, channels, panelChannels, (block) => {
      const channel = body.local("i32", minimumS(block, last));
      const sums = this.#sums(pixels, body.local("i32", i32.add(input, channel)), panel);
      const { epilogue, outputType, operands } = this.#shape;
      storeBlock(this.#context, body, { epilogue, outputType, operands, words, place: this.#place }, sums, x, channel);
      body.set(panel, i32.add(panel, panelBytes));
    });
  }

  /** The accumulators of neighbouring pixels, whose first tap of eight channels is at `first`. */
  #sums(pixels: number, first: Address, panel: Address): readonly Sums[] {
    const body = this.#body;
    const words = this.#words;
    const { row, hasPairs, hasOddRow } = this.#shape;
    const bias = [0, 16].map((offset) => body.local("v128", v128.load(panel, { offset })));
    const sums = Array.from(
      { length: pixels },
      () => bias.map((value) => body.local("v128", value)) as unknown as readonly [Local<"v128">, Local<"v128">],
    );
    const slot = body.local("i32", i32.add(panel, 4 * panelChannels));
    const tap = body.local("i32", first);
    const kernelRow = words.local("kernelRow");
    if (hasPairs) {
      const below = body.local("i32", i32.add(tap, kernelRow));
      const pairs = body.local("i32", words.word("rowPairs"));
      body.loop((again) => {
        body.scope(() => {
          if (row) this.#writtenPair(row, sums, slot, tap, below);
          else this.#loopedPair(sums, slot, tap, below);
        });
        body.set(tap, i32.add(below, kernelRow));
        body.set(below, i32.add(tap, kernelRow));
        body.branchIf(again, body.tee(pairs, i32.sub(pairs, 1)));
      });
    }
    if (hasOddRow)
      body.scope(() => {
        if (row) this.#writtenOddRow(row, sums, slot, tap);
        else this.#loopedOddRow(sums, slot, tap);
      });
    return sums;
  }

  /** Eight neighbouring channels as 16-bit integers. */
  #load(address: Code<"i32">): Vector {
    return this.#shape.inputType === "int8" ? v128.load8x8S(address) : v128.load8x8U(address);
  }

  /** The weights of a slot: of four channels each. */
  #weights(slot: Address, offset = 0): Sums {
    const load = (at: number): Local<"v128"> => this.#body.local("v128", v128.load8x8S(slot, { offset: at }));
    return [load(offset), load(offset + slotBytes / 2)];
  }

  /** Adds the products of the pairs (a, b) with the weights of each use. */
  #addPairs(
    a: Local<"v128">,
    b: Local<"v128">,
    uses: readonly { readonly weights: Sums; readonly target: Sums }[],
  ): void {
    const body = this.#body;
    const pairs = [
      i8x16.shuffle(a, b, [0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23]),
      i8x16.shuffle(a, b, [8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31]),
    ].map((pair) => body.local("v128", pair)) as unknown as Sums;
    for (const { weights, target } of uses)
      for (const half of [0, 1] as const)
        body.set(target[half], i32x4.add(target[half], i32x4.dotI16x8S(pairs[half], weights[half])));
  }

  /** Two kernel rows with their taps written out: every pair of input pixels under the tile is made once. */
  #writtenPair(
    { taps, stride, dilation }: NonNullable<IntegerDepthwiseShape["row"]>,
    sums: readonly Sums[],
    slot: Address,
    tap: Address,
    below: Address,
  ): void {
    const body = this.#body;
    const pixelBytes = this.#words.local("inputPixel");
    const weights = Array.from({ length: taps }, (_, k) => this.#weights(slot, k * slotBytes));
    const [upper, lower] = [body.local("i32", tap), body.local("i32", below)];
    const lastColumn = (sums.length - 1) * stride + (taps - 1) * dilation;
    for (let column = 0; column <= lastColumn; column++) {
      const uses = sums.flatMap((target, pixel) => {
        const distance = column - pixel * stride;
        const tapWeights = distance >= 0 && distance % dilation === 0 ? weights[distance / dilation] : undefined;
        return tapWeights ? [{ weights: tapWeights, target }] : [];
      });
      if (uses.length > 0)
        body.scope(() =>
          this.#addPairs(body.local("v128", this.#load(upper)), body.local("v128", this.#load(lower)), uses),
        );
      if (column < lastColumn) for (const at of [upper, lower]) body.set(at, i32.add(at, pixelBytes));
    }
    body.set(slot, i32.add(slot, taps * slotBytes));
  }

  /** A last row with its taps written out, two neighbouring taps to a slot. */
  #writtenOddRow(
    { taps, stride, dilation }: NonNullable<IntegerDepthwiseShape["row"]>,
    sums: readonly Sums[],
    slot: Address,
    tap: Address,
  ): void {
    const body = this.#body;
    const pixelBytes = this.#words.local("inputPixel");
    const weights = Array.from({ length: Math.ceil(taps / 2) }, (_, k) => this.#weights(slot, k * slotBytes));
    const lastColumn = (sums.length - 1) * stride + (taps - 1) * dilation;
    /** What the pairs that begin at a column are multiplied with. */
    const usesOf = (column: number) =>
      sums.flatMap((target, pixel) => {
        const distance = column - pixel * stride;
        const tapWeights =
          distance >= 0 && distance % (2 * dilation) === 0 ? weights[distance / (2 * dilation)] : undefined;
        return tapWeights ? [{ weights: tapWeights, target }] : [];
      });
    const loaded = new Map<number, Local<"v128">>();
    const at = body.local("i32", tap);
    for (let column = 0; column <= lastColumn; column++) {
      const uses = usesOf(column);
      // Behind the last column stands no second tap; its weight is zero.
      const isLast = column + dilation > lastColumn;
      const earlier = usesOf(column - dilation);
      if (uses.length > 0 || earlier.length > 0) loaded.set(column, body.local("v128", this.#load(at)));
      const here = loaded.get(column);
      const before = loaded.get(column - dilation);
      if (here && before && earlier.length > 0) body.scope(() => this.#addPairs(before, here, earlier));
      if (here && isLast && uses.length > 0) body.scope(() => this.#addPairs(here, here, uses));
      if (column < lastColumn) body.set(at, i32.add(at, pixelBytes));
    }
  }

  #loopedPair(sums: readonly Sums[], slot: Address, tap: Address, below: Address): void {
    const body = this.#body;
    const words = this.#words;
    const [inputStep, tapStep] = [words.local("inputStep"), words.local("tapStep")];
    const [upper, lower] = [body.local("i32", tap), body.local("i32", below)];
    body.forRange(0, words.word("kernelWidth"), 1, () => {
      const weights = this.#weights(slot);
      const [a, b] = [body.local("i32", upper), body.local("i32", lower)];
      for (const target of sums) {
        body.scope(() =>
          this.#addPairs(body.local("v128", this.#load(a)), body.local("v128", this.#load(b)), [{ weights, target }]),
        );
        for (const at of [a, b]) body.set(at, i32.add(at, inputStep));
      }
      body.set(slot, i32.add(slot, slotBytes));
      for (const at of [upper, lower]) body.set(at, i32.add(at, tapStep));
    });
  }

  #loopedOddRow(sums: readonly Sums[], slot: Address, tap: Address): void {
    const body = this.#body;
    const words = this.#words;
    const [inputStep, tapStep] = [words.local("inputStep"), words.local("tapStep")];
    const width = words.local("kernelWidth");
    const last = body.local("i32", i32.sub(width, 1));
    const at = body.local("i32", tap);
    body.forRange(0, width, 2, (k) => {
      const weights = this.#weights(slot);
      // Behind the last tap the pair's second weight is zero.
      const second = body.local("i32", select("i32", i32.ltS(k, last), tapStep, 0));
      const pixel = body.local("i32", at);
      for (const target of sums) {
        body.scope(() => {
          const [a, b] = [this.#load(pixel), this.#load(i32.add(pixel, second))];
          this.#addPairs(body.local("v128", a), body.local("v128", b), [{ weights, target }]);
        });
        body.set(pixel, i32.add(pixel, inputStep));
      }
      body.set(slot, i32.add(slot, slotBytes));
      body.set(at, i32.add(at, i32.shl(tapStep, 1)));
    });
  }
}
