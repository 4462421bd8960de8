/**
 * Runs one bound step of a product family (conv, depthwise, matmul, conv-transpose) in a module of its own, and checks
 * what no reference can: bytes beside the output stay as they were, and two halves of the range give the same bits.
 */
import { setFlagsFromString } from "node:v8";
import { expect } from "vitest";
import { type WasmTarget, wasmRelaxed, wasmSimd } from "../../compiler/assemble/target.ts";
import { generateModule } from "../../compiler/codegen/wasm/module.ts";
import type { Storage } from "../../compiler/graph/graph.ts";
import type { Buffer, Family, Halo, Variant, View } from "../../compiler/kernels/contract.ts";
import type { Problem } from "../../compiler/kernels/problem.ts";
import { broadcastView, denseBytes, denseView, haloBytes, haloView } from "../../compiler/plan/view.ts";
import { recordHeaderWords } from "../../runtime/format/program.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";

setFlagsFromString("--experimental-wasm-relaxed-simd");
export const targets: readonly WasmTarget[] = [wasmSimd, wasmRelaxed];

export interface ProductCase<P extends Problem, V extends Variant> {
  readonly family: Family<P, V>;
  readonly variant: V;
  readonly problem: P;
  /** Operand 0, weights, bias, epilogue operands. */
  readonly tensors: readonly (Tensor<"float32"> | undefined)[];
  readonly storage?: Storage;
  readonly outputShape: readonly number[];
  /** The output lies in a wider buffer: this many further channels in front and behind. */
  readonly sideChannels?: number;
  /** The input lies in a wider buffer. */
  readonly inputSideChannels?: number;
  /** The output lies inside a border. */
  readonly outputHalo?: Halo;
}

const noBorder: Halo = { top: 0, left: 0, bottom: 0, right: 0, value: 0 };

/** A value no kernel writes. */
const untouched = 0x7fc12345;

class Memory {
  readonly words = new Uint32Array(1 << 18).fill(untouched);
  #next = 4096;
  readonly places = new Map<Buffer, number>();

  place(buffer: Buffer): number {
    const known = this.places.get(buffer);
    if (known !== undefined) return known;
    const start = this.#next;
    this.places.set(buffer, start);
    this.#next = start + Math.ceil(((buffer.bytes as number) + 64) / 64) * 64;
    return start;
  }
}

/** Addresses of every element of a view, in row-major order. */
function addresses(view: View, start: number): number[] {
  let list = [start + (view.offset as number)];
  view.shape.forEach((extent, axis) => {
    const stride = view.strides[axis] as number;
    list = list.flatMap((address) => Array.from({ length: extent as number }, (_, i) => address + i * stride));
  });
  return list;
}

/** A view of `shape` inside a border and between `side` channels in front and behind. */
export function viewIn(name: string, shape: readonly number[], border: Halo, side: number, kind: Buffer["kind"]): View {
  const channels = shape.at(-1) as number;
  const whole = [...shape.slice(0, -1), channels + 2 * side];
  const bytes = border === noBorder ? denseBytes("float32", whole) : haloBytes("float32", whole, border);
  const buffer: Buffer = { kind, name, dtype: "float32", bytes };
  const outer = border === noBorder ? denseView(buffer, "float32", whole) : haloView(buffer, "float32", whole, border);
  return { ...outer, shape, offset: (outer.offset as number) + side * 4 };
}

