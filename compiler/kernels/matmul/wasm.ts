/**
 * WebAssembly of matrix products. Over rows: per block of rows all panels of B, per panel all tiles of rows. Over
 * panels: all rows of A for each, so that B is read exactly once. A ragged last tile repeats its last row.
 */
import type { Expression } from "../../../runtime/format/expression.ts";
import type { BodyBuilder } from "../../assemble/body.ts";
import type { FunctionReference, Local } from "../../assemble/expression.ts";
import { i32, minimumS } from "../../assemble/scalar.ts";
import { multiplyAdd } from "../../assemble/target.ts";
import { f32x4, v128 } from "../../assemble/vector.ts";
import type { WasmKernelContext } from "../contract.ts";
import type { StoredWeights } from "../problem.ts";
import { weightForm } from "../tile/block-layout.ts";
import { readyWeights } from "../tile/block-widen.ts";
import { applyInline, type EpilogueForm, emitPass, type OperandChannels, operandDistances } from "../tile/finish.ts";
import { biasAccumulators, emitMultiply, plainReader, rowsOn } from "../tile/multiply.ts";
import { byteReader, panelFront } from "../tile/panel.ts";
import { takeRows } from "../tile/rows.ts";
import { storeTile } from "../tile/store.ts";
import { RecordReader } from "../tile/words.ts";
import { multiplyBlocks } from "./blocks.ts";
import { multiplyHalves, widenHalves } from "./halves.ts";
import { quantiseRows, scaleRows } from "./prepare-rows.ts";
import { matmulWidth } from "./variants.ts";

export interface MatmulShape extends StoredWeights {
  readonly rows: number;
  /** What the range counts: panels of B with all rows of A in one tile, panels with any rows of A, or rows of A. */
  readonly order: "tile" | "panels" | "rows";
  readonly sets: number;
  /** Steps behind the last four, where rows of A are prepared for narrow weights. */
  readonly rest?: number;
  /** B is computed at run time: no bias in front of its panels. */
  readonly dynamicB: boolean;
  readonly epilogue: Expression | undefined;
  readonly form: EpilogueForm;
  readonly operandChannels: readonly OperandChannels[];
  /** Some operand repeats after fewer rows than the output has, yet not every row. */
  readonly periodic: boolean;
  readonly names: readonly string[];
}

export function emitMatmul(context: WasmKernelContext, planned: MatmulShape): FunctionReference {
  const { rows, order } = planned;
  const shape = { ...planned, rows: order === "tile" ? rows : rowsOn(context.target, rows) };
  return context.module.function(
    "matmul",
    { params: ["i32", "i32", "i32"], results: [] },
    (body, record, begin, end) => {
      const code = new MatmulCode(context, shape, body, new RecordReader(body, record, shape.names));
      if (shape.order === "rows") code.overRows(begin, end);
      else code.overPanels(begin, end);
    },
  );
}

/** Rows of the tile that finishes what is left when most of a whole tile would be for nothing. */
export const fewRows = 3;

type Address = Local<"i32">;

class MatmulCode {
  readonly #context: WasmKernelContext;
  readonly #shape: MatmulShape;
  readonly #body: BodyBuilder;
  readonly #words: RecordReader;

  constructor(context: WasmKernelContext, shape: MatmulShape, body: BodyBuilder, words: RecordReader) {
    this.#context = context;
    this.#shape = shape;
    this.#body = body;
    this.#words = words;
  }

