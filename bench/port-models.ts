/** ONNX files of the models that run-costs.ts runs. */
import { nameOf, type PortModel, portModels, slicedName } from "./measure/run-costs.ts";

const encoder = new TextEncoder();

function varint(value: number): readonly number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return [...bytes, rest];
}

/** A length-delimited field. */
const field = (number: number, ...content: readonly Uint8Array[]): Uint8Array => {
  const body = concat(content);
  return concat([Uint8Array.from([...varint(number * 8 + 2), ...varint(body.length)]), body]);
};
const integer = (number: number, value: number): Uint8Array =>
  Uint8Array.from([...varint(number * 8), ...varint(value)]);
const text = (number: number, value: string): Uint8Array => field(number, encoder.encode(value));

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

const float = 1;
const port = (number: 11 | 12, name: string, shape: readonly number[]): Uint8Array =>
  field(
    number,
    text(1, name),
    field(2, field(1, integer(1, float), field(2, ...shape.map((extent) => field(1, integer(1, extent)))))),
  );
const integers = (name: string, values: readonly number[]): Uint8Array =>
  field(5, text(1, name), ...values.map((value) => integer(8, value)), integer(20, 7));
const node = (
  op: string,
  inputs: readonly string[],
  output: string,
  ...attributes: readonly Uint8Array[]
): Uint8Array => field(1, ...inputs.map((name) => text(1, name)), text(2, output), text(4, op), ...attributes);
const zeros = (name: string, shape: readonly number[]): Uint8Array =>
  field(
    5,
    ...shape.map((extent) => integer(1, extent)),
    integer(2, float),
    text(8, name),
    field(9, new Uint8Array(4 * shape.reduce((product, extent) => product * extent, 1))),
  );
const model = (...graph: readonly Uint8Array[]): Uint8Array =>
  concat([integer(1, 4), field(7, ...graph, text(2, "synthetic")), field(8, integer(2, 9))]);

function portModel({ ports, floats, copies }: PortModel): Uint8Array {
  const names = Array.from({ length: ports }, (_, i) => `x${i}`);
  const inputs = names.map((name) => port(11, name, [floats]));
  if (copies)
    return model(
      ...names.map((name, i) => node("Identity", [name], `y${i}`)),
      ...inputs,
      ...names.map((_, i) => port(12, `y${i}`, [floats])),
    );
  const first = [integers("axes", [0]), integers("starts", [0]), integers("ends", [1])];
  return model(node("Slice", ["x0"], "y", ...first), ...inputs, port(12, "y", [1]));
}

const rows = 1024;
const columns = 256;
const products = 14;

/** One number, spread, through so many products of 67 million multiply-adds, and one number again. */
function slicedModel(): Uint8Array {
  const chain = Array.from({ length: products }, (_, i) => node("MatMul", [`v${i}`, "matrix"], `v${i + 1}`));
  const corner = [integers("axes", [0, 1]), integers("starts", [0, 0]), integers("ends", [1, 1])];
  return model(
    node("Add", ["x0", "spread"], "v0"),
    ...chain,
    node("Slice", [`v${products}`], "y", ...corner),
    zeros("spread", [rows, columns]),
    zeros("matrix", [columns, columns]),
    port(11, "x0", [1]),
    port(12, "y", [1, 1]),
  );
}

/** By name. */
export const syntheticModels = (): ReadonlyMap<string, Uint8Array> =>
  new Map([...portModels.map((item) => [nameOf(item), portModel(item)] as const), [slicedName, slicedModel()]]);
