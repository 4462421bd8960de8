/**
 * Samples of a model's inputs, checked against what the model takes, with the class and the group of each where known.
 * Errors name the sample: too few, an input that is missing or has another type or shape, NaN and infinity, labels or
 * groups that are not as many as the samples.
 */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import { type DType, isFloat } from "../../../runtime/format/dtype.ts";
import { Sha256 } from "../../../runtime/format/sha256.ts";
import { type Tensor, tensorOf } from "../../../runtime/format/tensor.ts";
import { readerOf } from "../../../runtime/reference/element.ts";
import { type Dim, formatDim } from "../../graph/dimension.ts";

/** One run's inputs by name. */
export type InputSample = Readonly<Record<string, Tensor>>;

export interface SampleSet {
  readonly samples: readonly InputSample[];
  /** The right class of each. */
  readonly labels?: readonly number[];
  /** The slice that each belongs to. */
  readonly groups?: readonly string[];
  /** SHA-256 of everything above, in hexadecimal digits. */
  readonly hash: string;
}

/** An input of the model. */
export interface SamplePort {
  readonly name: string;
  readonly type: { readonly dtype: DType; readonly shape: readonly Dim[] };
}

export interface UncheckedSamples {
  readonly samples: readonly InputSample[];
  readonly labels?: readonly number[] | undefined;
  readonly groups?: readonly string[] | undefined;
}

/** Throws option-invalid. `where` names the source; `least` is how many samples are needed. */
export function checkSamples(
  { samples, labels, groups }: UncheckedSamples,
  ports: readonly SamplePort[],
  where: string,
  least = 1,
): SampleSet {
  if (samples.length < least)
    throw refuse(where, "there are too few samples", `at least ${least}`, `${samples.length}`);
  for (const [what, list] of [
    ["labels", labels],
    ["groups", groups],
  ] as const)
    if (list && list.length !== samples.length)
      throw refuse(where, `the ${what} do not match the samples`, `${samples.length} ${what}`, `${list.length}`);
  const wrongLabel = labels?.find((label) => !Number.isInteger(label) || label < 0);
  if (wrongLabel !== undefined) throw refuse(where, "a label is no class", "0, 1, 2, …", `${wrongLabel}`);
  const checked = samples.map((sample, index) => checkSample(sample, ports, `${where}, sample ${index}`));
  return {
    samples: checked,
    ...(labels ? { labels } : {}),
    ...(groups ? { groups } : {}),
    hash: hashOf(checked, labels, groups),
  };
}

function checkSample(sample: InputSample, ports: readonly SamplePort[], where: string): InputSample {
  const unknown = Object.keys(sample).find((name) => ports.every((port) => port.name !== name));
  const names = ports.map(({ name }) => name).join(", ");
  if (unknown !== undefined) throw refuse(where, "the model has no such input", names, unknown);
  return Object.fromEntries(
    ports.map(({ name, type }) => {
      const tensor = sample[name];
      if (!tensor) throw refuse(where, "an input is missing", name, Object.keys(sample).join(", ") || "nothing");
      const { shape } = tensor;
      const fits =
        shape.length === type.shape.length &&
        type.shape.every((extent, axis) => typeof extent !== "number" || extent === shape[axis]);
      if (!fits)
        throw refuse(
          where,
          `input ${name} has another shape`,
          `[${type.shape.map(formatDim).join(", ")}]`,
          `[${shape.join(", ")}]`,
        );
      checkFinite(tensor, `${where}, input ${name}`);
      return [name, asType(tensor, type.dtype, `${where}, input ${name}`)];
    }),
  );
}

function checkFinite(tensor: Tensor, where: string): void {
  if (!isFloat(tensor.dtype)) return;
  const read = readerOf(tensor);
  for (let i = 0; i < tensor.data.length; i++) {
    const value = Number(read(i));
    if (!Number.isFinite(value)) throw refuse(where, "a value is not finite", "numbers", `${value} at element ${i}`);
  }
}

/** float64 becomes float32: files written by NumPy hold it by default. */
function asType(tensor: Tensor, dtype: DType, where: string): Tensor {
  if (tensor.dtype === dtype) return tensor;
  if (tensor.dtype === "float64" && dtype === "float32")
    return tensorOf(dtype, tensor.shape, tensor.data as Float64Array);
  throw refuse(where, "the element type is another one", dtype, tensor.dtype);
}

function refuse(where: string, message: string, expected: string, received: string): LeafcutterError {
  return new LeafcutterError({
    code: "option-invalid",
    where,
    message,
    expected,
    received,
    advice: "Check the samples, or leave them out to calibrate without data.",
  });
}

function hashOf(
  samples: readonly InputSample[],
  labels: readonly number[] | undefined,
  groups: readonly string[] | undefined,
): string {
  const hash = new Sha256();
  const text = (value: unknown): void => void hash.update(new TextEncoder().encode(`${JSON.stringify(value)}\n`));
  for (const sample of samples)
    for (const name of Object.keys(sample).sort()) {
      const { dtype, shape, data } = sample[name] as Tensor;
      text([name, dtype, shape]);
      hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
  text(labels ?? null);
  text(groups ?? null);
  return Array.from(hash.digest(), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
