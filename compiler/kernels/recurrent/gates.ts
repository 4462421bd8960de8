/** Gates and state of one batch row at one time as WebAssembly, four hidden units at a time, from the sums of its products. */
import type { Expression } from "../../../runtime/format/expression.ts";
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression as Code, Local } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";
import { multiplyAdd } from "../../assemble/target.ts";
import { f32x4, v128 } from "../../assemble/vector.ts";
import { splat } from "../../assemble/vector-code.ts";
import type { WasmKernelContext } from "../contract.ts";
import { emitVector } from "../expression/vector.ts";
import type { RecurrentProblem } from "../problem.ts";
import { blockUnits, type PanelLayout, panelLayout, resetsFirst } from "./panel.ts";

type Vector = Code<"v128">;
type Address = Local<"i32">;

const vectorBytes = blockUnits * 4;

/** Addresses of the first block. */
export interface GateRow {
  readonly state: Address;
  /** LSTM: the cell; GRU that resets first: the state scaled by the reset gate. */
  readonly second: Address;
  readonly sums: Address;
  readonly panel: Address;
  /** Where the new state goes besides; undefined for nowhere. */
  readonly output: Address | undefined;
}

export class GateCode {
  readonly #context: WasmKernelContext;
  readonly #problem: RecurrentProblem;
  readonly #body: BodyBuilder;
  readonly #panel: PanelLayout;

  constructor(context: WasmKernelContext, problem: RecurrentProblem, body: BodyBuilder) {
    this.#context = context;
    this.#problem = problem;
    this.#body = body;
    this.#panel = panelLayout(problem);
  }

  /** "reset": what the second product of a GRU needs; "state": the new state. */
  row(phase: "reset" | "state", row: GateRow): void {
    const body = this.#body;
    const { blocks, sums, bytes } = this.#panel;
    const second = this.#problem.cell === "lstm" || resetsFirst(this.#problem);
    const at = (start: Address): Address => body.local("i32", start);
    const output = row.output && at(row.output);
    const cursor = { state: at(row.state), second: at(row.second), sums: at(row.sums), panel: at(row.panel) };
    body.hoistConstants(() =>
      body.forRange(0, blocks, 1, (block) => {
        const place: GateRow = { ...cursor, output };
        if (phase === "reset") this.#resetBlock(place);
        else this.#storeState(this.#newState(place), place, block);
        body.set(cursor.state, i32.add(cursor.state, vectorBytes));
        body.set(cursor.sums, i32.add(cursor.sums, sums * vectorBytes));
        if (second) body.set(cursor.second, i32.add(cursor.second, vectorBytes));
        if (this.#problem.peepholes) body.set(cursor.panel, i32.add(cursor.panel, bytes));
        if (output) body.set(output, i32.add(output, vectorBytes));
      }),
    );
  }

  #sum({ sums }: GateRow, index: number): Vector {
    return v128.load(sums, { offset: index * vectorBytes });
  }

  /** Activation `index` (f, g, h); `clip` bounds what goes into f and g. */
  #activation(index: number, argument: Vector): Local<"v128"> {
    const body = this.#body;
    const { clip, activations } = this.#problem;
    const bounded =
      clip === undefined || index === 2 ? argument : f32x4.pmax(f32x4.pmin(argument, splat(clip)), splat(-clip));
    const x = body.local("v128", bounded);
    const value = emitVector(
      { body, math: this.#context.math, operands: ["float32"], leaf: () => x, inline: true },
      activations[index] as Expression,
    );
    return body.local("v128", value);
  }

  #plus(a: Vector, b: Vector, c: Vector): Vector {
    return multiplyAdd(this.#context.target, a, b, c);
  }

  #newState(row: GateRow): Vector {
    switch (this.#problem.cell) {
      case "rnn":
        return this.#activation(0, this.#sum(row, 0));
      case "gru":
        return this.#gruState(row);
      case "lstm":
        return this.#lstmState(row);
    }
  }

  #resetBlock(row: GateRow): void {
    const reset = this.#activation(0, this.#sum(row, 1));
    this.#body.v128Store(row.second, f32x4.mul(reset, v128.load(row.state)));
  }

  #gruState(row: GateRow): Vector {
    const update = this.#activation(0, this.#sum(row, 0));
    const later = this.#problem.linearBeforeReset;
    const argument = later
      ? this.#plus(this.#activation(0, this.#sum(row, 1)), this.#sum(row, 3), this.#sum(row, 2))
      : this.#sum(row, 2);
    const candidate = this.#activation(1, argument);
    const fresh = f32x4.mul(f32x4.sub(splat(1), update), candidate);
    return this.#plus(update, v128.load(row.state), fresh);
  }

  #lstmState(row: GateRow): Vector {
    const body = this.#body;
    const { inputForget, peepholes } = this.#problem;
    const before = body.local("v128", v128.load(row.second));
    /** The sum of a gate (i o f) that sees the cell through its peephole. */
    const seeing = (gate: number, cell: Vector): Vector => {
      const sum = this.#sum(row, gate);
      if (!peepholes) return sum;
      const weights = v128.load(row.panel, { offset: this.#panel.peepholes + gate * vectorBytes });
      return this.#plus(weights, cell, sum);
    };
    const admit = this.#activation(0, seeing(0, before));
    const forget = inputForget ? f32x4.sub(splat(1), admit) : this.#activation(0, seeing(2, before));
    const candidate = this.#activation(1, this.#sum(row, 3));
    const cell = body.local("v128", this.#plus(forget, before, f32x4.mul(admit, candidate)));
    body.v128Store(row.second, cell);
    const release = this.#activation(0, seeing(1, cell));
    return f32x4.mul(release, this.#activation(2, cell));
  }

  #storeState(value: Vector, { state, output }: GateRow, block: Address): void {
    const body = this.#body;
    const held = body.local("v128", value);
    body.v128Store(state, held);
    if (!output) return;
    const rest = this.#problem.hiddenSize % blockUnits;
    const whole = (): void => body.v128Store(output, held);
    if (rest === 0) return whole();
    body.if(i32.ltS(block, this.#panel.blocks - 1), whole, () => {
      for (let lane = 0; lane < rest; lane++) body.v128Store32Lane(output, held, lane, { offset: lane * 4 });
    });
  }
}
