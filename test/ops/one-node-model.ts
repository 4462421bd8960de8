/** An operator case as a model of one node, and what onnxruntime-web makes of it: an oracle that shares nothing with Leafcutter. */
import * as ort from "onnxruntime-web/wasm";
import type { Attribute } from "../../compiler/graph/graph.ts";
import type { DType } from "../../runtime/format/dtype.ts";
import type { Tensor, TensorArray } from "../../runtime/format/tensor.ts";
import { type AttributeFields, modelBytes } from "../import/onnx-writer.ts";
import { inferCall, type NodeCall } from "./execute.ts";

const typeCodes: Partial<Record<DType, number>> = {
  float32: 1,
  int8: 3,
  uint8: 2,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float64: 11,
};

function attributeFields(attribute: Attribute): AttributeFields {
  switch (attribute.kind) {
    case "integer":
      return { i: attribute.value };
    case "float":
      return { f: attribute.value };
    case "string":
      return { s: attribute.value };
    case "integers":
      return { ints: attribute.value };
    case "floats":
      return { floats: attribute.value };
    case "strings":
      return { strings: attribute.value };
    default:
      throw new RangeError(`attributes of kind ${attribute.kind} are not written`);
  }
}

/** The ModelProto of one node; input i is called "x<i>", output i "y<i>". */
export function oneNodeModel(call: NodeCall): Uint8Array {
  const names = call.inputs.map((tensor, index) => (tensor ? `x${index}` : ""));
  const outputs = inferCall(call, "constants").types.map(({ dtype }, index) => {
    const type = typeCodes[dtype];
    if (!type) throw new RangeError(`tensors of type ${dtype} are not written`);
    return { name: `y${index}`, type };
  });
  const attributes = Object.fromEntries(
    Object.entries(call.attributes).map(([name, attribute]) => [name, attributeFields(attribute)]),
  );
  const [, domain, op = call.op] = /^(com\.microsoft)\.(.*)$/.exec(call.op) ?? [];
  return modelBytes({
    // Operators of other domains live in a model of today.
    opset: domain === undefined ? call.version : 21,
    domains: domain === undefined ? [] : [domain],
    nodes: [
      {
        op,
        ...(domain === undefined ? {} : { domain }),
        inputs: names,
        outputs: outputs.map(({ name }) => name),
        attributes,
      },
    ],
    inputs: call.inputs.flatMap((tensor, index) => {
      const type = tensor && typeCodes[tensor.dtype];
      return tensor && type ? [{ name: `x${index}`, type, dims: tensor.shape }] : [];
    }),
    outputs,
  });
}

/** The outputs that onnxruntime-web computes. */
export async function runOnnxruntime(call: NodeCall): Promise<readonly Tensor[]> {
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "fatal";
  const session = await ort.InferenceSession.create(oneNodeModel(call));
  try {
    const feeds = call.inputs.flatMap((tensor, index) =>
      tensor
        ? [[`x${index}`, new ort.Tensor(tensor.dtype as "float32", tensor.data as Float32Array, tensor.shape)]]
        : [],
    );
    const results = await session.run(Object.fromEntries(feeds));
    return session.outputNames.map((name) => {
      const { type, dims, data } = results[name] as ort.Tensor;
      return { dtype: type as DType, shape: dims, data: data as TensorArray };
    });
  } finally {
    await session.release();
  }
}
