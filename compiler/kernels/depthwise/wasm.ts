/**
 * WebAssembly of a depthwise convolution over a zero halo. Per output row, tiles of neighbouring pixels; per tile all
 * channels, so that every cache line of the input is passed over once. A ragged last tile of a row starts earlier and
 * computes some pixels again; rows shorter than a tile go pixel by pixel. Weights are panels of four channels.
 */
import type { Expression } from "../../../runtime/format/expression.ts";
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression as Code, FunctionReference, Local } from "../../assemble/expression.ts";
import { i32, minimumS } from "../../assemble/scalar.ts";
import { multiplyAdd } from "../../assemble/target.ts";
import { v128 } from "../../assemble/vector.ts";
import type { WasmKernelContext } from "../contract.ts";
import type { PlainStorage } from "../problem.ts";
import { applyInline, type EpilogueForm, emitPass, type OperandChannels } from "../tile/finish.ts";
import { widenPanel } from "../tile/panel.ts";
import { RecordReader } from "../tile/words.ts";
import { depthwiseWidth } from "./variants.ts";

export interface DepthwiseShape {
  readonly pixels: number;
  readonly vectors: number;
  /** Kernel row, when its taps are written out. */
  readonly row: { readonly taps: number; readonly stride: number; readonly dilation: number } | undefined;
  readonly multiplier: number;
  readonly storage: PlainStorage;
  readonly epilogue: Expression | undefined;
  readonly form: EpilogueForm;
  readonly operandChannels: readonly OperandChannels[];
  readonly names: readonly string[];
}

export function emitDepthwise(context: WasmKernelContext, shape: DepthwiseShape): FunctionReference {
  return context.module.function(
    "depthwise",
    { params: ["i32", "i32", "i32"], results: [] },
    (body, record, begin, end) => {
      new DepthwiseCode(context, shape, body, new RecordReader(body, record, shape.names)).emit(begin, end);
    },
  );
}

type Address = Local<"i32">;
type Vector = Code<"v128">;

/** How channels are taken: vectors of four, or one at a time. */
interface Lanes {
  readonly vectors: number;
  readonly lanes: 1 | 4;
}

class DepthwiseCode {
  readonly #context: WasmKernelContext;
  readonly #shape: DepthwiseShape;
  readonly #body: BodyBuilder;
  readonly #words: RecordReader;
  #weights: Code<"i32">;

  constructor(context: WasmKernelContext, shape: DepthwiseShape, body: BodyBuilder, words: RecordReader) {
    this.#context = context;
    this.#shape = shape;
    this.#body = body;
    this.#words = words;
    this.#weights = words.word("weights");
  }

