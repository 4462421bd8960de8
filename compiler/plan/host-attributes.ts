/** A node's attributes as plain data: for reference functions (with tensors) and for host steps (JSON). */
import type { ReferenceAttributeData } from "../../runtime/format/host-step.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { Node } from "../graph/graph.ts";
import { referenceAttributes } from "../ops/attributes.ts";

const isTensor = (value: object): value is Tensor => "dtype" in value && "data" in value;

function encode(tensor: Tensor): ReferenceAttributeData {
  const { buffer, byteOffset, byteLength } = tensor.data;
  let text = "";
  for (const byte of new Uint8Array(buffer, byteOffset, byteLength)) text += String.fromCharCode(byte);
  return { kind: "tensor", dtype: tensor.dtype, shape: tensor.shape, data: btoa(text) };
}

/** JSON has no infinities and no NaN: they travel by name, wherever in a list or an expression they stand. */
function withNamedNumbers(value: unknown): unknown {
  if (typeof value === "number") return Number.isFinite(value) ? value : { kind: "number", text: String(value) };
  if (Array.isArray(value)) return value.map(withNamedNumbers);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, withNamedNumbers(item)]));
}

/** The attributes of a host step. */
export function hostAttributes(node: Node): Readonly<Record<string, ReferenceAttributeData>> {
  return Object.fromEntries(
    Object.entries(referenceAttributes(node)).map(([name, value]) => [
      name,
      typeof value === "object" && !Array.isArray(value) && isTensor(value)
        ? encode(value)
        : (withNamedNumbers(value) as ReferenceAttributeData),
    ]),
  );
}
