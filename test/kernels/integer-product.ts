/**
 * Runs one bound step of an integer product family and checks what no reference can: bytes beside the output stay as
 * they were, whatever stands around the input does not count, and parts of the range give the same bits as the whole.
 */
import { expect } from "vitest";
import type { WasmTarget } from "../../compiler/assemble/target.ts";
import type { Buffer, Family, Halo, Variant, View } from "../../compiler/kernels/contract.ts";
import { broadcastView, denseBytes, denseView, haloBytes, haloView } from "../../compiler/plan/view.ts";
import { byteSize } from "../../runtime/format/dtype.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { tensorOfNumbers } from "../../runtime/reference/numbers.ts";
import { executeInteger, type IntegerProblem } from "../ops/execute-integer.ts";
import { runSteps } from "./run.ts";
import { collect, scatter, sizeOf } from "./tensors.ts";

/** Where input and output lie: channels beside them on both sides, and a border around the output. */
export interface IntegerLayout {
  readonly sideChannels?: number;
  readonly inputSideChannels?: number;
  readonly outputHalo?: Halo;
}

export interface IntegerCase<P extends IntegerProblem> extends IntegerLayout {
  readonly problem: P;
  /** Operand 0, weights, bias, epilogue operands. */
  readonly tensors: readonly (Tensor | undefined)[];
  readonly outputShape: readonly number[];
}

/** Integers of the whole range low..high; both ends are frequent. */
export function integers(dtype: "int8" | "uint8" | "int32", shape: readonly number[], seed: number, bits = 8): Tensor {
  const [low, high] = { int8: [-128, 127], uint8: [0, 255], int32: [-30000, 30000] }[dtype] as [number, number];
  const [first, last] = bits === 7 ? [0, 127] : [low, high];
  let state = (seed * 2654435761) >>> 0 || 1;
  const values = Array.from({ length: sizeOf(shape) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    if (state % 8 === 0) return first;
    return state % 8 === 1 ? last : first + Math.floor((state / 2 ** 32) * (last - first + 1));
  });
  return tensorOfNumbers(dtype, shape, values);
}

const isBordered = (halo: Halo | undefined): halo is Halo =>
  halo !== undefined && halo.top + halo.left + halo.bottom + halo.right > 0;

function place(name: string, tensor: Pick<Tensor, "dtype" | "shape">, side: number, halo: Halo | undefined): View {
  const { dtype, shape } = tensor;
  const whole = [...shape.slice(0, -1), (shape.at(-1) ?? 1) + 2 * side];
  const bytes = isBordered(halo) ? haloBytes(dtype, whole, halo) : denseBytes(dtype, whole);
  const buffer: Buffer = { kind: "scratch", name, dtype, bytes };
  const outer = isBordered(halo) ? haloView(buffer, dtype, whole, halo) : denseView(buffer, dtype, whole);
  return { ...outer, shape, offset: (outer.offset as number) + side * byteSize[dtype] };
}

/** The result of the step, its range in `parts`. */
export function runInteger<P extends IntegerProblem, V extends Variant>(
  family: Family<P, V>,
  variant: V,
  item: IntegerCase<P>,
  target: WasmTarget,
  parts: number,
): Tensor {
  const { problem, tensors, outputShape, sideChannels = 0, inputSideChannels = 0, outputHalo } = item;
  const packedOperands = family.packedOperands(problem);
  const initial = new Map<Buffer, Uint8Array>();
  const operands = tensors.map((tensor, index) => {
    if (!tensor || packedOperands.includes(index)) return undefined;
    const halo = family.halo?.(problem, index);
    const view = place(`operand ${index}`, tensor, index === 0 ? inputSideChannels : 0, halo);
    const fill = isBordered(halo) ? halo.value & 0xff : 0x5a;
    initial.set(view.buffer, scatter(view, tensor, new Uint8Array(view.buffer.bytes as number).fill(fill)));
    return index >= 3 ? broadcastView(view, outputShape) : view;
  });
  const output = place("output", { dtype: problem.outputType, shape: outputShape }, sideChannels, outputHalo);
  initial.set(output.buffer, new Uint8Array(output.buffer.bytes as number).fill(0x33));
  const constants = packedOperands.map((index) => tensors[index]);
  const { bytes, unit } = family.pack!(variant, problem, constants, []);
  expect(bytes.length % unit).toBe(0);
  const packed: Buffer = { kind: "weight", name: "packed", dtype: "uint8", bytes: bytes.length };
  initial.set(packed, bytes);
  const scratchBytes = family.scratchBytes!(variant, problem) as number;
  const scratch: Buffer = { kind: "scratch", name: "scratch", dtype: "uint8", bytes: scratchBytes };
  if (scratchBytes > 0) initial.set(scratch, new Uint8Array(scratchBytes).fill(0x77));
  const step = family.bind(variant, problem, operands, [output], packed, scratchBytes > 0 ? scratch : undefined);
  const results = runSteps([step], { initial, parts, target });
  const after = results.get(output.buffer) as Uint8Array;
  const inside = scatter(
    output,
    {
      dtype: problem.outputType,
      shape: outputShape,
      data: new Uint8Array(sizeOf(outputShape) * byteSize[problem.outputType]),
    } as never,
    new Uint8Array(after.length).fill(1),
  );
  expect(after.every((byte, index) => inside[index] === 0 || byte === 0x33)).toBe(true);
  return collect(output, after);
}

/** The whole range, halves and thirds of it are what the definition gives, bit by bit. */
export function checkInteger<P extends IntegerProblem, V extends Variant>(
  family: Family<P, V>,
  variant: V,
  item: IntegerCase<P>,
  target: WasmTarget,
): void {
  const expected = executeInteger(item.problem, item.tensors, item.outputShape);
  for (const parts of [1, 2, 3]) expect(runInteger(family, variant, item, target, parts)).toEqual(expected);
}
