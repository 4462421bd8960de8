/**
 * WebAssembly of a 3x3 integer convolution of stride 1 by Winograd's minimal filtering F(2x2, 3x3), exactly: inputs are
 * transformed in int16, weights to four times their transform in int16, so that all is integers, and products are
 * summed in int32. What comes out is four times the sum of the window. Sums on the way may wrap: the last does not.
 * The range is rows of tiles. A tile that hangs over the border reads the nearest pixel.
 */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression, FunctionReference, Local } from "../../assemble/expression.ts";
import { i32, minimumS } from "../../assemble/scalar.ts";
import { i8x16, i16x8, i32x4, v128 } from "../../assemble/vector.ts";
import type { WasmKernelContext } from "../contract.ts";
import { finishBlock } from "./finish-block-i8.ts";
import { pairReader, pairsFirst } from "./panel-i8.ts";
import type { IntegerShape } from "./product-i8.ts";
import { emitPointProducts } from "./winograd-multiply.ts";
import { pointGap, width } from "./winograd-tiles.ts";
import { nearestLines, outputPixels, storeInputPoints, storePoints, transformBothWays } from "./winograd-transform.ts";
import { RecordReader } from "./words.ts";

type Address = Local<"i32">;
type Vector = Expression<"v128">;

const vectors = width / 4;

export function emitIntegerWinograd(context: WasmKernelContext, shape: IntegerShape): FunctionReference {
  return context.module.function(
    "integer_winograd",
    { params: ["i32", "i32", "i32"], results: [] },
    (body, record, begin, end) => {
      new IntegerWinogradCode(context, shape, body, new RecordReader(body, record, shape.names)).emit(begin, end);
    },
  );
}

/** Rows of tiles that are computed together: the first within image `image`. */
interface TileBlock {
  readonly image: Address;
  readonly first: Address;
  readonly rows: Address;
  readonly tiles: Address;
}

class IntegerWinogradCode {
  readonly #context: WasmKernelContext;
  readonly #shape: IntegerShape;
  readonly #body: BodyBuilder;
  readonly #words: RecordReader;

  constructor(context: WasmKernelContext, shape: IntegerShape, body: BodyBuilder, words: RecordReader) {
    this.#context = context;
    this.#shape = shape;
    this.#body = body;
    this.#words = words;
  }

  emit(begin: Address, end: Address): void {
    const body = this.#body;
    const words = this.#words;
    const tileRows = words.local("tileRows");
    const row = body.local("i32", begin);
    body.block((done) => {
      body.loop((again) => {
        body.branchIf(done, i32.geS(row, end));
        body.scope(() => {
          const image = body.local("i32", i32.divU(row, tileRows));
          const first = body.local("i32", i32.sub(row, i32.mul(image, tileRows)));
          const left = body.local(
            "i32",
            minimumS(body.local("i32", i32.sub(tileRows, first)), words.local("blockRows")),
          );
          const rows = body.local("i32", minimumS(left, body.local("i32", i32.sub(end, row))));
          const tiles = body.local("i32", i32.mul(rows, words.word("tileColumns")));
          this.#block({ image, first, rows, tiles });
          body.set(row, i32.add(row, rows));
        });
        body.branch(again);
      });
    });
  }

  #block(block: TileBlock): void {
    const body = this.#body;
    const words = this.#words;
    this.#transformInput(block);
    const panel = words.local("weights");
    const channel = body.local("i32", 0);
    const left = words.local("filtersPerGroup");
    const first = body.local("i32", i32.shl(block.first, 1));
    const below = body.local("i32", i32.sub(words.word("outputHeight"), first));
    const rows = body.local("i32", minimumS(body.local("i32", i32.shl(block.rows, 1)), below));
    const pixels = body.local("i32", i32.mul(rows, words.word("outputWidth")));
    const pixelBlock = { image: block.image, first, rows, pixels };
    body.loop((again) => {
      const valid = body.local("i32", minimumS(left, width));
      this.#transformWeights(panel);
      this.#multiply(block.tiles);
      this.#transformBack(block, panel);
      const sumsRow = i32.mul(words.word("tileColumns"), 2 * width * 4);
      finishBlock(this.#context, body, words, this.#shape, pixelBlock, sumsRow, channel, valid);
      body.set(panel, i32.add(panel, words.word("panelBytes")));
      body.set(channel, i32.add(channel, valid));
      body.branchIf(again, i32.gtS(body.tee(left, i32.sub(left, width)), 0));
    });
  }

