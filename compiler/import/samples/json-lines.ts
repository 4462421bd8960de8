/**
 * Samples as JSON lines: one object a line, from the input's name to nested arrays of numbers or to
 * { data: [flat numbers], shape: […], dtype?: "int64" }. Empty lines are skipped.
 */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import { type DType, dtypes } from "../../../runtime/format/dtype.ts";
import { elementCount, type Tensor, tensorOf } from "../../../runtime/format/tensor.ts";

/** `dtypeOf` says what an input takes. Throws option-invalid naming file, line and input. */
export function readJsonLines(
  text: string,
  name: string,
  dtypeOf: (input: string) => DType | undefined,
): readonly Readonly<Record<string, Tensor>>[] {
  return text.split("\n").flatMap((line, index) => {
    if (line.trim() === "") return [];
    const where = `${name}:${index + 1}`;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (cause) {
      throw wrong(where, "the line is not JSON", "an object", cause instanceof Error ? cause.message : "");
    }
    if (!isObject(value)) throw wrong(where, "the line is not an object", "input name -> numbers", typeof value);
    return [
      Object.fromEntries(
        Object.entries(value).map(([input, item]) => [
          input,
          tensorFromJson(item, `${where}, ${input}`, dtypeOf(input)),
        ]),
      ),
    ];
  });
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function wrong(where: string, message: string, expected: string, received: string): LeafcutterError {
  return new LeafcutterError({
    code: "option-invalid",
    where,
    message,
    expected,
    received,
    advice:
      'Write each sample as one line, e.g. {"x": [[1, 2], [3, 4]]} or {"x": {"data": [1, 2, 3, 4], "shape": [2, 2]}}.',
  });
}

function tensorFromJson(value: unknown, where: string, portType: DType | undefined): Tensor {
  if (!isObject(value)) {
    const shape: number[] = [];
    for (let inner = value; Array.isArray(inner); inner = inner[0] as unknown) shape.push(inner.length);
    return tensorOf(portType ?? "float32", shape, flatten(value, shape, where));
  }
  const { data, shape, dtype } = value;
  const isShape = Array.isArray(shape) && shape.every((extent) => Number.isInteger(extent) && extent >= 0);
  if (!isShape) throw wrong(where, "shape is wrong", "a list of extents", JSON.stringify(shape) ?? "nothing");
  const type = dtype === undefined ? (portType ?? "float32") : dtypes.find((known) => known === dtype);
  if (type === undefined) throw wrong(where, "dtype is not known", dtypes.join(", "), String(dtype));
  const extents = shape as readonly number[];
  const count = elementCount(extents);
  if (!Array.isArray(data) || data.length !== count)
    throw wrong(where, "data does not fill the shape", `${count} numbers`, `${Array.isArray(data) ? data.length : 0}`);
  return tensorOf(type, extents, flatten(data, [count], where));
}

function flatten(value: unknown, shape: readonly number[], where: string): readonly number[] {
  const flat: number[] = [];
  const visit = (item: unknown, depth: number): void => {
    if (Array.isArray(item) && item.length === shape[depth])
      for (const child of item as unknown[]) visit(child, depth + 1);
    else if (depth === shape.length && (typeof item === "number" || typeof item === "boolean")) flat.push(Number(item));
    else
      throw wrong(
        where,
        "the arrays are ragged or hold something else",
        `numbers in the shape [${shape.join(", ")}]`,
        JSON.stringify(item) ?? "nothing",
      );
  };
  visit(value, 0);
  return flat;
}
