/**
 * WebAssembly of a dense convolution over a zero halo. Per block of output rows: groups, panels of output
 * channels, then all pixels of the block in tiles that run across row ends (per-pixel pointers, so views may have any
 * strides). A ragged last tile repeats its last pixel: the same value is stored again.
 */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { FunctionReference, Local } from "../../assemble/expression.ts";
import { i32, minimumS } from "../../assemble/scalar.ts";
import type { WasmKernelContext } from "../contract.ts";
import { readyWeights } from "../tile/block-widen.ts";
import { applyInline, operandDistances } from "../tile/finish.ts";
import { biasAccumulators, emitMultiply, panelWidth, rowsOn } from "../tile/multiply.ts";
import { storeTile } from "../tile/store.ts";
import { RecordReader } from "../tile/words.ts";
import { finishRow } from "./finish.ts";
import type { ConvShape } from "./shape.ts";

export function emitConv(context: WasmKernelContext, planned: ConvShape): FunctionReference {
  const { rows, vectors } = planned.tile;
  const tile = { rows: vectors === 2 ? rowsOn(context.target, rows) : rows, vectors };
  const shape = { ...planned, tile };
  return context.module.function("conv", { params: ["i32", "i32", "i32"], results: [] }, (body, record, begin, end) => {
    new ConvCode(context, shape, body, new RecordReader(body, record, shape.names)).emit(begin, end);
  });
}

type Address = Local<"i32">;

/** The pixel that comes next: addresses of its input and output, and of the row and image it lies in. */
interface Cursor {
  readonly input: Address;
  readonly output: Address;
  readonly inputRow: Address;
  readonly outputRow: Address;
  readonly inputImage: Address;
  readonly outputImage: Address;
  readonly pixelsLeft: Address;
  readonly rowsLeft: Address;
}

class ConvCode {
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
    const width = panelWidth(this.#shape.tile);
    const depth = words.local("depth");
    const channels = words.local("channels");
    const scratch = words.has("scratch") ? words.local("scratch") : undefined;
    const blockRows = words.local("blockRows");
    const panelBytes = words.local("panelBytes");
    const filters = words.local("filtersPerGroup");
    body.forRange(begin, end, blockRows, (row) => {
      const blockEnd = body.local("i32", minimumS(body.local("i32", i32.add(row, blockRows)), end));
      const panel = words.local("weights");
      const input = words.local("input");
      const channel = body.local("i32", 0);
      body.forRange(0, words.word("groups"), 1, () => {
        const left = body.local("i32", filters);
        body.loop((again) => {
          const valid = body.local("i32", minimumS(left, width));
          const ready = readyWeights(this.#context, this.#shape, width, body, panel, scratch, depth, channels);
          this.#sweep(row, blockEnd, ready, input, channel, valid);
          if (this.#shape.form === "pass") this.#finish(row, blockEnd, channel, valid);
          body.set(panel, i32.add(panel, panelBytes));
          body.set(channel, i32.add(channel, valid));
          body.branchIf(again, i32.gtS(body.tee(left, i32.sub(left, width)), 0));
        });
        body.set(input, i32.add(input, words.word("groupBytes")));
      });
    });
  }

  /** One panel over all pixels of the rows. */
  #sweep(row: Address, end: Address, panel: Address, input: Address, channel: Address, valid: Address): void {
    const body = this.#body;
    const words = this.#words;
    const { rows } = this.#shape.tile;
    body.scope(() => {
      const width = words.local("outputWidth");
      const cursor = this.#cursorAt(row, input, channel);
      const pixels = body.local("i32", i32.mul(i32.sub(end, row), width));
      const steps = { input: words.local("inputStep"), output: words.local("outputPixel") };
      body.loop((again) => {
        const sources = Array.from({ length: rows }, () => body.local("i32"));
        const targets = Array.from({ length: rows }, () => body.local("i32"));
        const place = (index: number): void => {
          body.set(sources[index] as Address, cursor.input);
          body.set(targets[index] as Address, cursor.output);
        };
        const move = (): void => {
          body.set(cursor.input, i32.add(cursor.input, steps.input));
          body.set(cursor.output, i32.add(cursor.output, steps.output));
        };
        body.if(
          i32.gtS(cursor.pixelsLeft, rows),
          () => {
            for (let index = 0; index < rows; index++) {
              place(index);
              move();
            }
            body.set(cursor.pixelsLeft, i32.sub(cursor.pixelsLeft, rows));
          },
          () => {
            for (let index = 0; index < rows; index++) {
              place(index);
              body.if(i32.gtS(pixels, index + 1), () => {
                body.if(body.tee(cursor.pixelsLeft, i32.sub(cursor.pixelsLeft, 1)), move, () =>
                  this.#nextRow(cursor, width),
                );
              });
            }
          },
        );
        this.#tile(panel, sources, targets, valid);
        body.branchIf(again, i32.gtS(body.tee(pixels, i32.sub(pixels, rows)), 0));
      });
    });
  }

  #cursorAt(row: Address, input: Address, channel: Address): Cursor {
    const body = this.#body;
    const words = this.#words;
    const height = words.local("outputHeight");
    const image = body.local("i32", i32.divU(row, height));
    const y = body.local("i32", i32.sub(row, i32.mul(image, height)));
    const inputImage = body.local("i32", i32.add(input, i32.mul(image, words.word("inputImage"))));
    const outputImage = body.local(
      "i32",
      i32.add(i32.add(words.word("output"), i32.shl(channel, 2)), i32.mul(image, words.word("outputImage"))),
    );
    const inputRow = body.local("i32", i32.add(inputImage, i32.mul(y, words.word("inputRowStep"))));
    const outputRow = body.local("i32", i32.add(outputImage, i32.mul(y, words.word("outputRow"))));
    return {
      input: body.local("i32", inputRow),
      output: body.local("i32", outputRow),
      inputRow,
      outputRow,
      inputImage,
      outputImage,
      pixelsLeft: words.local("outputWidth"),
      rowsLeft: body.local("i32", i32.sub(height, y)),
    };
  }