  /** V[point][tile][channel] = Bᵀ d B of every tile of the rows, int16. */
  #transformInput({ image, first, rows, tiles }: TileBlock): void {
    const body = this.#body;
    const words = this.#words;
    const load = this.#shape.inputType === "int8" ? v128.load8x8S : v128.load8x8U;
    body.scope(() => {
      const channels = words.local("channels");
      const pointBytes = body.local("i32", i32.add(i32.shl(i32.mul(tiles, channels), 1), pointGap));
      const target = words.local("wide");
      const rowStep = words.local("inputRowStep");
      const pixelStep = words.local("inputStep");
      const lastRow = body.local("i32", i32.add(words.word("outputHeight"), 1));
      const lastColumn = body.local("i32", i32.add(words.word("outputWidth"), 1));
      const start = body.local("i32", i32.add(words.word("input"), i32.mul(image, words.word("inputImage"))));
      body.forRange(first, body.local("i32", i32.add(first, rows)), 1, (tileRow) => {
        const y = body.local("i32", i32.shl(tileRow, 1));
        const lines = nearestLines(body, y, lastRow, rowStep, start);
        body.forRange(0, words.word("outputWidth"), 2, (x) => {
          const columns = nearestLines(body, x, lastColumn, pixelStep);
          body.forRange(0, channels, 8, (channel) => {
            storeInputPoints(body, i16x8, { rows: lines, columns, channel, load }, target, pointBytes);
            body.set(target, i32.add(target, 16));
          });
        });
      });
    });
  }

  /** U[point][channel pair][8][2] = 4 G g Gᵀ of a panel's weights, int16, from [3][3][channel quad][8][4] bytes. */
  #transformWeights(panel: Address): void {
    const body = this.#body;
    const words = this.#words;
    body.scope(() => {
      const tapBytes = body.local("i32", i32.mul(words.word("channels"), width));
      const pointBytes = body.local("i32", i32.add(i32.shl(tapBytes, 1), pointGap));
      const weights = body.local("i32", i32.add(panel, width * 4));
      const target = words.local("kernels");
      const end = body.local("i32", i32.add(weights, tapBytes));
      body.loop((again) => {
        const taps = [weights];
        for (let tap = 1; tap < 9; tap++) taps.push(body.local("i32", i32.add(taps[tap - 1] as Address, tapBytes)));
        for (let j = 0; j < vectors; j++)
          body.scope(() => {
            const ordered = taps.map((tap) => {
              const quads = body.local("v128", v128.load(tap, { offset: j * 16 }));
              return body.local("v128", i8x16.shuffle(quads, quads, pairsFirst));
            });
            [i16x8.extendLowI8x16S, i16x8.extendHighI8x16S].forEach((extend, pair) => {
              body.scope(() => {
                const place = body.local("i32", target);
                transformBothWays(
                  3,
                  (column) => [0, 1, 2].map((row) => extend(ordered[row * 3 + column] as Local<"v128">)),
                  (line) => expanded(body, line as Three),
                  (row) => storePoints(body, row, place, pointBytes, (pair * vectors + j) * 16),
                );
              });
            });
          });
        body.set(target, i32.add(target, width * 8));
        body.branchIf(again, i32.ltS(body.tee(weights, i32.add(weights, width * 4)), end));
      });
    });
  }

  #multiply(tiles: Address): void {
    const body = this.#body;
    const words = this.#words;
    body.scope(() => {
      const channels = words.local("channels");
      const pairs = body.local("i32", i32.shrU(channels, 1));
      const channelBytes = body.local("i32", i32.shl(channels, 1));
      emitPointProducts(body, this.#context.target, {
        rows: this.#shape.tile.rows,
        tiles,
        source: words.local("wide"),
        kernel: words.local("kernels"),
        target: words.local("products"),
        channelBytes,
        kernelBytes: body.local("i32", i32.add(i32.mul(channelBytes, width), pointGap)),
        inner: pairs,
        reader: pairReader(vectors),
      });
    });
  }

  /** Accumulators = Aᵀ m A / 4 + bias, in rows of whole tiles. */
  #transformBack({ rows, tiles }: TileBlock, panel: Address): void {
    const body = this.#body;
    const words = this.#words;
    body.scope(() => {
      const pointBytes = body.local("i32", i32.add(i32.mul(tiles, width * 4), pointGap));
      const source = words.local("products");
      const tileColumns = words.local("tileColumns");
      const rowBytes = body.local("i32", i32.mul(tileColumns, 2 * width * 4));
      const target = words.local("sums");
      const biases = Array.from({ length: vectors }, (_, j) =>
        body.local("v128", v128.load(panel, { offset: j * 16 })),
      );
      body.forRange(0, rows, 1, () => {
        body.forRange(0, tileColumns, 1, () => {
          const below = body.local("i32", i32.add(target, rowBytes));
          biases.forEach((bias, j) => {
            body.scope(() => {
              outputPixels(body, i32x4, source, pointBytes, j * 16, (row, r) => {
                row.forEach((value, c) => {
                  const sum = i32x4.add(i32x4.shrS(value, 2), bias);
                  body.v128Store(r === 0 ? target : below, sum, { offset: (c * vectors + j) * 16 });
                });
              });
            });
          });
          body.set(target, i32.add(target, 2 * width * 4));
          body.set(source, i32.add(source, width * 4));
        });
        body.set(target, i32.add(target, rowBytes));
      });
    });
  }
}

type Three = readonly [Vector, Vector, Vector];

/** A row of 2 G g, int16: 2 g0, g0 + g1 + g2, g0 - g1 + g2, 2 g2. */
function expanded(body: BodyBuilder, [g0, g1, g2]: Three): readonly Local<"v128">[] {
  const [first, middle, last] = [body.local("v128", g0), body.local("v128", g1), body.local("v128", g2)];
  const outer = body.local("v128", i16x8.add(first, last));
  return [
    body.local("v128", i16x8.add(first, first)),
    body.local("v128", i16x8.add(outer, middle)),
    body.local("v128", i16x8.sub(outer, middle)),
    body.local("v128", i16x8.add(last, last)),
  ];
}
