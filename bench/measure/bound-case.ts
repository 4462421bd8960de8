/**
 * One synthetic problem as generated WebAssembly in a module of its own: weights and inputs seeded, buffers one behind
 * another, as many copies of the step's record as asked for.
 */
import type { WasmTarget } from "../../compiler/assemble/target.ts";
import { generateModule } from "../../compiler/codegen/wasm/module.ts";
import type { Dim } from "../../compiler/graph/dimension.ts";
import type { BoundStep, Buffer, Family, Variant, View } from "../../compiler/kernels/contract.ts";
import type { Problem } from "../../compiler/kernels/problem.ts";
import { broadcastView, denseBytes, denseView, haloBytes, haloView } from "../../compiler/plan/view.ts";
import { roundToFloat16, roundToInt8 } from "../../compiler/quantize/round.ts";
import { type RoundedWeights, roundWeights } from "../../compiler/quantize/round-weights.ts";
import { byteSize, type DType } from "../../runtime/format/dtype.ts";
import { evaluateExtent } from "../../runtime/format/extent.ts";
import { pageBytes, recordHeaderWords } from "../../runtime/format/program.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { type Tensor, zeros } from "../../runtime/format/tensor.ts";
import type { KernelCase } from "./kernel-cases.ts";

const alignment = 64;
/** Address of the first record. */
export const recordsAt = 64;
/** No problem here has symbols. */
export const extent = (dim: Dim): number => evaluateExtent(dim, new Map());

function seeded<T extends DType>(dtype: T, shape: readonly number[], seed: number): Tensor<T> {
  const tensor = zeros(dtype, shape);
  fillRandom(dtype, tensor.data, seed);
  return tensor;
}

const bytesOf = ({ data }: Tensor): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

function rounded(tensor: Tensor<"float32">, { problem, scaleAxis }: KernelCase): RoundedWeights | undefined {
  const storage = "storage" in problem ? problem.storage : "float32";
  switch (storage) {
    case "float32":
      return undefined;
    case "float16":
      return roundToFloat16(tensor);
    case "int8":
      return roundToInt8(tensor, scaleAxis);
    case "int4":
    case "nf4": {
      const { size = 32, zeros = false } = ("blocks" in problem && problem.blocks) || {};
      // Only matrices and convolutions have blocks: their terms are the other one of the first two axes.
      const layout = { channelAxis: scaleAxis, contractionAxis: 1 - scaleAxis };
      return roundWeights(tensor, { kind: storage, blockSize: size, zeros }, layout);
    }
  }
}

export interface BoundCase {
  readonly step: BoundStep;
  readonly contents: ReadonlyMap<Buffer, Uint8Array>;
}

/** Element type of an operand; integer products alone have others than float32. */
function operandType(problem: Problem, index: number): DType {
  if (problem.family === "pool") return problem.dtype;
  if (!("inputType" in problem)) return "float32";
  if (index === 0) return problem.inputType;
  return index === 1 ? "int8" : index === 2 ? "int32" : (problem.operandTypes[index - 3] ?? "float32");
}

/** Types and shapes of the outputs. */
function outputsOf({ problem, output }: KernelCase): readonly Pick<Tensor, "dtype" | "shape">[] {
  if (problem.family === "dynamic-quantize")
    return [
      { dtype: "uint8", shape: output },
      { dtype: "float32", shape: [] },
      { dtype: "uint8", shape: [] },
    ];
  if (problem.family === "pool") return [{ dtype: problem.dtype, shape: output }];
  return [{ dtype: "outputType" in problem ? problem.outputType : "float32", shape: output }];
}

function viewOf(family: Family<Problem>, item: KernelCase, index: number): View {
  const { problem } = item;
  const shape = item.operands[index] ?? [];
  const dtype = operandType(problem, index);
  const halo = family.halo?.(problem, index);
  const isBordered = halo !== undefined && halo.top + halo.left + halo.bottom + halo.right > 0;
  const bytes = isBordered ? haloBytes(dtype, shape, halo) : denseBytes(dtype, shape);
  const buffer: Buffer = { kind: "input", name: `operand ${index}`, dtype, bytes };
  const view = isBordered ? haloView(buffer, dtype, shape, halo) : denseView(buffer, dtype, shape);
  const isEpilogue = index >= 3 && "outputType" in problem;
  return isEpilogue ? broadcastView(view, item.output) : view;
}

