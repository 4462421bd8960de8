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
  /** What is right for each: classes, or what a metric of the user's own reads. */
  readonly labels?: readonly unknown[];
  /** The slice that each belongs to. */
  readonly groups?: readonly string[];
  /** SHA-256 of everything above, in hexadecimal digits. */
  readonly hash: string;
}

/** An input of the model. */
export interface SamplePort {
  readonly name: string;
  readonly type: { readonly dtype: DType; readonly shape: readonly Dim[] };
  /** What it is where a sample does not say, if that follows from the others. */
  readonly follows?: (sample: InputSample) => Tensor | undefined;
}

export interface UncheckedSamples {
  readonly samples: readonly InputSample[];
  readonly labels?: readonly unknown[] | undefined;
  readonly groups?: readonly string[] | undefined;
  /** Of their files, for errors. */
  readonly names?: readonly string[] | undefined;
}

export interface SampleNeeds {
  /** How many are needed at least; default 1. */
  readonly least?: number | undefined;
  readonly labelsAre?: "classes" | "anything" | undefined;
}

/** Throws option-invalid. `where` names the source. */
export function checkSamples(
  { samples, labels, groups, names }: UncheckedSamples,
  ports: readonly SamplePort[],
  where: string,
  { least = 1, labelsAre = "classes" }: SampleNeeds = {},
): SampleSet {
  const nameOf = (index: number): string => `sample ${index}${names?.[index] ? ` (${names[index]})` : ""}`;
  if (samples.length < least)
    throw refuse(where, "there are too few samples", `at least ${least}; 32 or more are wise`, `${samples.length}`);
  for (const [what, list] of [
    ["labels", labels],
    ["groups", groups],
  ] as const)
    if (list && list.length !== samples.length)
      throw refuse(where, `the ${what} do not match the samples`, `${samples.length} ${what}`, `${list.length}`);
  const wrongLabel = labelsAre === "classes" ? (labels?.findIndex((label) => !isClass(label)) ?? -1) : -1;
  if (wrongLabel >= 0)
    throw refuse(
      `${where}, ${nameOf(wrongLabel)}`,
      "its label is no class",
      "0, 1, 2, …",
      JSON.stringify(labels?.[wrongLabel]) ?? "nothing",
      "Number the classes from 0, or give a metric that reads these labels (--metric).",
    );
  const checked = samples.map((sample, index) => checkSample(sample, ports, `${where}, ${nameOf(index)}`));
  return {
    samples: checked,
    ...(labels ? { labels } : {}),
    ...(groups ? { groups } : {}),
    hash: hashOf(checked, labels, groups),
  };
}

export const isClass = (label: unknown): label is number => Number.isInteger(label) && (label as number) >= 0;

function checkSample(sample: InputSample, ports: readonly SamplePort[], where: string): InputSample {
  const unknown = Object.keys(sample).find((name) => ports.every((port) => port.name !== name));
  const names = ports.map(({ name }) => name).join(", ");
  if (unknown !== undefined) throw refuse(where, "the model has no such input", names, unknown);
  return Object.fromEntries(
    ports.map(({ name, type, follows }) => {
      const tensor = sample[name] ?? follows?.(sample);
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

/** float64 becomes float32, and integers other integers that hold them: NumPy writes float64 and int64 by default. */
function asType(tensor: Tensor, dtype: DType, where: string): Tensor {
  if (tensor.dtype === dtype) return tensor;
  if (tensor.dtype === "float64" && dtype === "float32")
    return tensorOf(dtype, tensor.shape, tensor.data as Float64Array);
  const bounds = integerBounds[dtype];
  if (bounds && integerBounds[tensor.dtype]) {
    const read = readerOf(tensor);
    const values = Array.from({ length: tensor.data.length }, (_, i) => Number(read(i)));
    const beyond = values.findIndex((value) => value < bounds[0] || value > bounds[1]);
    if (beyond < 0) return tensorOf(dtype, tensor.shape, values);
    throw refuse(where, `a value does not fit ${dtype}`, bounds.join(" to "), `${values[beyond]} at element ${beyond}`);
  }
  throw refuse(where, "the element type is another one", dtype, tensor.dtype, `Save the array as ${dtype}.`);
}

/** Integers that numbers hold exactly. */
const integerBounds: Readonly<Partial<Record<DType, readonly [least: number, most: number]>>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  uint64: [0, Number.MAX_SAFE_INTEGER],
};

function refuse(
  where: string,
  message: string,
  expected: string,
  received: string,
  advice = "Check the samples, or leave them out to calibrate without data.",
): LeafcutterError {
  return new LeafcutterError({
    code: "option-invalid",
    where,
    message,
    expected,
    received,
    advice,
  });
}

function hashOf(
  samples: readonly InputSample[],
  labels: readonly unknown[] | undefined,
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