  #nextRow(cursor: Cursor, width: Address): void {
    const body = this.#body;
    const words = this.#words;
    body.set(cursor.pixelsLeft, width);
    body.if(
      body.tee(cursor.rowsLeft, i32.sub(cursor.rowsLeft, 1)),
      () => {
        body.set(cursor.inputRow, i32.add(cursor.inputRow, words.word("inputRowStep")));
        body.set(cursor.outputRow, i32.add(cursor.outputRow, words.word("outputRow")));
      },
      () => {
        body.set(cursor.rowsLeft, words.word("outputHeight"));
        body.set(cursor.inputImage, i32.add(cursor.inputImage, words.word("inputImage")));
        body.set(cursor.outputImage, i32.add(cursor.outputImage, words.word("outputImage")));
        body.set(cursor.inputRow, cursor.inputImage);
        body.set(cursor.outputRow, cursor.outputImage);
      },
    );
    body.set(cursor.input, cursor.inputRow);
    body.set(cursor.output, cursor.outputRow);
  }

  #tile(panel: Address, sources: readonly Address[], targets: readonly Address[], valid: Address): void {
    const body = this.#body;
    const words = this.#words;
    const { tile, contiguous, singleRow, form, epilogue, operandChannels } = this.#shape;
    body.scope(() => {
      const sums = biasAccumulators(body, tile, panel);
      const weights = body.local("i32", i32.add(panel, panelWidth(tile) * 4));
      emitMultiply(body, this.#context.target, [sums], weights, sources, {
        inner: words.local("run"),
        ...(contiguous ? {} : { middle: { count: words.word("kernelWidth"), jump: words.local("tapJump") } }),
        ...(singleRow ? {} : { outer: { count: words.word("kernelHeight"), jump: words.local("rowJump") } }),
      });
      if (form === "inline" && epilogue) {
        const distances = operandDistances(body, words, "output", operandChannels.length);
        applyInline(body, this.#context.math, epilogue, sums, targets, distances);
      }
      storeTile(this.#context, body, targets, sums, valid);
    });
  }

  /** The epilogue over the rows just written. */
  #finish(begin: Address, end: Address, channel: Address, valid: Address): void {
    const body = this.#body;
    const words = this.#words;
    body.forRange(begin, end, 1, (row) => {
      const image = body.local("i32", i32.divU(row, words.word("outputHeight")));
      const y = body.local("i32", i32.sub(row, i32.mul(image, words.word("outputHeight"))));
      finishRow(this.#context, body, words, this.#shape, { image, y }, channel, valid);
    });
  }
}
