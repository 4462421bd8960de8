/**
 * WebAssembly of recurrent layers. Per direction and time step: the sums of all gates, panel by panel with all batch rows
 * sharing a pass, then gates and state, row by row. A row whose sequence has ended keeps its state and writes zeros.
 */
import type { BodyBuilder } from "../../assemble/body.ts";
import { type Expression as Code, type FunctionReference, type Local, select } from "../../assemble/expression.ts";
import { i32, minimumS } from "../../assemble/scalar.ts";
import { f32x4, v128 } from "../../assemble/vector.ts";
import type { WasmKernelContext } from "../contract.ts";
import type { RecurrentProblem } from "../problem.ts";
import { emitMultiply } from "../tile/multiply.ts";
import { anyReader } from "../tile/panel.ts";
import { RecordReader } from "../tile/words.ts";
import { emitBlocks } from "./blocks.ts";
import { GateCode } from "./gates.ts";
import {
  blockUnits,
  gateCounts,
  type PanelLayout,
  panelLayout,
  type RowLayout,
  resetsFirst,
  rowLayout,
  type Section,
} from "./panel.ts";

type Address = Local<"i32">;
type Integer = Code<"i32">;

const vectorBytes = blockUnits * 4;
/** Sums that are open at a time in a single row, so that one does not wait for the other. */
const openSums = 8;

export function emitRecurrent(
  context: WasmKernelContext,
  problem: RecurrentProblem,
  rows: number,
  names: readonly string[],
): FunctionReference {
  return context.module.function(
    `recurrent_${context.module.functionCount}`,
    { params: ["i32", "i32", "i32"], results: [] },
    (body, record, begin, end) => {
      const code = new RecurrentCode(context, problem, rows, body, new RecordReader(body, record, names));
      body.if(i32.ltS(begin, end), () => code.directions(begin, end));
    },
  );
}

/** Batch rows first..last of one direction. */
interface Part {
  readonly direction: Address;
  readonly first: Address;
  readonly last: Address;
  /** Scratch of batch row 0. */
  readonly state: Address;
  readonly panels: Address;
}

class RecurrentCode {
  readonly #context: WasmKernelContext;
  readonly #problem: RecurrentProblem;
  readonly #rows: number;
  readonly #body: BodyBuilder;
  readonly #words: RecordReader;
  readonly #panel: PanelLayout;
  readonly #row: RowLayout;

  constructor(
    context: WasmKernelContext,
    problem: RecurrentProblem,
    rows: number,
    body: BodyBuilder,
    words: RecordReader,
  ) {
    this.#context = context;
    this.#problem = problem;
    this.#rows = rows;
    this.#body = body;
    this.#words = words;
    this.#panel = panelLayout(problem);
    this.#row = rowLayout(problem);
  }

