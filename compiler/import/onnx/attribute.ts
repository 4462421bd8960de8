/** Attributes of an ONNX node -> Attribute of the Graph. Refuses, naming the node, what the Graph cannot hold. */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import type { Attribute, Attributes } from "../../graph/graph.ts";
import type { ByteSource } from "../source.ts";
import { malformed } from "./message.ts";
import type { OnnxAttributes, OnnxAttributeValue } from "./model.ts";
import { loadTensor } from "./tensor.ts";

function refused(where: string, name: string, what: string): LeafcutterError {
  return new LeafcutterError({
    code: "model-unsupported",
    where,
    message: `attribute ${name} is ${what}, which is not supported`,
    expected: "a number, text, a list of them, or a tensor",
    advice: "Graphs belong to If, Loop and Scan; other operators have to be spelled out before export.",
  });
}

async function convert(
  attribute: OnnxAttributeValue,
  name: string,
  source: ByteSource,
  where: string,
): Promise<Attribute> {
  switch (attribute.kind) {
    case "float":
    case "integer":
    case "string":
    case "floats":
    case "integers":
    case "strings":
      return attribute;
    case "tensor":
      return { kind: "tensor", value: await loadTensor(attribute.value, source) };
    case "graph":
      throw refused(where, name, "a graph");
    case "reference":
      throw malformed(where, `attribute ${name} refers to a parameter outside a function`);
    case "other":
      throw refused(where, name, `a ${attribute.value}`);
  }
}

/** `where` names the node in errors. */
export async function convertAttributes(
  attributes: OnnxAttributes,
  source: ByteSource,
  where: string,
): Promise<Attributes> {
  const converted: [string, Attribute][] = [];
  for (const [name, attribute] of attributes) converted.push([name, await convert(attribute, name, source, where)]);
  return Object.fromEntries(converted);
}
