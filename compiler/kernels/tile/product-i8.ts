/**
 * WebAssembly of the integer products: a convolution over a border, or the product of a matrix, which is one of a window
 * of one pixel. Per block of output rows of one image: the input widened to int16 in scratch, then groups and panels of
 * output channels, each panel over all pixels of the block into accumulators, and those through the epilogue. With a
 * relaxed dot and an input of 7 bits the pixels are read where they lie and panels as they are stored.
 */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { FunctionReference, Local } from "../../assemble/expression.ts";
import { i32, minimumS } from "../../assemble/scalar.ts";
import type { WasmKernelContext } from "../contract.ts";
import { type Block, type BlockFinish, finishBlock } from "./finish-block-i8.ts";
import { biasAccumulators, emitMultiply, panelWidth, type TileShape } from "./multiply.ts";
import { pairReader, quadReader, widenBytePanel } from "./panel-i8.ts";
import { emitPairVector, emitQuadVector } from "./vector-i8.ts";
import { widenActivations } from "./widen-i8.ts";
import { RecordReader } from "./words.ts";

/** What the code depends on: kernels of equal shapes are the same function. */
export interface IntegerShape extends BlockFinish {
  readonly tile: TileShape;
  /** Whether the range is panels, each by all `tile.rows` rows there are, and not rows. */
  readonly overPanels: boolean;
  readonly inputType: "int8" | "uint8";
  /** Whether a relaxed dot can read the input where it lies. */
  readonly quads: boolean;
  /** Whether taps of a kernel row are one run, in scratch and where they lie. */
  readonly mergedPairs: boolean;
  readonly mergedQuads: boolean;
  /** Pairs of a run, when they are few. */
  readonly fewPairs: number | undefined;
  /** One kernel row. */
  readonly singleRow: boolean;
  /** Whether the pixels of a block are one after another, in scratch and where they lie. */
  readonly linearPairs: boolean;
  readonly linearQuads: boolean;
  /** What is one stretch of bytes of the input: a pixel, a row, all rows that a block reads. */
  readonly stretch: "pixel" | "row" | "block";
  readonly names: readonly string[];
}

export function emitIntegerProduct(context: WasmKernelContext, shape: IntegerShape): FunctionReference {
  return context.module.function(
    "integer_product",
    { params: ["i32", "i32", "i32"], results: [] },
    (body, record, begin, end) => {
      new IntegerProductCode(context, shape, body, new RecordReader(body, record, shape.names)).emit(begin, end);
    },
  );
}

type Address = Local<"i32">;

class IntegerProductCode {
  readonly #context: WasmKernelContext;
  readonly #shape: IntegerShape;
  readonly #body: BodyBuilder;
  readonly #words: RecordReader;
  /** Whether this target reads quads. */
  readonly #quads: boolean;

  constructor(context: WasmKernelContext, shape: IntegerShape, body: BodyBuilder, words: RecordReader) {
    this.#context = context;
    this.#shape = shape;
    this.#body = body;
    this.#words = words;
    this.#quads = shape.quads && context.target.relaxedDot;
  }

