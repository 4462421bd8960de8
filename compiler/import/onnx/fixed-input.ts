/**
 * Values of graph inputs that shapes depend on (axes, sizes, pads): what the caller binds, else what the data set
 * beside the model has. The model is then compiled for exactly these values.
 */
import { closest, LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import { type DType, isBigInteger } from "../../../runtime/format/dtype.ts";
import { numberToBfloat16, numberToFloat16 } from "../../../runtime/format/half.ts";
import { mostFixedElements } from "../../../runtime/format/manifest.ts";
import { elementCount, type Tensor, tensorOf } from "../../../runtime/format/tensor.ts";
import { matchPorts } from "../match-ports.ts";
import type { SampleShape } from "./dimensions.ts";
import type { OnnxDim } from "./model.ts";

/** By input name, elements in row-major order. */
export type InputValues = Readonly<Record<string, readonly number[]>>;

interface TypedInput {
  readonly name: string;
  readonly dtype: DType;
  readonly dims: readonly OnnxDim[] | undefined;
}

/** What the caller binds, as tensors. Throws option-invalid. */
export function givenValues(inputs: readonly TypedInput[], values: InputValues): ReadonlyMap<string, Tensor> {
  return new Map(
    Object.entries(values).map(([name, elements]) => {
      const input = inputs.find((other) => other.name === name);
      return [name, input ? tensorFor(input, elements) : unknownInput(name, inputs)] as const;
    }),
  );
}

const invalid = (name: string, message: string, expected: string, received: string): LeafcutterError =>
  new LeafcutterError({ code: "option-invalid", where: `value of ${name}`, message, expected, received });

function unknownInput(name: string, inputs: readonly TypedInput[]): never {
  const names = inputs.map((input) => input.name);
  const near = closest(name, names);
  throw new LeafcutterError({
    code: "option-invalid",
    where: `value of ${name}`,
    message: "the model has no such input",
    expected: names.join(", "),
    ...(near === undefined ? {} : { advice: `Did you mean ${near}?` }),
  });
}

/** One open extent follows from the number of elements. */
function tensorFor({ name, dtype, dims }: TypedInput, elements: readonly number[]): Tensor {
  const declared = dims ?? [undefined];
  const product = declared.reduce<number>((sum, dim) => (typeof dim === "number" && dim >= 0 ? sum * dim : sum), 1);
  const open = declared.filter((dim) => typeof dim !== "number" || dim < 0).length;
  const shape = declared.map((dim) => (typeof dim === "number" && dim >= 0 ? dim : elements.length / product));
  if (open > 1 || elementCount(shape) !== elements.length || !shape.every(Number.isInteger))
    throw invalid(
      name,
      "the number of elements does not fit the input",
      `[${declared.join(", ")}]`,
      `${elements.length}`,
    );
  if (elements.length > mostFixedElements)
    throw invalid(
      name,
      "the value is too long to be fixed",
      `at most ${mostFixedElements} elements`,
      `${elements.length}`,
    );
  const bits = dtype === "float16" ? numberToFloat16 : dtype === "bfloat16" ? numberToBfloat16 : undefined;
  if (isBigInteger(dtype) && !elements.every(Number.isSafeInteger))
    throw invalid(name, "the value does not fit the input's type", `whole numbers for ${dtype}`, elements.join(","));
  const tensor = tensorOf(dtype, shape, bits ? elements.map(bits) : elements);
  if (!isPlain(tensor))
    throw invalid(name, "the value does not fit the input's type", "finite numbers", elements.join(","));
  return tensor;
}

/** Whether every element is a number that JSON holds exactly. */
function isPlain({ dtype, data }: Tensor): boolean {
  const safe = isBigInteger(dtype) ? Number.isSafeInteger : Number.isFinite;
  return Array.from(data as ArrayLike<number | bigint>, Number).every(safe);
}

/**
 * The values of `askedFor` in the sample. `cause` is the failure of the node that asked: rethrown when an input
 * cannot be fixed at all; part of a value-unbound when there is no sample.
 */
export function sampleValues(
  inputs: readonly TypedInput[],
  askedFor: readonly TypedInput[],
  samples: readonly SampleShape[],
  cause: LeafcutterError,
): ReadonlyMap<string, Tensor> {
  const matched = matchPorts(
    inputs.map(({ name }) => name),
    samples,
  );
  const found = new Map<string, Tensor>();
  const open: TypedInput[] = [];
  for (const input of askedFor) {
    const { shape, dtype, data } = matched.get(input.name) ?? {};
    const fixed = (input.dims ?? []).flatMap((dim) => (typeof dim === "number" && dim >= 0 ? [dim] : []));
    if ((shape ? elementCount(shape) : elementCount(fixed)) > mostFixedElements) throw cause;
    if (!shape || dtype !== input.dtype || !data) open.push(input);
    else {
      const tensor: Tensor = { dtype, shape, data };
      if (!isPlain(tensor)) throw cause;
      found.set(input.name, tensor);
    }
  }
  if (open.length === 0) return found;
  const { where, message } = cause.diagnostic;
  throw new LeafcutterError(
    {
      code: "value-unbound",
      where: where ?? "inputs",
      message: `${message}, and that depends on inputs whose values are not known`,
      expected: "the values for which to compile",
      received: open.map(({ name, dtype, dims }) => `${name} ${dtype}[${(dims ?? ["?"]).join(", ")}]`).join("; "),
      advice: `Give them: ${open.map(({ name }) => `--value ${name}=N,N`).join(" ")}, or put a data set beside the model.`,
    },
    { cause },
  );
}
