/**
 * The recurrent family against its definition, on both targets: every variant and storage, views with gaps, and ranges cut
 * into parts, which must give the same bits.
 */
import { setFlagsFromString } from "node:v8";
import { describe, expect, test } from "vitest";
import { wasmRelaxed, wasmSimd } from "../../compiler/assemble/target.ts";
import type { Buffer, View } from "../../compiler/kernels/contract.ts";
import type { BlockForm, RecurrentCell, RecurrentProblem, StoredWeights } from "../../compiler/kernels/problem.ts";
import { recurrentFamily } from "../../compiler/kernels/recurrent/family.ts";
import { input, unary } from "../../runtime/format/expression.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { executeRecurrent } from "../ops/execute-recurrent.ts";
import { randomTensor } from "./product.ts";
import { runSteps } from "./run.ts";
import { stored, storedInBlocks } from "./storage.ts";
import { collect, expectClose, gappedBuffer, scatter } from "./tensors.ts";

setFlagsFromString("--experimental-wasm-relaxed-simd");

const sigmoid = unary("sigmoid", input(0));
const tanh = unary("tanh", input(0));
const gates = { lstm: 4, gru: 3, rnn: 1 } as const;

interface Layer {
  readonly cell: RecurrentCell;
  readonly weights?: StoredWeights;
  readonly changes?: Partial<RecurrentProblem>;
  readonly lengths?: readonly number[];
  readonly initial?: boolean;
}

const int4: StoredWeights = {
  storage: "int4",
  blocks: { size: 16, zeros: true, scaleType: "float16", bias: true },
};
const nf4: StoredWeights = {
  storage: "nf4",
  blocks: { size: 16, zeros: false, scaleType: "float16", bias: false },
};

const layers: Readonly<Record<string, Layer>> = {
  lstm: { cell: "lstm" },
  "lstm, ragged, both ways": {
    cell: "lstm",
    changes: { hiddenSize: 7, inputSize: 5, batch: 5, direction: "bidirectional" },
    initial: true,
  },
  "lstm, batch first, with peepholes": {
    cell: "lstm",
    changes: { batchFirst: true, batch: 3, peepholes: true, clip: 0.5 },
    initial: true,
  },
  "lstm, projected": {
    cell: "lstm",
    changes: { projected: true, hiddenSize: 6, inputSize: 64, batch: 3, direction: "bidirectional" },
  },
  "lstm, ends of sequences": {
    cell: "lstm",
    changes: { batch: 4, direction: "bidirectional" },
    lengths: [2, 0, 3, 1],
    initial: true,
  },
  "lstm, float16": { cell: "lstm", weights: { storage: "float16" }, changes: { batch: 2, hiddenSize: 9 } },
  "lstm, int8": {
    cell: "lstm",
    weights: { storage: "int8" },
    changes: { batch: 2, hiddenSize: 9, direction: "bidirectional" },
  },
  "gru that resets first": { cell: "gru", changes: { batch: 5, hiddenSize: 6 }, initial: true },
  "gru that resets first, int8": { cell: "gru", weights: { storage: "int8" }, changes: { batch: 4, hiddenSize: 10 } },
  "gru that resets later": { cell: "gru", changes: { batch: 7, linearBeforeReset: true }, initial: true },
  "gru that resets later, float16, projected": {
    cell: "gru",
    weights: { storage: "float16" },
    changes: { projected: true, hiddenSize: 5, inputSize: 24, linearBeforeReset: true, batch: 3, direction: "reverse" },
  },
  rnn: { cell: "rnn", changes: { batch: 4, hiddenSize: 11 }, initial: true },
  "lstm, int4": { cell: "lstm", weights: int4, changes: { batch: 3, hiddenSize: 35, inputSize: 21 } },
  "lstm, symmetric int4, both ways": {
    cell: "lstm",
    weights: { storage: "int4", blocks: { size: 16, zeros: false, scaleType: "float32", bias: true } },
    changes: { batch: 2, hiddenSize: 32, inputSize: 7, direction: "bidirectional" },
    initial: true,
  },
  "lstm, nf4": { cell: "lstm", weights: nf4, changes: { batch: 2, hiddenSize: 18, inputSize: 33 } },
  "gru that resets first, int4": { cell: "gru", weights: int4, changes: { batch: 4, hiddenSize: 33 } },
  "gru that resets first, nf4": { cell: "gru", weights: nf4, changes: { batch: 3, hiddenSize: 17 } },
  "gru that resets later, int4, projected": {
    cell: "gru",
    weights: int4,
    changes: { projected: true, hiddenSize: 37, inputSize: 120, linearBeforeReset: true, batch: 3 },
  },
  "gru that resets later, nf4": { cell: "gru", weights: nf4, changes: { hiddenSize: 21, linearBeforeReset: true } },
  "rnn, int4": { cell: "rnn", weights: int4, changes: { batch: 4, hiddenSize: 34, direction: "reverse" } },
  "rnn, nf4": { cell: "rnn", weights: nf4, changes: { batch: 4, hiddenSize: 34 } },
  "one row of one step": { cell: "lstm", changes: { batch: 1, time: 1, outputs: ["Y_h", "Y_c"] }, initial: true },
  "outputs in part": { cell: "gru", changes: { outputs: ["Y_h"] } },
};