  emit(begin: Address, end: Address): void {
    if (this.#shape.overPanels) this.#overPanels(begin, end);
    else this.#overRows(begin, end);
  }

  #overPanels(begin: Address, end: Address): void {
    const body = this.#body;
    const words = this.#words;
    const { tile } = this.#shape;
    const rows = body.local("i32", tile.rows);
    const block = { image: body.local("i32", 0), first: body.local("i32", 0), rows, pixels: rows };
    const source = words.local("input");
    if (!this.#quads) this.#widenInput(block, source);
    const step = words.local(this.#quads ? "inputRowStep" : "wideRowStep");
    const first = this.#quads ? source : words.local("wide");
    const sources = Array.from({ length: tile.rows }, (_, index) =>
      index === 0 ? first : body.local("i32", i32.add(first, i32.mul(step, index))),
    );
    const width = panelWidth(tile);
    const quads = body.local("i32", i32.shrU(i32.add(words.word("runPairs"), 1), 1));
    const sums = words.local("sums");
    body.forRange(begin, end, 1, (index) => {
      const panel = body.local("i32", i32.add(words.word("weights"), i32.mul(index, words.word("panelBytes"))));
      const channel = body.local("i32", i32.mul(index, width));
      const left = body.local("i32", i32.sub(words.word("filtersPerGroup"), channel));
      const valid = body.local("i32", minimumS(left, width));
      (this.#quads ? emitQuadVector : emitPairVector)(body, panel, sources, quads, sums);
      this.#finish(block, channel, valid);
    });
  }

  #overRows(begin: Address, end: Address): void {
    const body = this.#body;
    const words = this.#words;
    const height = words.local("outputHeight");
    const row = body.local("i32", begin);
    body.block((done) => {
      body.loop((again) => {
        body.branchIf(done, i32.geS(row, end));
        body.scope(() => {
          const image = body.local("i32", i32.divU(row, height));
          const first = body.local("i32", i32.sub(row, i32.mul(image, height)));
          const left = body.local("i32", minimumS(body.local("i32", i32.sub(height, first)), words.local("blockRows")));
          const rows = body.local("i32", minimumS(left, body.local("i32", i32.sub(end, row))));
          const pixels = body.local("i32", i32.mul(rows, words.word("outputWidth")));
          this.#block({ image, first, rows, pixels });
          body.set(row, i32.add(row, rows));
        });
        body.branch(again);
      });
    });
  }

  #block(block: Block): void {
    const body = this.#body;
    const words = this.#words;
    const width = panelWidth(this.#shape.tile);
    const source = body.local(
      "i32",
      i32.add(
        i32.add(words.word("input"), i32.mul(block.image, words.word("inputImage"))),
        i32.mul(block.first, words.word("inputRowStep")),
      ),
    );
    if (!this.#quads) this.#widenInput(block, source);
    const input = this.#quads ? source : words.local("wide");
    const panel = words.local("weights");
    const channel = body.local("i32", 0);
    const filters = words.local("filtersPerGroup");
    body.forRange(0, words.word("groups"), 1, () => {
      const left = body.local("i32", filters);
      body.loop((again) => {
        const valid = body.local("i32", minimumS(left, width));
        this.#sweep(block, this.#ready(panel), input);
        this.#finish(block, channel, valid);
        body.set(panel, i32.add(panel, words.word("panelBytes")));
        body.set(channel, i32.add(channel, valid));
        body.branchIf(again, i32.gtS(body.tee(left, i32.sub(left, width)), 0));
      });
      body.set(input, i32.add(input, words.word(this.#quads ? "groupBytes" : "wideGroup")));
    });
  }

  /** The panel as this target reads it. */
  #ready(panel: Address): Address {
    if (this.#quads) return panel;
    const body = this.#body;
    const words = this.#words;
    const scratch = words.local("widePanel");
    const widen = widenBytePanel(this.#context, panelWidth(this.#shape.tile));
    body.call(widen, panel, scratch, words.word("runs"), words.word("runPairs"));
    return scratch;
  }

  /** The rows of the input that a block reads, as int16 in scratch. */
  #widenInput(block: Block, source: Address): void {
    const body = this.#body;
    const words = this.#words;
    const widen = widenActivations(this.#context, this.#shape.inputType);
    const rows = body.local(
      "i32",
      i32.add(i32.mul(i32.sub(block.rows, 1), words.word("rowAdvance")), words.word("rowReach")),
    );
    const [columns, channels] = [words.word("wideColumns"), words.word("channels")];
    const [sourceRow, wideRow] = [words.word("sourceRow"), words.word("wideRow")];
    const { stretch } = this.#shape;
    if (stretch !== "pixel") {
      const bytes = i32.mul(columns, channels);
      const [count, length] = stretch === "row" ? [rows, bytes] : [i32.const(1), i32.mul(rows, bytes)];
      body.call(widen, count, length, source, sourceRow, words.word("wide"), wideRow);
      return;
    }
    body.scope(() => {
      const from = body.local("i32", source);
      const to = words.local("wide");
      body.forRange(0, rows, 1, () => {
        body.call(widen, columns, channels, from, words.word("sourceColumn"), to, i32.shl(channels, 1));
        body.set(from, i32.add(from, sourceRow));
        body.set(to, i32.add(to, wideRow));
      });
    });
  }

  /** One panel over all pixels of the block. */
  #sweep(block: Block, panel: Address, input: Address): void {
    const body = this.#body;
    const words = this.#words;
    const { tile, linearPairs, linearQuads } = this.#shape;
    const { rows } = tile;
    const quads = this.#quads;
    const isLinear = quads ? linearQuads : linearPairs;
    body.scope(() => {
      const step = words.local(quads ? "inputStep" : "wideStep");
      const rowStep = words.local(quads ? "inputRowStep" : "wideRowStep");
      const width = words.local("outputWidth");
      const next = body.local("i32", input);
      const start = body.local("i32", input);
      const columnsLeft = body.local("i32", width);
      const left = body.local("i32", block.pixels);
      const sums = words.local("sums");
      body.loop((again) => {
        const sources = Array.from({ length: rows }, () => body.local("i32"));
        const inOneRow = (): void => {
          for (const pixel of sources) {
            body.set(pixel, next);
            body.set(next, i32.add(next, step));
          }
        };
        /** Behind the last pixel it repeats; across the end of a row it goes on in the next one. */
        const oneByOne = (): void => {
          sources.forEach((pixel, index) => {
            body.set(pixel, next);
            body.if(i32.gtS(left, index + 1), () => {
              if (isLinear) return body.set(next, i32.add(next, step));
              body.if(
                body.tee(columnsLeft, i32.sub(columnsLeft, 1)),
                () => body.set(next, i32.add(next, step)),
                () => {
                  body.set(columnsLeft, width);
                  body.set(start, i32.add(start, rowStep));
                  body.set(next, start);
                },
              );
            });
          });
        };
        body.if(
          i32.gtS(isLinear ? left : columnsLeft, rows),
          () => {
            inOneRow();
            if (!isLinear) body.set(columnsLeft, i32.sub(columnsLeft, rows));
          },
          oneByOne,
        );
        this.#tile(panel, sources, sums);
        body.set(sums, i32.add(sums, rows * panelWidth(tile) * 4));
        body.branchIf(again, i32.gtS(body.tee(left, i32.sub(left, rows)), 0));
      });
    });
  }

  #tile(panel: Address, sources: readonly Address[], target: Address): void {
    const body = this.#body;
    const words = this.#words;
    const { tile, fewPairs, mergedPairs, mergedQuads, singleRow } = this.#shape;
    const quads = this.#quads;
    const merged = quads ? mergedQuads : mergedPairs;
    const reader = (quads ? quadReader : pairReader)(tile.vectors);
    const prefix = quads ? "quad" : "pair";
    body.scope(() => {
      const sums = biasAccumulators(body, tile, panel);
      const weights = body.local("i32", i32.add(panel, panelWidth(tile) * 4));
      const loops = {
        inner: fewPairs !== undefined && !quads ? i32.const(fewPairs) : words.local(`${prefix}Inner`),
        ...(merged ? {} : { middle: { count: words.word("kernelWidth"), jump: words.local(`${prefix}TapJump`) } }),
        ...(singleRow ? {} : { outer: { count: words.word("kernelHeight"), jump: words.local(`${prefix}RowJump`) } }),
      };
      emitMultiply(body, this.#context.target, [sums], weights, sources, loops, reader);
      sums.forEach((row, i) => {
        row.forEach((sum, j) => {
          body.v128Store(target, sum, { offset: (i * tile.vectors + j) * 16 });
        });
      });
    });
  }

  /** The accumulators of the block through the epilogue. */
  #finish(block: Block, channel: Address, valid: Address): void {
    const words = this.#words;
    const sumsRow = i32.mul(words.word("outputWidth"), panelWidth(this.#shape.tile) * 4);
    finishBlock(this.#context, this.#body, words, this.#shape, block, sumsRow, channel, valid);
  }
}
