/**
 * Element types of two and four bits: their tensors are unpacked to int8 or uint8, and the few operators to which the
 * difference matters say it in an attribute.
 */
import { viewOf } from "../../../runtime/format/tensor.ts";
import { integerAttribute } from "../../graph/attribute.ts";
import type { Attributes } from "../../graph/graph.ts";
import { type SmallType, smallTypeOfCode } from "./data-type.ts";
import type { OnnxGraph } from "./model.ts";

/** Bytes that `count` elements take in a file. */
export const packedBytes = (count: number, { bits }: SmallType): number => Math.ceil((count * bits) / 8);

/** `count` elements, the first in the lowest bits of the first byte. */
export function unpack(bytes: Uint8Array, count: number, { bits, dtype }: SmallType): Int8Array | Uint8Array {
  const data = viewOf(dtype, new ArrayBuffer(count), 0, count);
  const perByte = 8 / bits;
  const unused = 32 - bits;
  for (let index = 0; index < count; index++) {
    const byte = bytes[Math.floor(index / perByte)] as number;
    const raised = (byte >>> ((index % perByte) * bits)) << unused;
    data[index] = dtype === "int8" ? raised >> unused : raised >>> unused;
  }
  return data;
}

/** Names of inputs and initialisers of such a type, with its code. */
export function smallTypesOf(graph: OnnxGraph): ReadonlyMap<string, number> {
  const types = new Map<string, number>();
  for (const { name, type } of graph.inputs)
    if (type.kind === "tensor" && smallTypeOfCode(type.elementType)) types.set(name, type.elementType);
  for (const { name, dataType } of graph.initializers) if (smallTypeOfCode(dataType)) types.set(name, dataType);
  return types;
}

interface Head<V> {
  readonly op: string;
  readonly inputs: readonly V[];
  readonly attributes: Attributes;
}

/**
 * A node whose input i has the element type `codeOf(i)` in the file (undefined: not a small one): what QuantizeLinear takes from
 * its zero point and CastLike from its pattern becomes an attribute; GatherBlockQuantized learns that its data are not bytes.
 */
export function withSmallTypes<V>(head: Head<V>, codeOf: (index: number) => number | undefined): Head<V> {
  const named = (index: number, name: string, op = head.op, inputs = head.inputs): Head<V> => {
    const code = codeOf(index);
    return code === undefined
      ? head
      : { ...head, op, inputs, attributes: { ...head.attributes, [name]: integerAttribute(code) } };
  };
  switch (head.op) {
    case "QuantizeLinear":
    case "com.microsoft.QuantizeLinear":
      return named(2, "output_dtype");
    case "CastLike":
      return named(1, "to", "Cast", head.inputs.slice(0, 1));
    case "com.microsoft.GatherBlockQuantized":
      return named(0, "data_type");
    default:
      return head;
  }
}
