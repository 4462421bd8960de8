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

/** The attributes of a host step. */
export function hostAttributes(node: Node): Readonly<Record<string, ReferenceAttributeData>> {
  return Object.fromEntries(
    Object.entries(referenceAttributes(node)).map(([name, value]) => [
      name,
      typeof value === "object" && !Array.isArray(value) && isTensor(value)
        ? encode(value)
        : (value as ReferenceAttributeData),
    ]),
  );
}