  overPanels(begin: Address, end: Address): void {
    const body = this.#body;
    const words = this.#words;
    const columns = words.local("columns");
    const rows = this.#shape.order === "tile" ? body.local("i32", this.#shape.rows) : words.local("rowsPerB");
    const first = body.local("i32", 0);
    if (this.#shape.order === "tile") this.#prepareRows();
    body.forRange(begin, end, 1, (panel) => {
      const column = body.local("i32", i32.mul(panel, matmulWidth));
      const b = body.local("i32", i32.add(words.word("b"), i32.mul(panel, words.word("panelBytes"))));
      const bias = this.#shape.dynamicB
        ? body.local("i32", i32.add(words.word("bias"), i32.mul(panel, words.word("biasStep"))))
        : undefined;
      this.#panel(first, rows, b, bias, column, columns);
    });
  }

  /** All rows of A, before the first panel. */
  #prepareRows(): void {
    const body = this.#body;
    const words = this.#words;
    const form = weightForm(this.#shape);
    const { rows: count, rest = 0 } = this.#shape;
    body.scope(() => {
      const first = words.local("a");
      const rows = { count, first, step: words.local("aRow"), inner: words.local("inner"), rest };
      if (typeof form === "object") quantiseRows(body, form, rows, words.local("scratch"));
      else if (form === "float16") scaleRows(body, rows, words.local("scratch"));
    });
  }

  overRows(begin: Address, end: Address): void {
    const body = this.#body;
    const words = this.#words;
    const columns = words.local("columns");
    const blockRows = words.local("blockRows");
    const row = body.local("i32", begin);
    body.block((done) => {
      body.loop((again) => {
        body.branchIf(done, i32.geS(row, end));
        body.scope(() => {
          // A block never reaches into the rows of the next B.
          const batch = body.local("i32", i32.divU(row, words.word("rowsPerB")));
          const limit = body.local("i32", i32.mul(i32.add(batch, 1), words.word("rowsPerB")));
          const next = body.local(
            "i32",
            minimumS(body.local("i32", minimumS(limit, end)), body.local("i32", i32.add(row, blockRows))),
          );
          const b = body.local("i32", i32.add(words.word("b"), i32.mul(batch, words.word("bytesPerB"))));
          const bias = this.#shape.dynamicB ? words.local("bias") : undefined;
          body.forRange(0, columns, matmulWidth, (column) => {
            this.#panel(row, next, b, bias, column, columns);
            body.set(b, i32.add(b, words.word("panelBytes")));
            if (bias) body.set(bias, i32.add(bias, words.word("biasStep")));
          });
          body.set(row, next);
        });
        body.branch(again);
      });
    });
  }

  /** Rows begin..end of A by one panel. */
  #panel(begin: Address, end: Address, b: Address, bias: Address | undefined, column: Address, columns: Address): void {
    const body = this.#body;
    const words = this.#words;
    const { rows, form, order } = this.#shape;
    body.scope(() => {
      const valid = body.local("i32", minimumS(body.local("i32", i32.sub(columns, column)), matmulWidth));
      const inner = words.local("inner");
      const scratch = words.has("scratch") ? words.local("scratch") : undefined;
      // A panel that is read once is widened on the way.
      const panel = order === "tile" ? b : this.#widened(b, scratch, inner);
      const aStep = words.local("aRow");
      const cStep = words.local("cRow");
      const a = body.local("i32", i32.add(words.word("a"), i32.mul(begin, aStep)));
      const c = body.local("i32", i32.add(i32.add(words.word("c"), i32.shl(column, 2)), i32.mul(begin, cStep)));
      const left = body.local("i32", i32.sub(end, begin));
      const tile = (count: number): void => {
        const [sources = [], targets = []] = takeRows(body, count, left, [
          { at: a, step: aStep },
          { at: c, step: cStep },
        ]);
        this.#tile(panel, bias ?? panel, inner, sources, targets, valid);
        body.set(left, i32.sub(left, count));
      };
      if (order === "tile") tile(rows);
      else {
        body.block((done) => {
          body.loop((again) => {
            body.branchIf(done, i32.leS(left, fewRows));
            tile(rows);
            body.branch(again);
          });
        });
        body.if(i32.gtS(left, 0), () => body.scope(() => tile(fewRows)));
      }
      if (form === "pass") this.#finish(begin, end, column, valid);
    });
  }

