/**
 * LSTM, GRU and RNN by the equations of the ONNX operator documentation, and leafcutter.Recurrent, the canonical form of
 * all three, whose input may already be multiplied by W. A sequence that ends early leaves zeros in Y and its last state;
 * `clip` bounds what goes into f and g, not the cell on its way into h (as onnxruntime has it).
 */
import type { Tensor } from "../format/tensor.ts";
import { inputOf, numberOf, refuse, textOf } from "./call.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import { activationsOf } from "./recurrent-activation.ts";
import type { Reference, ReferenceCall } from "./reference.ts";

type CellName = "lstm" | "gru" | "rnn";
type Numbers = ArrayLike<number>;

/** Gates in the order of the rows of W and R (LSTM: input, output, forget, cell; GRU: update, reset, hidden). */
const gateCounts: Readonly<Record<CellName, number>> = { lstm: 4, gru: 3, rnn: 1 };
const defaultActivations: Readonly<Record<CellName, readonly string[]>> = {
  lstm: ["Sigmoid", "Tanh", "Tanh"],
  gru: ["Sigmoid", "Tanh"],
  rnn: ["Tanh"],
};

interface Operands {
  readonly cell: CellName;
  readonly dtype: Tensor["dtype"];
  readonly time: number;
  readonly batch: number;
  readonly hidden: number;
  /** x·W of one gate's unit and every bias that is summed to it, at a time and batch row. */
  readonly projected: (direction: number, time: number, row: number, gate: number, unit: number) => number;
  readonly r: Numbers;
  /** [directions, 2 * gates * hidden]. */
  readonly bias: Numbers | undefined;
  readonly lengths: Numbers | undefined;
  readonly initialH: Numbers | undefined;
  readonly initialC: Numbers | undefined;
  readonly peepholes: Numbers | undefined;
}

function directionsOf(call: ReferenceCall): readonly boolean[] {
  const direction = textOf(call, "direction", "forward");
  if (direction === "bidirectional") return [false, true];
  if (direction !== "forward" && direction !== "reverse")
    refuse("attribute direction is unknown", undefined, direction);
  return [direction === "reverse"];
}

/** Y, Y_h and Y_c. */
function recur(call: ReferenceCall, operands: Operands): readonly Tensor[] {
  const { cell, dtype, time, batch, hidden, projected, r, bias, lengths, initialH, initialC, peepholes } = operands;
  const directions = directionsOf(call);
  const count = directions.length;
  const gates = gateCounts[cell];
  const activations = activationsOf(call, count, defaultActivations[cell]);
  const perDirection = defaultActivations[cell].length;
  const limit = numberOf(call, "clip", Number.POSITIVE_INFINITY);
  const clipped = (x: number): number => Math.min(Math.max(x, -limit), limit);
  const couples = numberOf(call, "input_forget", 0) !== 0;
  const resetsLater = numberOf(call, "linear_before_reset", 0) !== 0;
  const batchFirst = numberOf(call, "layout", 0) === 1;
  const stateIndex = (d: number, b: number, unit: number): number =>
    (batchFirst ? b * count + d : d * batch + b) * hidden + unit;
  const y = new Float64Array(time * count * batch * hidden);
  const lastH = new Float64Array(count * batch * hidden);
  const lastC = new Float64Array(count * batch * hidden);

  directions.forEach((reverse, d) => {
    const [f, g, h] = activations.slice(d * perDirection, (d + 1) * perDirection) as [
      (x: number) => number,
      (x: number) => number,
      (x: number) => number,
    ];
    /** A row of R by a state. */
    const product = (gate: number, unit: number, state: Numbers): number => {
      let sum = 0;
      const row = ((d * gates + gate) * hidden + unit) * hidden;
      for (let k = 0; k < hidden; k++) sum += r[row + k]! * state[k]!;
      return sum;
    };
    const peephole = (kind: number, unit: number): number => peepholes?.[(d * 3 + kind) * hidden + unit] ?? 0;
    for (let b = 0; b < batch; b++) {
      let state = Float64Array.from({ length: hidden }, (_, unit) => initialH?.[stateIndex(d, b, unit)] ?? 0);
      let memory = Float64Array.from({ length: hidden }, (_, unit) => initialC?.[stateIndex(d, b, unit)] ?? 0);
      const length = Math.min(Math.max(lengths?.[b] ?? time, 0), time);
      for (let s = 0; s < length; s++) {
        const t = reverse ? length - 1 - s : s;
        const next = new Float64Array(hidden);
        const nextMemory = new Float64Array(hidden);
        const input = (gate: number, unit: number): number => projected(d, t, b, gate, unit);
        const sum = (gate: number, unit: number): number => input(gate, unit) + product(gate, unit, state);
        const resets =
          cell === "gru" ? Float64Array.from({ length: hidden }, (_, unit) => f(clipped(sum(1, unit)))) : state;
        const resetState = state.map((value, unit) => value * resets[unit]!);
        for (let unit = 0; unit < hidden; unit++) {
          if (cell === "rnn") next[unit] = f(clipped(sum(0, unit)));
          else if (cell === "gru") {
            const update = f(clipped(sum(0, unit)));
            const hiddenBias = bias?.[(d * 2 * gates + gates + 2) * hidden + unit] ?? 0;
            const candidate = resetsLater
              ? input(2, unit) + resets[unit]! * (product(2, unit, state) + hiddenBias)
              : input(2, unit) + product(2, unit, resetState);
            next[unit] = (1 - update) * g(clipped(candidate)) + update * state[unit]!;
          } else {
            const before = memory[unit]!;
            const admit = f(clipped(sum(0, unit) + peephole(0, unit) * before));
            const forget = couples ? 1 - admit : f(clipped(sum(2, unit) + peephole(2, unit) * before));
            const now = forget * before + admit * g(clipped(sum(3, unit)));
            const release = f(clipped(sum(1, unit) + peephole(1, unit) * now));
            nextMemory[unit] = now;
            next[unit] = release * h(now);
          }
          const place = batchFirst ? (b * time + t) * count + d : (t * count + d) * batch + b;
          y[place * hidden + unit] = next[unit]!;
        }
        state = next;
        memory = nextMemory;
      }
      for (let unit = 0; unit < hidden; unit++) {
        lastH[stateIndex(d, b, unit)] = state[unit]!;
        lastC[stateIndex(d, b, unit)] = memory[unit]!;
      }
    }
  });
  const states = batchFirst ? [batch, count, hidden] : [count, batch, hidden];
  return [
    tensorOfNumbers(dtype, batchFirst ? [batch, time, count, hidden] : [time, count, batch, hidden], y),
    tensorOfNumbers(dtype, states, lastH),
    tensorOfNumbers(dtype, states, lastC),
  ];
}