export function runProduct<P extends Problem, V extends Variant>(
  target: WasmTarget,
  item: ProductCase<P, V>,
  splits: readonly number[] = [],
): Float32Array {
  const { family, variant, problem, tensors, outputShape } = item;
  if (!family.accepts(variant, problem)) throw new Error("the variant does not accept the problem");
  const memory = new Memory();
  const output = viewIn("output", outputShape, item.outputHalo ?? noBorder, item.sideChannels ?? 0, "output");
  const packedOperands = family.packedOperands(problem);
  const operands = tensors.map((tensor, index) => {
    if (!tensor || packedOperands.includes(index)) return undefined;
    const halo = family.halo?.(problem, index) ?? noBorder;
    const isBordered = halo.top + halo.left + halo.bottom + halo.right > 0;
    const view = viewIn(
      `operand ${index}`,
      tensor.shape,
      isBordered ? halo : noBorder,
      index === 0 ? (item.inputSideChannels ?? 0) : 0,
      "input",
    );
    const start = memory.place(view.buffer);
    if (isBordered) memory.words.fill(0, start / 4, start / 4 + (view.buffer.bytes as number) / 4);
    const floats = new Float32Array(memory.words.buffer);
    addresses(view, start).forEach((address, i) => {
      floats[address / 4] = tensor.data[i] as number;
    });
    return index >= 3 ? broadcastView(view, outputShape) : view;
  });
  let packed: Buffer | undefined;
  if (family.pack && packedOperands.length > 0) {
    const { bytes, unit } = family.pack(
      variant,
      problem,
      packedOperands.map((index) => tensors[index]),
      packedOperands.map((index) => (index === 1 ? item.storage : undefined)),
    );
    if (bytes.length % unit !== 0) throw new Error("the packed weights are not whole units");
    packed = { kind: "weight", name: "packed", dtype: "uint8", bytes: bytes.length };
    new Uint8Array(memory.words.buffer).set(bytes, memory.place(packed));
  }
  const scratchBytes = family.scratchBytes?.(variant, problem) ?? 0;
  const scratch: Buffer | undefined =
    scratchBytes === 0 ? undefined : { kind: "scratch", name: "scratch", dtype: "uint8", bytes: scratchBytes };
  const step = family.bind(variant, problem, operands, [output], packed, scratch);
  const outputStart = memory.place(output.buffer);
  const wasm = new WebAssembly.Memory({ initial: 16, maximum: 16 });
  const record = [0, step.range as number, 4 * (recordHeaderWords + step.arguments.length), 0];
  for (const argument of step.arguments) {
    if (argument.kind === "float") throw new Error("no float arguments expected");
    record.push(
      argument.kind === "integer"
        ? (argument.value as number)
        : memory.place(argument.buffer) + (argument.offset as number),
    );
  }
  memory.words.set(record, 64);
  new Uint32Array(wasm.buffer).set(memory.words);
  const bytes = generateModule([step.kernel], target, 16);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource), { env: { memory: wasm } });
  const table = instance.exports.table as WebAssembly.Table;
  const kernel = table.get(0) as (record: number, begin: number, end: number) => void;
  const bounds = [0, ...splits, step.range as number];
  for (let i = 0; i + 1 < bounds.length; i++) kernel(256, bounds[i] as number, bounds[i + 1] as number);

  const after = new Uint32Array(wasm.buffer);
  const floats = new Float32Array(wasm.buffer);
  const places = addresses(output, outputStart).map((address) => address / 4);
  const result = Float32Array.from(places, (place) => floats[place] as number);
  const allowed = new Set(places);
  if (scratch) {
    const start = memory.place(scratch) / 4;
    for (let i = 0; i < (scratchBytes as number) / 4; i++) allowed.add(start + i);
  }
  for (let i = 0; i < after.length; i++)
    if (after[i] !== memory.words[i] && !allowed.has(i)) throw new Error(`word ${i} beside the output was written`);
  return result;
}

/** The largest difference relative to 1 + |expected|. */
export function largestError(received: Float32Array, expected: ArrayLike<number>): number {
  if (received.length !== expected.length)
    throw new Error(`${received.length} elements where ${expected.length} are expected`);
  let error = 0;
  for (let i = 0; i < received.length; i++) {
    const difference =
      Math.abs((received[i] as number) - (expected[i] as number)) / (1 + Math.abs(expected[i] as number));
    if (!(difference <= error)) error = difference;
  }
  return error;
}

/** Uniform values in -1..1 from a small generator. */
export function randomTensor(shape: readonly number[], seed: number): Tensor<"float32"> {
  const data = new Float32Array(shape.reduce((product, extent) => product * extent, 1));
  let state = (seed * 2654435761) >>> 0 || 1;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = (state / 2 ** 32) * 2 - 1;
  }
  return { dtype: "float32", shape, data };
}

/** The whole range is what is expected, and two parts of it give the same bits. */
export function checkProduct<P extends Problem, V extends Variant>(
  target: WasmTarget,
  item: ProductCase<P, V>,
  expected: Float32Array,
  range: number,
  tolerance = 1e-5,
): void {
  const whole = runProduct(target, item);
  expect(largestError(whole, expected)).toBeLessThan(tolerance);
  if (range > 1) expect(runProduct(target, item, [Math.ceil(range / 3)])).toEqual(whole);
}
