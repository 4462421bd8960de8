/**
 * Host steps: operators without a generated kernel, computed by their reference function on linear memory.
 * Reference functions are imported one by one, only those that a program names.
 */
import { LeafcutterError } from "../format/diagnostic.ts";
import { byteSize } from "../format/dtype.ts";
import { evaluateExtent } from "../format/extent.ts";
import type { ReferenceAttributeData } from "../format/host-step.ts";
import type { HostOperand, HostStep, Program } from "../format/program.ts";
import { allocate, elementCount, type Tensor, viewOf } from "../format/tensor.ts";
import type { Reference, ReferenceAttribute } from "../reference/reference.ts";
import { references } from "../reference/table.ts";

/**
 * Imports every reference function that the program's host steps name; what it gives binds them. Throws program-invalid
 * for a name that is not in the table.
 */
export async function loadHostSteps(program: Program): Promise<(step: HostStep) => BoundHostStep> {
  const names = new Set(program.steps.flatMap((step) => (step.kind === "host" ? [step.reference] : [])));
  const entries = [...names].map(async (name) => {
    const load = Object.hasOwn(references, name) ? references[name] : undefined;
    if (load !== undefined) return [name, await load()] as const;
    throw new LeafcutterError({
      code: "program-invalid",
      message: "the program has a host step that this runtime does not know",
      where: name,
      advice: "Compile the model again with the compiler of this version.",
    });
  });
  const loaded = new Map(await Promise.all(entries));
  return (step) => new BoundHostStep(step, loaded);
}

function decodeBase64(text: string): Uint8Array {
  const binary = atob(text);
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** Plain data with the numbers that travelled by name. */
function withNumbers(data: unknown): unknown {
  if (Array.isArray(data)) return data.map(withNumbers);
  if (typeof data !== "object" || data === null) return data;
  const fields = data as Readonly<Record<string, unknown>>;
  if (fields.kind === "number") return Number(fields.text);
  return Object.fromEntries(Object.entries(fields).map(([name, item]) => [name, withNumbers(item)]));
}

/** An attribute as the reference functions take it: tensors and named numbers decoded. */
export function decodeAttribute(data: ReferenceAttributeData): ReferenceAttribute {
  if (typeof data !== "object" || !("kind" in data) || data.kind !== "tensor")
    return withNumbers(data) as ReferenceAttribute;
  const tensor = allocate(data.dtype, elementCount(data.shape));
  const bytes = decodeBase64(data.data);
  new Uint8Array(tensor.buffer).set(bytes.subarray(0, tensor.byteLength));
  return { dtype: data.dtype, shape: data.shape, data: tensor };
}

/** A host step with its function, ready to run any number of times. */
export class BoundHostStep {
  readonly step: HostStep;
  readonly #reference: Reference;
  readonly #attributes: Readonly<Record<string, ReferenceAttribute>>;

  /** @param loaded functions by their key in the reference table. */
  constructor(step: HostStep, loaded: ReadonlyMap<string, Reference>) {
    const reference = loaded.get(step.reference);
    if (reference === undefined) {
      throw new LeafcutterError({
        code: "internal",
        message: "the reference function of a host step is not loaded",
        where: `${step.name} (${step.reference})`,
      });
    }
    this.step = step;
    this.#reference = reference;
    this.#attributes = Object.fromEntries(
      Object.entries(step.attributes).map(([name, data]) => [name, decodeAttribute(data)]),
    );
  }

  /** Reads the inputs from `memory`, computes, writes the outputs back. */
  run(memory: WebAssembly.Memory, bindings: ReadonlyMap<string, number>): void {
    const { inputs, outputs, version } = this.step;
    const tensor = ({ dtype, shape, address }: HostOperand): Tensor => {
      const extents = shape.map((extent) => evaluateExtent(extent, bindings));
      return { dtype, shape: extents, data: viewOf(dtype, memory.buffer, address, elementCount(extents)) };
    };
    const results = this.#reference({
      inputs: inputs.map((input) => (input === null ? undefined : tensor(input))),
      attributes: this.#attributes,
      version,
      outputCount: outputs.length,
    });
    for (const [index, output] of outputs.entries()) this.#store(tensor(output), results[index], memory);
  }

  #store(place: Tensor, result: Tensor | undefined, memory: WebAssembly.Memory): void {
    const same = result !== undefined && result.dtype === place.dtype && result.shape.join() === place.shape.join();
    if (!same) {
      const show = (tensor: Tensor): string => `${tensor.dtype} [${tensor.shape.join(", ")}]`;
      throw new LeafcutterError({
        code: "program-invalid",
        message: "a host step returned another tensor than the program planned",
        where: `${this.step.name} (${this.step.op})`,
        expected: show(place),
        received: result === undefined ? "nothing" : show(result),
      });
    }
    const { buffer, byteOffset } = result.data;
    const bytes = elementCount(result.shape) * byteSize[result.dtype];
    new Uint8Array(memory.buffer, place.data.byteOffset, bytes).set(new Uint8Array(buffer, byteOffset, bytes));
  }
}
