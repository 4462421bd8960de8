/**
 * WebAssembly of a 3x3 convolution of stride 1 by Winograd's minimal filtering F(2x2, 3x3) (Lavin and Gray, "Fast
 * Algorithms for Convolutional Neural Networks", 2015): 16 products instead of 36 for every 2x2 output pixels. Per
 * block of tile rows: the input's transform once, then per panel of output channels the weights' transform (panels
 * stay as the direct form has them), 16 matrix products over all tiles, and the transform back. The range is rows of
 * tiles. A tile that hangs over the border reads the nearest pixel and stores what is inside.
 */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression, FunctionReference, Local } from "../../assemble/expression.ts";
import { i32, minimumS } from "../../assemble/scalar.ts";
import { f32x4, v128 } from "../../assemble/vector.ts";
import type { WasmKernelContext } from "../contract.ts";
import { readyWeights } from "../tile/block-widen.ts";
import { applyInline, operandDistances } from "../tile/finish.ts";
import { plainReader, rowsOn } from "../tile/multiply.ts";
import { storeTile } from "../tile/store.ts";
import { emitPointProducts } from "../tile/winograd-multiply.ts";
import { pointGap, width } from "../tile/winograd-tiles.ts";
import {
  nearestLines,
  outputPixels,
  storeInputPoints,
  storePoints,
  transformBothWays,
} from "../tile/winograd-transform.ts";
import { RecordReader } from "../tile/words.ts";
import { finishRow } from "./finish.ts";
import type { ConvShape } from "./shape.ts";

type Address = Local<"i32">;
type Vector = Expression<"v128">;

/** Vectors of output channels in a panel. */
const vectors = width / 4;

export function emitWinograd(context: WasmKernelContext, shape: ConvShape): FunctionReference {
  return context.module.function(
    "winograd",
    { params: ["i32", "i32", "i32"], results: [] },
    (body, record, begin, end) => {
      new WinogradCode(context, shape, body, new RecordReader(body, record, shape.names)).emit(begin, end);
    },
  );
}

class WinogradCode {
  readonly #context: WasmKernelContext;
  readonly #shape: ConvShape;
  readonly #body: BodyBuilder;
  readonly #words: RecordReader;

  constructor(context: WasmKernelContext, shape: ConvShape, body: BodyBuilder, words: RecordReader) {
    this.#context = context;
    this.#shape = shape;
    this.#body = body;
    this.#words = words;
  }

