/** The value of a Constant node, in each of its forms. */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import { type Tensor, tensorOf } from "../../../runtime/format/tensor.ts";
import type { ByteSource } from "../source.ts";
import { malformed } from "./message.ts";
import type { OnnxNode } from "./model.ts";
import { loadTensor } from "./tensor.ts";

/** Throws model-unsupported for text and sparse values, model-invalid for none. */
export async function constantOf(node: OnnxNode, source: ByteSource, where: string): Promise<Tensor> {
  for (const [name, attribute] of node.attributes) {
    if (name === "value" && attribute.kind === "tensor") return loadTensor(attribute.value, source);
    if (name === "value_float" && attribute.kind === "float") return tensorOf("float32", [], [attribute.value]);
    if (name === "value_floats" && attribute.kind === "floats")
      return tensorOf("float32", [attribute.value.length], attribute.value);
    // Integers beyond 2^53 arrive as doubles: the ends of the int64 range are meant.
    if (name === "value_int" && attribute.kind === "integer") return tensorOf("int64", [], [attribute.value]);
    if (name === "value_ints" && attribute.kind === "integers")
      return tensorOf("int64", [attribute.value.length], attribute.value);
    if (name.startsWith("value_string") || name === "sparse_value")
      throw new LeafcutterError({
        code: "model-unsupported",
        where,
        message: `a constant given as ${name} is not supported`,
        expected: "a dense tensor of numbers",
        received: name,
      });
  }
  throw malformed(where, "the constant has no value", "one of value, value_float, value_floats, value_int, value_ints");
}