interface StoredConstant {
  readonly tensor: Tensor;
  readonly storage: RoundedWeights["storage"] | undefined;
}

/** Of the case that was bound last: its variants share them. */
let lastConstants: { readonly item: KernelCase; readonly list: readonly StoredConstant[] } | undefined;

function constantsOf(item: KernelCase, indices: readonly number[]): readonly StoredConstant[] {
  if (lastConstants?.item !== item) {
    const list = indices.map((index): StoredConstant => {
      const shape = item.operands[index] ?? [];
      const dtype = operandType(item.problem, index);
      const tensor = seeded(dtype, shape, index + 1);
      const stored = index === 1 && tensor.dtype === "float32" ? rounded(tensor as Tensor<"float32">, item) : undefined;
      return stored ?? { tensor, storage: undefined };
    });
    lastConstants = { item, list };
  }
  return lastConstants.list;
}

export function bindCase(family: Family<Problem>, variant: Variant, item: KernelCase): BoundCase {
  const { problem } = item;
  const contents = new Map<Buffer, Uint8Array>();
  const packedOperands = family.packedOperands(problem);
  const operands = item.operands.map((_, index) => {
    if (packedOperands.includes(index)) return undefined;
    const view = viewOf(family, item, index);
    const { dtype } = view;
    contents.set(view.buffer, bytesOf(seeded(dtype, [extent(view.buffer.bytes) / byteSize[dtype]], index + 1)));
    return view;
  });
  let packed: Buffer | undefined;
  if (family.pack !== undefined && packedOperands.length > 0) {
    const constants = constantsOf(item, packedOperands);
    const { bytes } = family.pack(
      variant,
      problem,
      constants.map(({ tensor }) => tensor),
      constants.map(({ storage }) => storage),
    );
    packed = { kind: "weight", name: "packed", dtype: "uint8", bytes: bytes.length };
    contents.set(packed, bytes);
  }
  const scratchBytes = family.scratchBytes?.(variant, problem) ?? 0;
  const scratch: Buffer | undefined =
    scratchBytes === 0 ? undefined : { kind: "scratch", name: "scratch", dtype: "uint8", bytes: scratchBytes };
  const outputs = outputsOf(item).map(({ dtype, shape }, index) => {
    const buffer: Buffer = { kind: "output", name: `output ${index}`, dtype, bytes: denseBytes(dtype, shape) };
    return denseView(buffer, dtype, shape);
  });
  return { step: family.bind(variant, problem, operands, outputs, packed, scratch), contents };
}

type Walk = (first: number, begin: number, last: number, end: number) => void;

export interface LoadedCase {
  readonly walk: Walk;
  readonly recordBytes: number;
}

/** Buffers one after another behind `records` copies of the step's record. Undefined where the target cannot run. */
export function instantiate(
  { step, contents }: BoundCase,
  target: WasmTarget,
  records: number,
  range: number,
): LoadedCase | undefined {
  const recordBytes = 4 * (recordHeaderWords + step.arguments.length);
  const places = new Map<Buffer, number>();
  let end = recordsAt + records * recordBytes;
  for (const argument of step.arguments) {
    if (argument.kind !== "address" || places.has(argument.buffer)) continue;
    const start = Math.ceil(end / alignment) * alignment;
    places.set(argument.buffer, start);
    end = start + extent(argument.buffer.bytes);
  }
  const pages = Math.ceil((end + alignment) / pageBytes);
  const code = generateModule([step.kernel], target, pages) as Uint8Array<ArrayBuffer>;
  if (!WebAssembly.validate(code)) return undefined;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const bytes = new Uint8Array(memory.buffer);
  for (const [buffer, content] of contents) bytes.set(content, places.get(buffer) ?? 0);
  const words = new DataView(memory.buffer);
  for (let record = 0; record < records; record++) {
    const start = recordsAt + record * recordBytes;
    words.setInt32(start + 4, range, true);
    words.setInt32(start + 8, recordBytes, true);
    step.arguments.forEach((argument, index) => {
      const at = start + 4 * (recordHeaderWords + index);
      if (argument.kind === "float") words.setFloat32(at, argument.value, true);
      else if (argument.kind === "integer") words.setInt32(at, extent(argument.value), true);
      else words.setInt32(at, (places.get(argument.buffer) ?? 0) + extent(argument.offset), true);
    });
  }
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), { env: { memory } });
  return { walk: exports.walk as Walk, recordBytes };
}
