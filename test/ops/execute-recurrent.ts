/** What a recurrent problem asks for, straight from its comment in compiler/kernels/problem.ts: state by state, without schedules. */
import type { RecurrentProblem } from "../../compiler/kernels/problem.ts";
import { type Tensor, zeros } from "../../runtime/format/tensor.ts";
import { evaluatorOf } from "../../runtime/reference/expression.ts";

type Vector = readonly number[];

/** The outputs that the problem names. */
export function executeRecurrent(
  problem: RecurrentProblem,
  operands: readonly (Tensor | undefined)[],
): readonly Tensor[] {
  const { cell, hiddenSize: size, inputSize, batchFirst, projected } = problem;
  const [time, batch] = [problem.time as number, problem.batch as number];
  const directions = problem.direction === "bidirectional" ? 2 : 1;
  const gates = { lstm: 4, gru: 3, rnn: 1 }[cell];
  const [x, w, r, bias, lengths, initialH, initialC, peepholes] = operands.map((tensor) =>
    tensor ? Array.from(tensor.data as ArrayLike<number>) : undefined,
  );
  const [f, g, h] = problem.activations.map((activation, index) => {
    const evaluate = evaluatorOf(activation, ["float32"]);
    const bound = (index < 2 && problem.clip) || Number.POSITIVE_INFINITY;
    return (value: number): number => {
      const bounded = Math.max(-bound, Math.min(bound, value));
      return evaluate({
        input: () => bounded,
        load: () => Number.NaN,
        axis: () => Number.NaN,
        parameter: () => Number.NaN,
      }) as number;
    };
  }) as [(value: number) => number, (value: number) => number, (value: number) => number];
  const units = Array.from({ length: size }, (_, unit) => unit);
  const shape = (...extents: readonly [first: number, batch: number]): readonly number[] =>
    batchFirst ? [extents[1], extents[0]] : extents;
  const y = zeros("float32", [...(batchFirst ? [batch, time, directions] : [time, directions, batch]), size]);
  const lastH = zeros("float32", [...shape(directions, batch), size]);
  const lastC = zeros("float32", [...shape(directions, batch), size]);
  const stateAt = (d: number, b: number): number => (batchFirst ? b * directions + d : d * batch + b) * size;

  for (let d = 0; d < directions; d++)
    for (let b = 0; b < batch; b++) {
      const isReverse = problem.direction === "reverse" || d === 1;
      let state: Vector = units.map((unit) => initialH?.[stateAt(d, b) + unit] ?? 0);
      let memory: Vector = units.map((unit) => initialC?.[stateAt(d, b) + unit] ?? 0);
      const steps = lengths?.[b] ?? time;
      for (let step = 0; step < steps; step++) {
        const t = isReverse ? steps - 1 - step : step;
        const row = (batchFirst ? b * time + t : t * batch + b) * inputSize;
        const biasOf = (kind: 0 | 1, gate: number, unit: number): number =>
          bias?.[((d * 2 + kind) * gates + gate) * size + unit] ?? 0;
        const later = cell === "gru" && problem.linearBeforeReset;
        const fromInput = (gate: number, unit: number): number => {
          if (projected) {
            const block = d * Math.ceil(size / 4) + Math.floor(unit / 4);
            return x?.[row + (block * gates + gate) * 4 + (unit % 4)] ?? Number.NaN;
          }
          let sum = biasOf(0, gate, unit) + (later && gate === 2 ? 0 : biasOf(1, gate, unit));
          for (let k = 0; k < inputSize; k++)
            sum +=
              (x?.[row + k] ?? Number.NaN) * (w?.[((d * gates + gate) * size + unit) * inputSize + k] ?? Number.NaN);
          return sum;
        };
        const fromState = (gate: number, unit: number, vector: Vector): number =>
          vector.reduce(
            (sum, value, k) => sum + value * (r?.[((d * gates + gate) * size + unit) * size + k] ?? Number.NaN),
            0,
          );
        const gate = (index: number): Vector =>
          units.map((unit) => fromInput(index, unit) + fromState(index, unit, state));
        const peephole = (kind: number, unit: number): number => peepholes?.[(d * 3 + kind) * size + unit] ?? 0;
        const previous = { state, memory };
        if (cell === "rnn") state = gate(0).map(f);
        else if (cell === "gru") {
          const update = gate(0).map(f);
          const reset = gate(1).map(f);
          const scaled = state.map((value, unit) => value * (reset[unit] ?? 0));
          const candidate = units.map((unit) =>
            later
              ? fromInput(2, unit) + (reset[unit] ?? 0) * (fromState(2, unit, previous.state) + biasOf(1, 2, unit))
              : fromInput(2, unit) + fromState(2, unit, scaled),
          );
          state = units.map(
            (unit) =>
              (1 - (update[unit] ?? 0)) * g(candidate[unit] ?? 0) + (update[unit] ?? 0) * (previous.state[unit] ?? 0),
          );
        } else {
          const [i, o, forget, c] = [0, 1, 2, 3].map(gate) as [Vector, Vector, Vector, Vector];
          const admit = i.map((sum, unit) => f(sum + peephole(0, unit) * (previous.memory[unit] ?? 0)));
          const keep = forget.map((sum, unit) =>
            problem.inputForget ? 1 - (admit[unit] ?? 0) : f(sum + peephole(2, unit) * (previous.memory[unit] ?? 0)),
          );
          memory = c.map((sum, unit) => (keep[unit] ?? 0) * (previous.memory[unit] ?? 0) + (admit[unit] ?? 0) * g(sum));
          state = o.map((sum, unit) => f(sum + peephole(1, unit) * (memory[unit] ?? 0)) * h(memory[unit] ?? 0));
        }
        const place = batchFirst ? (b * time + t) * directions + d : (t * directions + d) * batch + b;
        (y.data as Float32Array).set(state, place * size);
      }
      (lastH.data as Float32Array).set(state, stateAt(d, b));
      (lastC.data as Float32Array).set(memory, stateAt(d, b));
    }
  return problem.outputs.map((name) => ({ Y: y, Y_h: lastH, Y_c: lastC })[name]);
}
