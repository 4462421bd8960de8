/**
 * WebAssembly of a transposed convolution, gathered: no output is written twice. Output pixels that are a stride apart
 * see the same taps (a phase), so tiles hold pixels of one phase of one row; the input has a border of zeros.
 * Tap k of an axis reaches output o from input (o + pad - k * dilation) / stride where that is whole.
 */
import type { Expression } from "../../../runtime/format/expression.ts";
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression as Code, FunctionReference, Local } from "../../assemble/expression.ts";
import { select } from "../../assemble/expression.ts";
import { i32, minimumS } from "../../assemble/scalar.ts";
import type { WasmKernelContext } from "../contract.ts";
import type { StoredWeights } from "../problem.ts";
import { readyWeights } from "../tile/block-widen.ts";
import { applyInline, type EpilogueForm, emitPass, type OperandChannels } from "../tile/finish.ts";
import { biasAccumulators, emitMultiply, panelWidth, rowsOn, type TileShape } from "../tile/multiply.ts";
import { storeTile } from "../tile/store.ts";
import { RecordReader } from "../tile/words.ts";

/** One spatial axis: taps that share a phase are `tapStep` apart, and their inputs `inputStep`. */
export interface TransposedAxis {
  readonly stride: number;
  readonly dilation: number;
  readonly pad: number;
  readonly kernel: number;
  readonly tapStep: number;
  readonly inputStep: number;
}

export interface ConvTransposeShape extends StoredWeights {
  readonly tile: TileShape;
  readonly vertical: TransposedAxis;
  readonly horizontal: TransposedAxis;
  readonly epilogue: Expression | undefined;
  readonly form: EpilogueForm;
  readonly operandChannels: readonly OperandChannels[];
  readonly names: readonly string[];
}

export function emitConvTranspose(context: WasmKernelContext, planned: ConvTransposeShape): FunctionReference {
  const { rows, vectors } = planned.tile;
  const tile = { rows: vectors === 2 ? rowsOn(context.target, rows) : rows, vectors };
  const shape = { ...planned, tile };
  return context.module.function(
    "conv_transpose",
    { params: ["i32", "i32", "i32"], results: [] },
    (body, record, begin, end) => {
      new ConvTransposeCode(context, shape, body, new RecordReader(body, record, shape.names)).emit(begin, end);
    },
  );
}

type Address = Local<"i32">;

/** Taps first, first + tapStep, … (`count` of them) reach an output; the first from input `source`. */
interface Taps {
  readonly first: Address;
  readonly count: Address;
  readonly source: Address;
}

/** An output row (of all images), and what reaches it. */
interface Row {
  readonly input: Address;
  readonly output: Address;
  readonly taps: Taps;
}

class ConvTransposeCode {
  readonly #context: WasmKernelContext;
  readonly #shape: ConvTransposeShape;
  readonly #body: BodyBuilder;
  readonly #words: RecordReader;

  constructor(context: WasmKernelContext, shape: ConvTransposeShape, body: BodyBuilder, words: RecordReader) {
    this.#context = context;
    this.#shape = shape;
    this.#body = body;
    this.#words = words;
  }