  #widened(panel: Address, scratch: Address | undefined, inner: Address): Address {
    const body = this.#body;
    if (this.#shape.storage !== "float16" || !scratch)
      return readyWeights(this.#context, this.#shape, matmulWidth, body, panel, scratch, inner, inner);
    body.call(widenHalves(this.#context), panel, scratch, inner);
    return scratch;
  }

  #tile(
    panel: Address,
    bias: Address,
    inner: Address,
    sources: readonly Address[],
    targets: readonly Address[],
    valid: Address,
  ): void {
    const body = this.#body;
    const { form, epilogue, operandChannels } = this.#shape;
    body.scope(() => {
      const sums = this.#sums(panel, bias, inner, sources);
      if (form === "inline" && epilogue) {
        const distances = operandDistances(body, this.#words, "c", operandChannels.length);
        applyInline(body, this.#context.math, epilogue, sums, targets, distances);
      }
      storeTile(this.#context, body, targets, sums, valid);
    });
  }

  /** Bias plus products, four columns a vector. */
  #sums(
    panel: Address,
    bias: Address,
    inner: Address,
    sources: readonly Address[],
  ): readonly (readonly Local<"v128">[])[] {
    const body = this.#body;
    const { target } = this.#context;
    const rows = sources.length;
    const { sets, dynamicB, order } = this.#shape;
    const vectors = matmulWidth / 4;
    const weightsAs = order === "tile" ? weightForm(this.#shape) : "float32";
    if (typeof weightsAs === "object")
      return multiplyBlocks(body, target, weightsAs, panel, this.#words.local("scratch"), inner, rows);
    if (weightsAs === "float16") return multiplyHalves(body, target, panel, this.#words.local("scratch"), inner, rows);
    const zero = f32x4.const(0, 0, 0, 0);
    const biased = biasAccumulators(body, { rows, vectors }, bias);
    // The sum of int8 weights is scaled before the bias joins it.
    const narrow = weightsAs !== "float32";
    const zeros = (): readonly (readonly Local<"v128">[])[] =>
      biased.map((row) => row.map(() => body.local("v128", zero)));
    const first = narrow ? zeros() : biased;
    const others = Array.from({ length: sets - 1 }, zeros);
    const front = dynamicB ? 0 : panelFront(weightsAs, matmulWidth);
    const weights = body.local("i32", i32.add(panel, front));
    const reader = narrow ? byteReader(body) : plainReader(vectors);
    const multiply = (): void => emitMultiply(body, target, [first, ...others], weights, sources, { inner }, reader);
    if (narrow) body.hoistConstants(multiply);
    else multiply();
    for (const set of others)
      set.forEach((row, i) => {
        row.forEach((sum, j) => {
          const total = first[i]?.[j];
          if (total) body.set(total, f32x4.add(total, sum));
        });
      });
    if (!narrow) return first;
    return first.map((row, i) =>
      row.map((sum, j) => {
        const scale = v128.load(panel, { offset: matmulWidth * 4 + j * 16 });
        return body.local("v128", multiplyAdd(target, sum, scale, biased[i]?.[j] ?? zero));
      }),
    );
  }

  /** The epilogue over the columns just written. */
  #finish(begin: Address, end: Address, column: Address, valid: Address): void {
    const body = this.#body;
    const words = this.#words;
    const { epilogue, operandChannels, periodic } = this.#shape;
    if (!epilogue) return;
    const pass = (row: Address, count: Address): void => {
      const output = {
        address: body.local(
          "i32",
          i32.add(i32.add(words.word("c"), i32.shl(column, 2)), i32.mul(row, words.word("cRow"))),
        ),
        step: words.local("cRow"),
      };
      const operands = operandChannels.map((channels, k) => {
        const step = words.local(`operand${k}Row`);
        const place = periodic ? i32.remU(row, words.word(`operand${k}Period`)) : row;
        const start = i32.add(words.word(`operand${k}`), i32.mul(place, step));
        const address = channels === "contiguous" ? i32.add(start, i32.shl(column, 2)) : start;
        return { address: body.local("i32", address), step };
      });
      emitPass(this.#context, body, epilogue, operandChannels, { count, valid, output, operands });
    };
    if (periodic) body.forRange(begin, end, 1, (row) => pass(row, body.local("i32", 1)));
    else body.scope(() => pass(begin, body.local("i32", i32.sub(end, begin))));
  }
}
