/**
 * Constants on their way into the package: each stored once, in the form its readers want, in order of first use.
 */
import { numberToFloat16 } from "../../runtime/format/half.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { isBlockStorage } from "../graph/blocks.ts";
import type { Storage, Value } from "../graph/graph.ts";
import type { Buffer, Packed, PackedReading, View } from "../kernels/contract.ts";
import type { PlannedWeight } from "./plan.ts";
import { packTable } from "./table.ts";
import { denseView } from "./view.ts";

/** Where a raw constant may be cut. */
const rawUnit = 64;

export interface StoredConstant {
  readonly kind: "plain";
  readonly view: View;
  /** int8 only: scales along `axis`. */
  readonly scales?: View;
  readonly axis: number;
}

/** A constant that is read by coordinates only. */
export interface PackedConstant {
  readonly kind: "packed";
  readonly reading: PackedReading;
}

export class WeightStore {
  readonly #all: PlannedWeight[] = [];
  readonly #packed: {
    readonly values: readonly (Value | undefined)[];
    readonly key: string;
    readonly buffer: Buffer;
  }[] = [];
  readonly #raw = new Map<Value, View>();
  readonly #stored = new Map<Value, StoredConstant | PackedConstant>();

  get all(): readonly PlannedWeight[] {
    return this.#all;
  }

  /** The buffer of constants in a family's packed layout; `key` tells packings of the same values apart. */
  packed(values: readonly (Value | undefined)[], key: string, pack: () => Packed): Buffer {
    const known = this.#packed.find(
      (entry) => entry.key === key && entry.values.every((value, index) => value === values[index]),
    );
    if (known) return known.buffer;
    const { bytes, unit } = pack();
    const names = values.flatMap((value) => (value ? [value.name] : []));
    const buffer = this.#add(names, bytes, unit);
    this.#packed.push({ values, key, buffer });
    return buffer;
  }

  /** A constant in its own element type, for readers that know no other storage. */
  raw(value: Value, tensor: Tensor): View {
    const known = this.#raw.get(value);
    if (known) return known;
    const { buffer: memory, byteOffset, byteLength } = tensor.data;
    const buffer = this.#add([value.name], new Uint8Array(memory, byteOffset, byteLength), rawUnit);
    const view = denseView(buffer, tensor.dtype, tensor.shape);
    this.#raw.set(value, view);
    return view;
  }

  /** A float32 constant in its storage. */
  stored(value: Value, tensor: Tensor, storage: Storage): StoredConstant | PackedConstant {
    const known = this.#stored.get(value);
    if (known) return known;
    const values = tensor.data as Float32Array;
    let stored: StoredConstant | PackedConstant;
    if (isBlockStorage(storage)) {
      const { bytes, readIn } = packTable(values, tensor.shape, storage);
      stored = { kind: "packed", reading: readIn(this.#add([value.name], bytes, rawUnit)) };
    } else if (storage.kind === "float16") {
      const halves = Uint16Array.from(values, numberToFloat16);
      const buffer = this.#add([value.name], new Uint8Array(halves.buffer), rawUnit);
      stored = { kind: "plain", view: denseView(buffer, "float16", tensor.shape), axis: 0 };
    } else {
      const { axis, scales } = storage;
      const inner = tensor.shape.slice(axis + 1).reduce((product, extent) => product * extent, 1);
      const count = tensor.shape[axis] ?? 1;
      const quantised = new Int8Array(values.length);
      for (let i = 0; i < values.length; i++) {
        const scale = scales[Math.floor(i / inner) % count] || 1;
        quantised[i] = Math.round((values[i] as number) / scale);
      }
      const buffer = this.#add([value.name], new Uint8Array(quantised.buffer), rawUnit);
      const scaleBuffer = this.#add([value.name], new Uint8Array(scales.slice().buffer), rawUnit);
      stored = {
        kind: "plain",
        view: denseView(buffer, "int8", tensor.shape),
        scales: denseView(scaleBuffer, "float32", [count]),
        axis,
      };
    }
    this.#stored.set(value, stored);
    return stored;
  }

  #add(constants: readonly string[], bytes: Uint8Array, unit: number): Buffer {
    const buffer: Buffer = {
      kind: "weight",
      name: constants[0] ?? "constant",
      dtype: "uint8",
      bytes: bytes.byteLength,
    };
    this.#all.push({ buffer, bytes, unit, constants });
    return buffer;
  }
}