/** `tensor` rounded to the storage of `weights`, one scale per row or blocks along rows. */
function rounded(tensor: Tensor<"float32">, { storage, blocks }: StoredWeights) {
  if (storage === "int4" || storage === "nf4") return storedInBlocks(tensor, storage, 1, blocks as BlockForm);
  return stored(tensor, storage, 0);
}

function build({ cell, weights = { storage: "float32" }, changes, lengths, initial = false }: Layer) {
  const problem: RecurrentProblem = {
    family: "recurrent",
    cell,
    direction: "forward",
    time: 3,
    batch: 2,
    inputSize: 6,
    hiddenSize: 8,
    projected: false,
    batchFirst: false,
    activations: cell === "lstm" ? [sigmoid, tanh, tanh] : cell === "gru" ? [sigmoid, tanh] : [tanh],
    clip: undefined,
    inputForget: false,
    linearBeforeReset: false,
    peepholes: false,
    outputs: cell === "lstm" ? ["Y", "Y_h", "Y_c"] : ["Y", "Y_h"],
    inputWeights: weights,
    stateWeights: weights,
    ...changes,
  };
  const [time, batch] = [problem.time as number, problem.batch as number];
  const { hiddenSize, inputSize, batchFirst } = problem;
  const directions = problem.direction === "bidirectional" ? 2 : 1;
  const rows = directions * gates[cell] * hiddenSize;
  const w = problem.projected ? undefined : rounded(randomTensor([rows, inputSize], 2), weights);
  const r = rounded(randomTensor([rows, hiddenSize], 3), weights);
  const state = batchFirst ? [batch, directions, hiddenSize] : [directions, batch, hiddenSize];
  const operands: readonly (Tensor | undefined)[] = [
    randomTensor([...(batchFirst ? [batch, time] : [time, batch]), inputSize], 1),
    w?.tensor,
    r.tensor,
    randomTensor([directions, 2 * gates[cell] * hiddenSize], 4),
    lengths && tensorOf("int32", [batch], lengths),
    initial ? randomTensor(state, 5) : undefined,
    initial && cell === "lstm" ? randomTensor(state, 6) : undefined,
    problem.peepholes ? randomTensor([directions, 3 * hiddenSize], 7) : undefined,
  ];
  return { problem, operands, storages: [w?.storage, r.storage, undefined, undefined] };
}

const gapped = (name: string, { dtype, shape }: Tensor): View =>
  gappedBuffer(
    name,
    dtype,
    shape,
    shape.map((_, axis) => (axis === shape.length - 1 ? 0 : 2 + axis)),
    3,
  );

describe.each([wasmSimd, wasmRelaxed])("$name", (target) => {
  for (const variant of recurrentFamily.variants) {
    const accepted = Object.entries(layers).filter(([, layer]) =>
      recurrentFamily.accepts(variant, build(layer).problem),
    );
    test.each(accepted)(`${variant.name}: %s`, (_, layer) => {
      const { problem, operands, storages } = build(layer);
      const expected = executeRecurrent(problem, operands);
      const indices = recurrentFamily.packedOperands(problem);
      const packed = recurrentFamily.pack?.(
        variant,
        problem,
        indices.map((index) => operands[index]),
        storages,
      );
      if (!packed) throw new Error("nothing is packed");
      expect(packed.bytes.length % packed.unit).toBe(0);
      const weights: Buffer = { kind: "weight", name: "weights", dtype: "uint8", bytes: packed.bytes.length };
      const scratch: Buffer = {
        kind: "scratch",
        name: "scratch",
        dtype: "uint8",
        bytes: recurrentFamily.scratchBytes?.(variant, problem) ?? 0,
      };
      const run = (parts: number): readonly Tensor[] => {
        const initial = new Map<Buffer, Uint8Array>([[weights, packed.bytes]]);
        const views = operands.map((tensor, index) => {
          if (!tensor || indices.includes(index)) return undefined;
          const view = gapped(`operand ${index}`, tensor);
          initial.set(view.buffer, scatter(view, tensor));
          return view;
        });
        const outputs = expected.map((tensor, index) => gapped(`output ${index}`, tensor));
        for (const view of outputs) initial.set(view.buffer, new Uint8Array(view.buffer.bytes as number).fill(0x5a));
        const step = recurrentFamily.bind(variant, problem, views, outputs, weights, scratch);
        const result = runSteps([step], { initial, parts, target });
        return outputs.map((view, index) => {
          const bytes = result.get(view.buffer) as Uint8Array;
          const tensor = collect(view, bytes);
          expect(scatter(view, tensor), `what lies between the elements of output ${index}`).toEqual(bytes);
          return tensor;
        });
      };
      const whole = run(1);
      whole.forEach((tensor, index) => expectClose(tensor, expected[index], 1e-5));
      expect(run(3)).toEqual(whole);
    });
  }
});

test("every variant accepts some layer", () => {
  for (const variant of recurrentFamily.variants)
    expect(Object.values(layers).some((layer) => recurrentFamily.accepts(variant, build(layer).problem))).toBe(true);
});