  emit(begin: Address, end: Address): void {
    const body = this.#body;
    const words = this.#words;
    const width = panelWidth(this.#shape.tile);
    const scratch = words.has("scratch") ? words.local("scratch") : undefined;
    const depth = words.local("depth");
    const channels = words.local("channels");
    const blockRows = words.local("blockRows");
    body.forRange(begin, end, blockRows, (blockBegin) => {
      const blockEnd = body.local("i32", minimumS(body.local("i32", i32.add(blockBegin, blockRows)), end));
      const panel = words.local("weights");
      const channel = body.local("i32", 0);
      const groupOffset = body.local("i32", 0);
      body.forRange(0, words.word("groups"), 1, () => {
        const left = words.local("filtersPerGroup");
        body.loop((again) => {
          const valid = body.local("i32", minimumS(left, width));
          const ready = readyWeights(this.#context, this.#shape, width, body, panel, scratch, depth, channels);
          body.forRange(blockBegin, blockEnd, 1, (row) => this.#row(row, ready, groupOffset, channel, valid));
          body.set(panel, i32.add(panel, words.word("panelBytes")));
          body.set(channel, i32.add(channel, valid));
          body.branchIf(again, i32.gtS(body.tee(left, i32.sub(left, width)), 0));
        });
        body.set(groupOffset, i32.add(groupOffset, words.word("groupBytes")));
      });
    });
  }

  /** The taps that reach `output`. */
  #tapsOf(output: Code<"i32">, axis: TransposedAxis): Taps {
    const body = this.#body;
    const { stride, dilation, pad, kernel, tapStep } = axis;
    const position = body.local("i32", i32.add(output, pad));
    const first = body.local("i32", 0);
    // At most `tapStep` taps belong to different phases; the first that fits, if any.
    if (tapStep > 1) {
      body.loop((again) => {
        const distance = body.local("i32", i32.sub(position, i32.mul(first, dilation)));
        body.if(i32.ne(i32.remS(distance, stride), 0), () => {
          body.branchIf(again, i32.ltS(body.tee(first, i32.add(first, 1)), tapStep));
        });
      });
    }
    const reachable = i32.remS(i32.sub(position, i32.mul(first, dilation)), stride);
    const found = body.local("i32", i32.and(i32.eqz(reachable), i32.ltS(first, kernel)));
    const taps = i32.divU(i32.add(i32.sub(kernel, first), tapStep - 1), tapStep);
    return {
      first,
      count: body.local("i32", select("i32", found, taps, 0)),
      source: body.local("i32", i32.divS(i32.sub(position, i32.mul(first, dilation)), stride)),
    };
  }

  #row(row: Address, panel: Address, groupOffset: Address, channel: Address, valid: Address): void {
    const body = this.#body;
    const words = this.#words;
    const { horizontal, vertical, form } = this.#shape;
    const image = body.local("i32", i32.divU(row, words.word("outputHeight")));
    const y = body.local("i32", i32.sub(row, i32.mul(image, words.word("outputHeight"))));
    const taps = this.#tapsOf(y, vertical);
    const input = i32.add(
      i32.add(words.word("input"), groupOffset),
      i32.add(i32.mul(image, words.word("inputImage")), i32.mul(taps.source, words.word("inputRow"))),
    );
    const output = i32.add(
      i32.add(words.word("output"), i32.shl(channel, 2)),
      i32.add(i32.mul(image, words.word("outputImage")), i32.mul(y, words.word("outputRow"))),
    );
    const place: Row = { input: body.local("i32", input), output: body.local("i32", output), taps };
    const width = words.local("outputWidth");
    const phases = body.local("i32", minimumS(width, horizontal.stride));
    body.forRange(0, phases, 1, (x) => {
      const count = body.local("i32", i32.divU(i32.add(i32.sub(width, x), horizontal.stride - 1), horizontal.stride));
      this.#phase(place, x, count, panel, valid);
    });
    if (form === "pass") this.#finish(image, y, channel, valid, place.output, width);
  }

  /** `count` output pixels x, x + stride, … of a row. */
  #phase(row: Row, x: Address, count: Address, panel: Address, valid: Address): void {
    const body = this.#body;
    const words = this.#words;
    const { tile, horizontal, vertical, form, epilogue } = this.#shape;
    const { rows } = tile;
    const taps = this.#tapsOf(x, horizontal);
    const source = body.local("i32", i32.add(row.input, i32.mul(taps.source, words.word("inputPixel"))));
    const target = body.local("i32", i32.add(row.output, i32.mul(x, words.word("outputPixel"))));
    const sourceStep = words.local("inputPixel");
    const targetStep = body.local("i32", i32.mul(words.word("outputPixel"), horizontal.stride));
    const stepBytes = words.local("tapBytes");
    const firstTap = i32.add(i32.mul(row.taps.first, horizontal.kernel), taps.first);
    const weights = body.local("i32", i32.add(i32.add(panel, panelWidth(tile) * 4), i32.mul(firstTap, stepBytes)));
    // Behind a row of taps, weights have moved tapStep * count taps on and pixels as many inputs back.
    const columnJump = body.local("i32", i32.mul(stepBytes, horizontal.tapStep - 1));
    const rowWeights = i32.sub(vertical.tapStep * horizontal.kernel, i32.mul(taps.count, horizontal.tapStep));
    const rowJump = body.local("i32", i32.mul(stepBytes, rowWeights));
    const back = body.local("i32", i32.mul(sourceStep, horizontal.inputStep));
    const runBytes = words.local("groupBytes");
    const pixelJump = body.local("i32", i32.sub(i32.sub(0, back), runBytes));
    const pixelRowJump = body.local(
      "i32",
      i32.sub(i32.mul(taps.count, back), i32.mul(words.word("inputRow"), vertical.inputStep)),
    );
    const left = body.local("i32", count);
    body.loop((again) => {
      const sources = Array.from({ length: rows }, () => body.local("i32"));
      const targets = Array.from({ length: rows }, () => body.local("i32"));
      for (let index = 0; index < rows; index++) {
        body.set(sources[index] as Address, source);
        body.set(targets[index] as Address, target);
        if (index + 1 === rows) break;
        const moves = body.local("i32", i32.gtS(left, index + 1));
        body.set(source, select("i32", moves, i32.add(source, sourceStep), source));
        body.set(target, select("i32", moves, i32.add(target, targetStep), target));
      }
      const sums = biasAccumulators(body, tile, panel);
      body.if(i32.and(i32.gtS(taps.count, 0), i32.gtS(row.taps.count, 0)), () => {
        const cursor = body.local("i32", weights);
        emitMultiply(body, this.#context.target, [sums], cursor, sources, {
          inner: words.local("channels"),
          middle: { count: taps.count, jump: pixelJump, weightJump: columnJump },
          outer: { count: row.taps.count, jump: pixelRowJump, weightJump: rowJump },
        });
      });
      if (form === "inline" && epilogue) applyInline(body, this.#context.math, epilogue, sums, [], []);
      storeTile(this.#context, body, targets, sums, valid);
      body.set(source, i32.add(source, sourceStep));
      body.set(target, i32.add(target, targetStep));
      body.branchIf(again, i32.gtS(body.tee(left, i32.sub(left, rows)), 0));
    });
  }

  #finish(image: Address, y: Address, channel: Address, valid: Address, output: Address, width: Address): void {
    const body = this.#body;
    const words = this.#words;
    const { epilogue, operandChannels } = this.#shape;
    if (!epilogue) return;
    const operands = operandChannels.map((channels, k) => {
      const name = `operand${k}`;
      const start = i32.add(
        i32.add(words.word(name), channels === "contiguous" ? i32.shl(channel, 2) : i32.const(0)),
        i32.add(i32.mul(image, words.word(`${name}Image`)), i32.mul(y, words.word(`${name}Row`))),
      );
      return { address: body.local("i32", start), step: words.local(`${name}Pixel`) };
    });
    const step = words.local("outputPixel");
    emitPass(this.#context, body, epilogue, operandChannels, {
      count: width,
      valid,
      output: { address: output, step },
      operands,
    });
  }
}