  emit(begin: Address, end: Address): void {
    const body = this.#body;
    const words = this.#words;
    const blockRows = words.local("blockRows");
    const panelBytes = words.local("panelBytes");
    const depth = words.local("depth");
    const channels = words.local("channels");
    const widened = this.#shape.storage === "float32" ? undefined : this.#region("widened");
    body.forRange(begin, end, blockRows, (row) => {
      const blockEnd = body.local("i32", minimumS(body.local("i32", i32.add(row, blockRows)), end));
      const tiles = body.local("i32", i32.mul(i32.sub(blockEnd, row), words.word("tileColumns")));
      this.#transformInput(row, blockEnd, tiles);
      const panel = words.local("weights");
      const channel = body.local("i32", 0);
      const left = words.local("filtersPerGroup");
      body.loop((again) => {
        const valid = body.local("i32", minimumS(left, width));
        const ready = readyWeights(this.#context, this.#shape, width, body, panel, widened, depth, channels);
        this.#transformWeights(ready);
        this.#multiply(tiles);
        this.#transformBack(row, blockEnd, tiles, ready, channel, valid);
        if (this.#shape.form === "pass") this.#finish(row, blockEnd, channel, valid);
        body.set(panel, i32.add(panel, panelBytes));
        body.set(channel, i32.add(channel, valid));
        body.branchIf(again, i32.gtS(body.tee(left, i32.sub(left, width)), 0));
      });
    });
  }

  /** A part of the scratch, behind the transformed input. */
  #region(name: "kernels" | "products" | "widened"): Address {
    return this.#body.local("i32", i32.add(this.#words.word("scratch"), this.#words.word(name)));
  }

  /** V[point][tile][channel] = Bᵀ d B of every tile of the rows. */
  #transformInput(begin: Address, end: Address, tiles: Address): void {
    const body = this.#body;
    const words = this.#words;
    body.scope(() => {
      const channelBytes = body.local("i32", i32.shl(words.word("channels"), 2));
      const pointBytes = body.local("i32", i32.add(i32.mul(tiles, channelBytes), pointGap));
      const target = words.local("scratch");
      const rowStep = words.local("inputRowStep");
      const pixelStep = words.local("inputStep");
      const lastRow = body.local("i32", i32.add(words.word("outputHeight"), 1));
      const lastColumn = body.local("i32", i32.add(words.word("outputWidth"), 1));
      this.#tileRows(begin, end, (image, y) => {
        const start = body.local("i32", i32.add(words.word("input"), i32.mul(image, words.word("inputImage"))));
        const rows = nearestLines(body, y, lastRow, rowStep, start);
        body.forRange(0, words.word("outputWidth"), 2, (x) => {
          const columns = nearestLines(body, x, lastColumn, pixelStep);
          body.forRange(0, channelBytes, 16, (channel) => {
            const tile = { rows, columns, channel, load: v128.load };
            storeInputPoints(body, f32x4, tile, i32.add(target, channel), pointBytes);
          });
          body.set(target, i32.add(target, channelBytes));
        });
      });
    });
  }

  /** U[point][channel][8] = G g Gᵀ of a panel's weights [3][3][channel][8]. */
  #transformWeights(panel: Address): void {
    const body = this.#body;
    const words = this.#words;
    body.scope(() => {
      const tapBytes = body.local("i32", i32.mul(words.word("channels"), width * 4));
      const pointBytes = body.local("i32", i32.add(tapBytes, pointGap));
      const weights = body.local("i32", i32.add(panel, width * 4));
      const target = this.#region("kernels");
      const end = body.local("i32", i32.add(weights, tapBytes));
      body.loop((again) => {
        const taps = [weights];
        for (let tap = 1; tap < 9; tap++) taps.push(body.local("i32", i32.add(taps[tap - 1] as Address, tapBytes)));
        const place = body.local("i32", target);
        transformBothWays(
          3,
          (column) => [0, 1, 2].map((row) => v128.load(taps[row * 3 + column] as Address)),
          (line) => expanded(body, line as Three),
          (row) => storePoints(body, row, place, pointBytes),
        );
        body.set(target, i32.add(target, 16));
        body.branchIf(again, i32.ltS(body.tee(weights, i32.add(weights, 16)), end));
      });
    });
  }

  #multiply(tiles: Address): void {
    const body = this.#body;
    const words = this.#words;
    const { target } = this.#context;
    body.scope(() => {
      const channels = words.local("channels");
      const channelBytes = body.local("i32", i32.shl(channels, 2));
      emitPointProducts(body, target, {
        rows: rowsOn(target, this.#shape.tile.rows),
        tiles,
        source: words.local("scratch"),
        kernel: this.#region("kernels"),
        target: this.#region("products"),
        channelBytes,
        kernelBytes: i32.add(i32.mul(channelBytes, width), pointGap),
        inner: channels,
        reader: plainReader(vectors),
      });
    });
  }

  /** Output = Aᵀ m A + bias, through a short epilogue. */
  #transformBack(begin: Address, end: Address, tiles: Address, panel: Address, channel: Address, valid: Address): void {
    const body = this.#body;
    const words = this.#words;
    const { form, epilogue, operandChannels } = this.#shape;
    body.scope(() => {
      const distances = form === "inline" ? operandDistances(body, words, "output", operandChannels.length) : [];
      const pointBytes = body.local("i32", i32.add(i32.mul(tiles, width * 4), pointGap));
      const source = this.#region("products");
      const rowStep = words.local("outputRow");
      const pixelStep = words.local("outputPixel");
      const height = words.local("outputHeight");
      const columns = words.local("outputWidth");
      this.#tileRows(begin, end, (image, y) => {
        const target = body.local(
          "i32",
          i32.add(
            i32.add(words.word("output"), i32.shl(channel, 2)),
            i32.add(i32.mul(image, words.word("outputImage")), i32.mul(y, rowStep)),
          ),
        );
        const hasSecondRow = body.local("i32", i32.ltS(i32.add(y, 1), height));
        body.forRange(0, columns, 2, (x) => {
          const pixels: Local<"v128">[][] = [[], [], [], []];
          for (let j = 0; j < vectors; j++) {
            const bias = body.local("v128", v128.load(panel, { offset: j * 16 }));
            outputPixels(body, f32x4, i32.add(source, j * 16), pointBytes, 0, (row, r) => {
              row.forEach((value, c) => {
                pixels[r * 2 + c]?.push(body.local("v128", f32x4.add(value, bias)));
              });
            });
          }
          const hasSecond = body.local("i32", i32.ltS(i32.add(x, 1), columns));
          const below = body.local("i32", i32.add(target, rowStep));
          const store = (address: Address, pixel: number): void => {
            const values = pixels[pixel] as readonly Local<"v128">[];
            if (form === "inline" && epilogue)
              applyInline(body, this.#context.math, epilogue, [values], [address], distances);
            storeTile(this.#context, body, [address], [values], valid);
          };
          const pair = (address: Address, pixel: number): void => {
            store(address, pixel);
            body.if(hasSecond, () => store(body.local("i32", i32.add(address, pixelStep)), pixel + 1));
          };
          pair(target, 0);
          body.if(hasSecondRow, () => pair(below, 2));
          body.set(target, i32.add(target, i32.shl(pixelStep, 1)));
          body.set(source, i32.add(source, width * 4));
        });
      });
    });
  }

  /** The epilogue over the rows of pixels just written. */
  #finish(begin: Address, end: Address, channel: Address, valid: Address): void {
    const body = this.#body;
    const words = this.#words;
    const height = words.local("outputHeight");
    this.#tileRows(begin, end, (image, y) => {
      const stop = body.local("i32", minimumS(body.local("i32", i32.add(y, 2)), height));
      body.forRange(y, stop, 1, (row) => {
        finishRow(this.#context, body, words, this.#shape, { image, y: row }, channel, valid);
      });
    });
  }

  /** Every row of tiles: its image, and the output row that it starts at. */
  #tileRows(begin: Address, end: Address, visit: (image: Address, y: Address) => void): void {
    const body = this.#body;
    const tileRows = this.#words.local("tileRows");
    body.forRange(begin, end, 1, (row) => {
      const image = body.local("i32", i32.divU(row, tileRows));
      const y = body.local("i32", i32.shl(i32.sub(row, i32.mul(image, tileRows)), 1));
      visit(image, y);
    });
  }
}

type Three = readonly [Vector, Vector, Vector];

/** A row of G g: g0, (g0 + g1 + g2) / 2, (g0 - g1 + g2) / 2, g2. */
function expanded(body: BodyBuilder, [g0, g1, g2]: Three): readonly Local<"v128">[] {
  const half = f32x4.const(0.5, 0.5, 0.5, 0.5);
  const [first, last] = [body.local("v128", g0), body.local("v128", g2)];
  const outer = body.local("v128", f32x4.mul(f32x4.add(first, last), half));
  const middle = body.local("v128", f32x4.mul(g1, half));
  return [first, body.local("v128", f32x4.add(outer, middle)), body.local("v128", f32x4.sub(outer, middle)), last];
}