/** The operands of an ONNX operator, or of the canonical form when that still has W: rows of W and R in the order [direction, gate, unit]. */
function compute(call: ReferenceCall, cell: CellName, hidden: number): readonly Tensor[] {
  const x = inputOf(call, 0);
  const optional = (index: number): Numbers | undefined => {
    const tensor = call.inputs[index];
    return tensor && numbersOf(tensor);
  };
  const batchFirst = numberOf(call, "layout", 0) === 1;
  const [outer = 1, second = 1, size = 1] = x.shape;
  const [time, batch] = batchFirst ? [second, outer] : [outer, second];
  const gates = gateCounts[cell];
  const values = numbersOf(x);
  const w = optional(1);
  const bias = optional(3);
  const rowOf = (t: number, b: number): number => (batchFirst ? b * time + t : t * batch + b) * size;
  const resetsLater = cell === "gru" && numberOf(call, "linear_before_reset", 0) !== 0;
  const blocks = Math.ceil(hidden / 4);
  const projected: Operands["projected"] = (d, t, b, gate, unit) => {
    const row = rowOf(t, b);
    // Units in blocks of four, gate by gate inside a block.
    if (!w) return values[row + ((d * blocks + Math.floor(unit / 4)) * gates + gate) * 4 + (unit % 4)]!;
    const channel = (d * gates + gate) * hidden + unit;
    let sum = 0;
    for (let k = 0; k < size; k++) sum += values[row + k]! * w[channel * size + k]!;
    if (!bias) return sum;
    const first = (2 * d * gates + gate) * hidden + unit;
    return sum + bias[first]! + (resetsLater && gate === 2 ? 0 : bias[first + gates * hidden]!);
  };
  return recur(call, {
    cell,
    dtype: x.dtype,
    time,
    batch,
    hidden,
    projected,
    r: numbersOf(inputOf(call, 2)),
    bias,
    lengths: optional(4),
    initialH: optional(5),
    initialC: optional(6),
    peepholes: optional(7),
  });
}

/** The hidden size as the weights have it. */
const hiddenOf = (call: ReferenceCall): number => inputOf(call, 2).shape.at(-1) ?? 1;

export const lstm: Reference = (call) => compute(call, "lstm", hiddenOf(call)).slice(0, call.outputCount);
export const gru: Reference = (call) => compute(call, "gru", hiddenOf(call)).slice(0, Math.min(call.outputCount, 2));
export const rnn: Reference = (call) => compute(call, "rnn", hiddenOf(call)).slice(0, Math.min(call.outputCount, 2));

const names = ["Y", "Y_h", "Y_c"];

/** Attributes of the ONNX operator, `cell` and `outputs`: the names of those that there are, in order. */
export const leafcutterRecurrent: Reference = (call) => {
  const cell = textOf(call, "cell", "");
  if (cell !== "lstm" && cell !== "gru" && cell !== "rnn") return refuse("attribute cell is unknown", undefined, cell);
  const all = compute(call, cell, hiddenOf(call));
  const wanted = call.attributes.outputs;
  if (!Array.isArray(wanted)) return refuse("attribute outputs is missing");
  return (wanted as readonly string[]).map(
    (name) => all[names.indexOf(name)] ?? refuse("unknown output", undefined, name),
  );
};