  emit(begin: Address, end: Address): void {
    const body = this.#body;
    const words = this.#words;
    const { pixels, storage, form } = this.#shape;
    if (storage !== "float32") this.#widen(storage);
    const width = words.local("outputWidth");
    body.forRange(begin, end, 1, (row) => {
      const image = body.local("i32", i32.divU(row, words.word("outputHeight")));
      const y = body.local("i32", i32.sub(row, i32.mul(image, words.word("outputHeight"))));
      const rowOf = (name: string, step: string): Address =>
        body.local(
          "i32",
          i32.add(words.word(name), i32.add(i32.mul(image, words.word(`${name}Image`)), i32.mul(y, words.word(step)))),
        );
      const input = rowOf("input", "inputRowStep");
      const output = rowOf("output", "outputRow");
      const at = (x: Code<"i32">): readonly [Address, Address] => [
        body.local("i32", i32.add(input, i32.mul(x, words.word("inputStep")))),
        body.local("i32", i32.add(output, i32.mul(x, words.word("outputPixel")))),
      ];
      body.if(
        i32.geS(width, pixels),
        () => {
          const last = body.local("i32", i32.sub(width, pixels));
          body.forRange(0, width, pixels, (x) => this.#channels(pixels, ...at(body.local("i32", minimumS(x, last)))));
        },
        () => body.forRange(0, width, 1, (x) => this.#channels(1, ...at(x))),
      );
      if (form === "pass") this.#finish(image, y, output);
    });
  }

  /** All panels to float32 in scratch. */
  #widen(storage: "float16" | "int8"): void {
    const body = this.#body;
    const words = this.#words;
    const scratch = words.local("scratch");
    const from = words.local("weights");
    const to = body.local("i32", scratch);
    const taps = words.local("taps");
    body.forRange(0, words.word("channels"), depthwiseWidth, () => {
      body.call(widenPanel(this.#context, storage, depthwiseWidth), from, to, taps);
      body.set(from, i32.add(from, words.word("panelBytes")));
      body.set(to, i32.add(to, words.word("widePanelBytes")));
    });
    this.#weights = scratch;
  }

  /** A tile of `pixels` output pixels, all channels. */
  #channels(pixels: number, input: Address, output: Address): void {
    const body = this.#body;
    const words = this.#words;
    const { vectors, multiplier } = this.#shape;
    const channels = words.local("channels");
    const panel = body.local("i32", this.#weights);
    const panelBytes = words.local("widePanelBytes");
    const channel = body.local("i32", 0);
    const sweep = (lanes: Lanes): void => {
      const count = lanes.vectors * lanes.lanes;
      body.block((done) => {
        const last = body.local("i32", i32.sub(channels, count));
        body.loop((again) => {
          body.branchIf(done, i32.gtS(channel, last));
          body.scope(() => this.#tile(pixels, lanes, input, output, panel, panelBytes));
          body.set(channel, i32.add(channel, count));
          body.set(output, i32.add(output, count * 4));
          if (lanes.lanes === 4) {
            body.set(input, i32.add(input, count * 4));
            body.set(panel, i32.add(panel, i32.mul(panelBytes, lanes.vectors)));
          } else {
            // Lanes of one panel stand four bytes apart; behind the last one begins the next panel.
            const isLast = i32.eqz(i32.remU(channel, depthwiseWidth));
            body.set(panel, i32.add(panel, 4));
            body.if(isLast, () => body.set(panel, i32.add(panel, i32.sub(panelBytes, 4 * depthwiseWidth))));
            if (multiplier === 1) body.set(input, i32.add(input, 4));
            else body.if(i32.eqz(i32.remU(channel, multiplier)), () => body.set(input, i32.add(input, 4)));
          }
          body.branch(again);
        });
      });
    };
    if (multiplier === 1) {
      if (vectors > 1) sweep({ vectors, lanes: 4 });
      sweep({ vectors: 1, lanes: 4 });
    }
    sweep({ vectors: 1, lanes: 1 });
  }

  #tile(pixels: number, lanes: Lanes, input: Address, output: Address, panel: Address, panelBytes: Address): void {
    const body = this.#body;
    const words = this.#words;
    const { row, form, epilogue } = this.#shape;
    const load = (address: Code<"i32">, offset: number): Vector =>
      lanes.lanes === 4 ? v128.load(address, { offset }) : v128.load32Zero(address, { offset });
    const panels = Array.from({ length: lanes.vectors }, (_, v) =>
      body.local("i32", v === 0 ? panel : i32.add(panel, i32.mul(panelBytes, v))),
    );
    const bias = panels.map((address) => body.local("v128", load(address, 0)));
    const sums = Array.from({ length: pixels }, () => bias.map((value) => body.local("v128", value)));
    const tap = body.local("i32", input);
    const rowStep = words.local("kernelRow");
    for (const address of panels) body.set(address, i32.add(address, depthwiseWidth * 4));
    const advance = (taps: number): void => {
      for (const address of panels) body.set(address, i32.add(address, taps * depthwiseWidth * 4));
    };
    const rows = body.local("i32", words.word("kernelHeight"));
    const inputStep = words.local("inputStep");
    const tapStep = words.local("tapStep");
    body.loop((again) => {
      if (row) this.#writtenRow(row, sums, panels, tap, lanes, load);
      else {
        const at = body.local("i32", tap);
        body.forRange(0, words.word("kernelWidth"), 1, () => {
          const weights = panels.map((address) => body.local("v128", load(address, 0)));
          const pixel = body.local("i32", at);
          for (const sum of sums) {
            this.#addProducts(sum, pixel, weights, load);
            body.set(pixel, i32.add(pixel, inputStep));
          }
          advance(1);
          body.set(at, i32.add(at, tapStep));
        });
      }
      if (row) advance(row.taps);
      body.set(tap, i32.add(tap, rowStep));
      body.branchIf(again, body.tee(rows, i32.sub(rows, 1)));
    });
    if (form === "inline" && epilogue) applyInline(body, this.#context.math, epilogue, sums, [], []);
    const target = body.local("i32", output);
    const outputPixel = words.local("outputPixel");
    sums.forEach((sum, index) => {
      if (index > 0) body.set(target, i32.add(target, outputPixel));
      sum.forEach((value, v) => {
        if (lanes.lanes === 4) body.v128Store(target, value, { offset: v * 16 });
        else body.v128Store32Lane(target, value, 0);
      });
    });
  }

  /** One kernel row with its taps written out: every input pixel under the tile is loaded once. */
  #writtenRow(
    { taps, stride, dilation }: NonNullable<DepthwiseShape["row"]>,
    sums: readonly (readonly Local<"v128">[])[],
    panels: readonly Address[],
    first: Address,
    lanes: Lanes,
    load: (address: Code<"i32">, offset: number) => Vector,
  ): void {
    const body = this.#body;
    const pixelBytes = this.#words.local("inputPixel");
    const lastColumn = (sums.length - 1) * stride + (taps - 1) * dilation;
    for (let v = 0; v < lanes.vectors; v++) {
      body.scope(() => {
        const weights = Array.from({ length: taps }, (_, k) =>
          body.local("v128", load(panels[v] as Address, k * depthwiseWidth * 4)),
        );
        const at = body.local("i32", first);
        for (let column = 0; column <= lastColumn; column++) {
          const uses = sums.flatMap((sum, pixel) => {
            const distance = column - pixel * stride;
            const weight = distance % dilation === 0 ? weights[distance / dilation] : undefined;
            const target = sum[v];
            return distance >= 0 && weight && target ? [{ weight, target }] : [];
          });
          if (uses.length > 0) {
            body.scope(() => {
              const x = body.local("v128", load(at, v * 16));
              for (const { weight, target } of uses)
                body.set(target, multiplyAdd(this.#context.target, x, weight, target));
            });
          }
          if (column < lastColumn) body.set(at, i32.add(at, pixelBytes));
        }
      });
    }
  }

  #addProducts(
    sum: readonly Local<"v128">[],
    pixel: Address,
    weights: readonly Vector[],
    load: (address: Code<"i32">, offset: number) => Vector,
  ): void {
    sum.forEach((target, v) => {
      const weight = weights[v];
      if (weight) this.#body.set(target, multiplyAdd(this.#context.target, load(pixel, v * 16), weight, target));
    });
  }

  #finish(image: Address, y: Address, output: Address): void {
    const body = this.#body;
    const words = this.#words;
    const { epilogue, operandChannels } = this.#shape;
    if (!epilogue) return;
    body.scope(() => {
      const operands = operandChannels.map((_, k) => {
        const name = `operand${k}`;
        const start = i32.add(
          words.word(name),
          i32.add(i32.mul(image, words.word(`${name}Image`)), i32.mul(y, words.word(`${name}Row`))),
        );
        return { address: body.local("i32", start), step: words.local(`${name}Pixel`) };
      });
      emitPass(this.#context, body, epilogue, operandChannels, {
        count: words.local("outputWidth"),
        valid: words.local("channels"),
        output: { address: body.local("i32", output), step: words.local("outputPixel") },
        operands,
      });
    });
  }
}