  directions(begin: Address, end: Address): void {
    const body = this.#body;
    const batch = this.#words.local("batch");
    const time = this.#words.local("time");
    const stop = body.local("i32", i32.divU(i32.add(end, i32.sub(batch, 1)), batch));
    body.forRange(i32.divU(begin, batch), stop, 1, (direction) => {
      const start = body.local("i32", i32.mul(direction, batch));
      const before = body.local("i32", i32.sub(begin, start));
      const first = body.local("i32", select("i32", i32.gtS(before, 0), before, i32.const(0)));
      const last = body.local("i32", minimumS(body.local("i32", i32.sub(end, start)), batch));
      const { blocks, bytes } = this.#panel;
      const part: Part = {
        direction,
        first,
        last,
        state: body.local("i32", i32.add(this.#words.word("scratch"), i32.mul(start, this.#row.bytes))),
        panels: body.local("i32", i32.add(this.#words.word("panels"), i32.mul(direction, blocks * bytes))),
      };
      this.#loadState(part);
      body.forRange(0, time, 1, (step) => this.#step(part, step, time));
      this.#storeState(part);
    });
  }

  #step(part: Part, step: Address, time: Address): void {
    const reset = resetsFirst(this.#problem);
    this.#products(part, step, time, ["input", "state"]);
    const gates = new GateCode(this.#context, this.#problem, this.#body);
    const { second, sums } = this.#row;
    const walk = (phase: "reset" | "state"): void =>
      this.#eachRow(part, (row, state) => {
        const body = this.#body;
        const output = phase === "state" && this.#words.has("Y") ? this.#outputRow(part, row, step, time) : undefined;
        const update = (): void =>
          gates.row(phase, {
            state,
            second: body.local("i32", i32.add(state, second)),
            sums: body.local("i32", i32.add(state, sums)),
            panel: part.panels,
            output,
          });
        if (!this.#words.has("lengths")) return update();
        body.if(i32.ltS(step, this.#length(row, time)), update, () => {
          if (output) this.#zero(output, this.#problem.hiddenSize);
        });
      });
    if (reset) {
      walk("reset");
      this.#products(part, step, time, ["reset"]);
    }
    walk("state");
  }

  /** `visit` gets every batch row of the part and its scratch. */
  #eachRow(part: Part, visit: (row: Address, state: Address) => void): void {
    const body = this.#body;
    body.forRange(part.first, part.last, 1, (row) =>
      visit(row, body.local("i32", i32.add(part.state, i32.mul(row, this.#row.bytes)))),
    );
  }

  /** Steps of a batch row: never more than there are. */
  #length(row: Integer, time: Address): Address {
    const body = this.#body;
    const stride = this.#words.word("lengthsBatch");
    const given = body.local("i32", i32.load(i32.add(this.#words.word("lengths"), i32.mul(row, stride))));
    return body.local("i32", minimumS(body.local("i32", select("i32", i32.gtS(given, 0), given, i32.const(0))), time));
  }

  /** The index in time of a step of a batch row; behind the sequence's end, the step itself. */
  #timeOf(part: Part, row: Integer, step: Address, time: Address): Integer {
    const { direction } = this.#problem;
    if (direction === "forward") return step;
    const body = this.#body;
    const length = this.#words.has("lengths") ? this.#length(row, time) : time;
    const backwards = body.local("i32", i32.sub(i32.sub(length, 1), step));
    const within = i32.geS(backwards, 0);
    const reversed = direction === "reverse" ? within : i32.and(within, i32.ne(part.direction, 0));
    return select("i32", body.local("i32", reversed), backwards, step);
  }

  #outputRow(part: Part, row: Address, step: Address, time: Address): Address {
    const words = this.#words;
    const at = this.#timeOf(part, row, step, time);
    const start = i32.add(words.word("Y"), i32.mul(part.direction, words.word("YDirection")));
    const place = i32.add(i32.mul(at, words.word("YTime")), i32.mul(row, words.word("YBatch")));
    return this.#body.local("i32", i32.add(start, place));
  }

  /** The sums of all blocks: from the sections of these sources, `reset` on top of what is there. */
  #products(part: Part, step: Address, time: Address, sources: readonly Section["source"][]): void {
    const body = this.#body;
    const sections = this.#panel.sections.filter(({ source }) => sources.includes(source));
    body.forRange(0, this.#panel.blocks, 1, (block) => {
      const panel = body.local("i32", i32.add(part.panels, i32.mul(block, this.#panel.bytes)));
      const row = body.local("i32", part.first);
      const tiles = (rows: number): void => {
        const limit = body.local("i32", i32.sub(part.last, rows));
        body.if(i32.leS(row, limit), () => {
          body.loop((again) => {
            body.scope(() => this.#tile(part, panel, block, row, rows, step, time, sections));
            body.set(row, i32.add(row, rows));
            body.branchIf(again, i32.leS(row, limit));
          });
        });
      };
      if (this.#rows > 1) tiles(this.#rows);
      tiles(1);
    });
  }

  #tile(
    part: Part,
    panel: Address,
    block: Address,
    first: Address,
    rows: number,
    step: Address,
    time: Address,
    sections: readonly Section[],
  ): void {
    const body = this.#body;
    const words = this.#words;
    const gates = gateCounts[this.#problem.cell];
    const { sums } = this.#panel;
    const places = Array.from({ length: rows }, (_, index) => index);
    const states = places.map((index) =>
      body.local("i32", i32.add(part.state, i32.mul(i32.add(first, index), this.#row.bytes))),
    );
    const targets = states.map((state) =>
      body.local("i32", i32.add(i32.add(state, this.#row.sums), i32.mul(block, sums * vectorBytes))),
    );
    const isReset = sections.every(({ source }) => source === "reset");
    const inputs = isReset
      ? []
      : places.map((index) => {
          const row = body.local("i32", i32.add(first, index));
          const at = this.#timeOf(part, row, step, time);
          const place = i32.add(i32.mul(at, words.word("xTime")), i32.mul(row, words.word("xBatch")));
          return body.local("i32", i32.add(words.word("x"), place));
        });
    /** Where a sum starts in a row. */
    const start = (index: number, sum: number): Code<"v128"> => {
      if (isReset) return v128.load(targets[index] as Address, { offset: sum * vectorBytes });
      if (!this.#problem.projected || sum >= gates) return v128.load(panel, { offset: sum * vectorBytes });
      const column = i32.add(i32.mul(part.direction, this.#panel.blocks), block);
      return v128.load(i32.add(inputs[index] as Address, i32.mul(column, gates * vectorBytes)), {
        offset: sum * vectorBytes,
      });
    };
    const used = isReset ? [2] : Array.from({ length: sums }, (_, sum) => sum);
    const accumulators = places.map(
      (index) => new Map(used.map((sum) => [sum, body.local("v128", start(index, sum))])),
    );
    for (const section of sections) {
      const width = section.sums.length;
      const whole = accumulators.map((row) => section.sums.map((sum) => row.get(sum) as Local<"v128">));
      // The order of a sum is the same in whichever tile a row happens to be.
      const extra = this.#rows > 1 ? 0 : Math.min(4, Math.floor(openSums / width)) - 1;
      body.scope(() => {
        const others = Array.from({ length: extra }, () =>
          whole.map((row) => row.map(() => body.local("v128", f32x4.const(0, 0, 0, 0)))),
        );
        const scales =
          section.form === "int8"
            ? section.sums.map((_, place) =>
                body.local("v128", v128.load(panel, { offset: section.scales + place * vectorBytes })),
              )
            : [];
        const weights = body.local("i32", i32.add(panel, section.offset));
        const sources = places.map((index) => {
          const state = states[index] as Address;
          if (section.source === "state") return body.local("i32", state);
          if (section.source === "input") return body.local("i32", inputs[index] as Address);
          return body.local("i32", i32.add(state, this.#row.second));
        });
        const sets = [whole, ...others];
        const { target } = this.#context;
        const { form, depth } = section;
        if (typeof form === "string")
          emitMultiply(
            body,
            target,
            sets,
            weights,
            sources,
            { inner: i32.const(depth) },
            anyReader(form, width, scales),
          );
        else emitBlocks(body, target, form, depth, sets, weights, sources);
        for (const set of others)
          set.forEach((row, i) => {
            row.forEach((sum, j) => {
              const total = whole[i]?.[j];
              if (total) body.set(total, f32x4.add(total, sum));
            });
          });
      });
    }
    accumulators.forEach((row, index) => {
      for (const [sum, value] of row) body.v128Store(targets[index] as Address, value, { offset: sum * vectorBytes });
    });
  }

  #loadState(part: Part): void {
    const load = (name: string, place: number): void =>
      this.#eachRow(part, (row, state) => {
        const target = this.#body.local("i32", i32.add(state, place));
        if (this.#words.has(name)) this.#copy(target, this.#stateRow(part, name, row));
        else this.#zero(target, this.#row.units);
      });
    load("initialH", 0);
    if (this.#problem.cell === "lstm") load("initialC", this.#row.second);
  }

  #storeState(part: Part): void {
    for (const [name, place] of [
      ["Y_h", 0],
      ["Y_c", this.#row.second],
    ] as const)
      if (this.#words.has(name))
        this.#eachRow(part, (row, state) =>
          this.#copy(this.#stateRow(part, name, row), this.#body.local("i32", i32.add(state, place))),
        );
  }

  #stateRow(part: Part, name: string, row: Address): Address {
    const words = this.#words;
    const start = i32.add(words.word(name), i32.mul(part.direction, words.word(`${name}Direction`)));
    return this.#body.local("i32", i32.add(start, i32.mul(row, words.word(`${name}Batch`))));
  }

  /** The hidden units of one row. */
  #copy(target: Address, source: Address): void {
    this.#sweep(this.#problem.hiddenSize, (at, lanes) => {
      const from = i32.add(source, at);
      if (lanes === 4) this.#body.v128Store(i32.add(target, at), v128.load(from));
      else this.#body.i32Store(i32.add(target, at), i32.load(from));
    });
  }

  #zero(target: Address, floats: number): void {
    this.#sweep(floats, (at, lanes) => {
      if (lanes === 4) this.#body.v128Store(i32.add(target, at), f32x4.const(0, 0, 0, 0));
      else this.#body.i32Store(i32.add(target, at), 0);
    });
  }

  #sweep(floats: number, visit: (at: Address, lanes: 1 | 4) => void): void {
    const whole = Math.floor(floats / 4) * 16;
    this.#body.forRange(0, whole, 16, (at) => visit(at, 4));
    this.#body.forRange(whole, floats * 4, 4, (at) => visit(at, 1));
  }
}
