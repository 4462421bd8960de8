/**
 * How far the outputs of a quantised model move when its roundings fall the other way: what another engine's last bits may do.
 * Found by running the program step by step, with a small share of what each step has rounded moved by one.
 */

import { byteSize } from "../../runtime/format/dtype.ts";
import { evaluateExtent } from "../../runtime/format/extent.ts";
import type { KernelStep, Program } from "../../runtime/format/program.ts";
import { elementCount, type Tensor, viewOf } from "../../runtime/format/tensor.ts";
import type { Plan } from "../plan/plan.ts";
import type { KernelRunner } from "./kernel-runner.ts";

type Tensors = Readonly<Record<string, Tensor>>;
type Bindings = ReadonlyMap<string, number>;

/** Many more values than those that lie so near to a tie; each moves the outputs no further for that. */
const everyNth = 257;

/** Operators whose results in bytes are rounded; others pick or move bytes. */
const rounds = (op: string): boolean => /^leafcutter\.(Integer\w+|Elementwise|Pool)$|^ReduceMean$|Quantize/.test(op);

/** Movement of the outputs, the worst of them: of any value as a share of the largest, of all as a share of their root mean square. */
export interface RoundingNoise {
  readonly largest: number;
  readonly rootMeanSquare: number;
}

const none: RoundingNoise = { largest: 0, rootMeanSquare: 0 };

/** `none` for a program that rounds nothing to bytes; undefined for one whose steps are not simply run in order. */
export function roundingNoise(
  program: Program,
  plan: Plan,
  runner: KernelRunner,
  test: { readonly inputs: Tensors; readonly bindings: Readonly<Record<string, number>>; readonly outputs: Tensors },
): RoundingNoise | undefined {
  const steps = program.steps.map((step, index) => ({ step, rounded: roundedRegions(program, plan, index) }));
  if (steps.every(({ rounded }) => rounded.length === 0)) return none;
  if (program.states !== undefined) return undefined;
  const bindings = new Map(Object.entries(test.bindings));
  const { buffer } = runner.memory;
  for (const { name, address } of program.inputs) {
    const data = test.inputs[name]?.data;
    if (data) new Uint8Array(buffer, address, data.byteLength).set(bytesOf(data));
  }
  let turn = 0;
  for (const [index, { step, rounded }] of steps.entries()) {
    if (step.kind !== "kernel") return undefined;
    runner.runStep(index, evaluateExtent(step.range, bindings), bindings);
    for (const { start, bytes, dtype } of rounded) {
      const values = viewOf(dtype, buffer, evaluateExtent(start, bindings), evaluateExtent(bytes, bindings));
      turn = flip(values as Int8Array | Uint8Array, turn);
    }
  }
  const moved = program.outputs.map((port) => movement(port, test.outputs[port.name], buffer, bindings));
  return {
    largest: Math.max(...moved.map(({ largest }) => largest)),
    rootMeanSquare: Math.max(...moved.map(({ rootMeanSquare }) => rootMeanSquare)),
  };
}

const bytesOf = (data: ArrayBufferView): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

interface Region {
  readonly start: KernelStep["accesses"][number]["start"];
  readonly bytes: KernelStep["accesses"][number]["bytes"];
  readonly dtype: "int8" | "uint8";
}

function roundedRegions(program: Program, plan: Plan, index: number): readonly Region[] {
  const [step, planned] = [program.steps[index], plan.steps[index]];
  if (step?.kind !== "kernel" || planned?.kind !== "kernel" || !rounds(step.op)) return [];
  return step.accesses.flatMap(({ word, start, bytes, mode }) => {
    const argument = planned.arguments[word];
    if (mode !== "write" || argument?.kind !== "address") return [];
    const { dtype } = argument.buffer;
    return dtype === "int8" || dtype === "uint8" ? [{ start, bytes, dtype }] : [];
  });
}

/** Moves every so-manieth value by one, up and down in turn. Values at the ends of the type stay. */
function flip(values: Int8Array | Uint8Array, turn: number): number {
  const [low, high] = values instanceof Int8Array ? [-128, 127] : [0, 255];
  let next = turn;
  for (let i = next % everyNth; i < values.length; i += everyNth) {
    const moved = (values[i] as number) + (next++ % 2 === 0 ? 1 : -1);
    if (moved >= low && moved <= high) values[i] = moved;
  }
  return next;
}

function movement(
  { dtype, shape, address }: Program["outputs"][number],
  expected: Tensor | undefined,
  buffer: ArrayBuffer,
  bindings: Bindings,
): RoundingNoise {
  const count = elementCount(shape.map((extent) => evaluateExtent(extent, bindings)));
  if (expected === undefined || byteSize[dtype] === 2) return none;
  const values = viewOf(dtype, buffer, address, count);
  let [largest, moved, squares, errors] = [0, 0, 0, 0];
  for (let i = 0; i < count; i++) {
    const [is, was] = [Number(values[i]), Number(expected.data[i])];
    if (!Number.isFinite(was) || !Number.isFinite(is)) continue;
    largest = Math.max(largest, Math.abs(was));
    moved = Math.max(moved, Math.abs(is - was));
    squares += was ** 2;
    errors += (is - was) ** 2;
  }
  return squares === 0 ? none : { largest: moved / largest, rootMeanSquare: Math.sqrt(errors / squares) };
}
