/** Products and convolutions with what onnxruntime's optimiser fuses into them: transposition, scale, addend, activation. */
import type { Tensor } from "../format/tensor.ts";
import * as activation from "./activation.ts";
import { add } from "./arithmetic.ts";
import { inputOf, listOf, numberOf, refuse, textOf } from "./call.ts";
import { conv } from "./conv.ts";
import { mapNumbers, zipTensors } from "./elementwise.ts";
import { tanh } from "./math.ts";
import { gemm, matmul } from "./matmul.ts";
import { permuted } from "./rearrange.ts";
import type { Reference, ReferenceAttribute, ReferenceCall } from "./reference.ts";

const apply = (
  reference: Reference,
  inputs: ReferenceCall["inputs"],
  attributes: ReferenceCall["attributes"] = {},
): Tensor => reference({ inputs, attributes, version: 6, outputCount: 1 })[0] as Tensor;

const activations: Readonly<Record<string, { readonly reference: Reference; readonly parameters: readonly string[] }>> =
  {
    Relu: { reference: activation.relu, parameters: [] },
    Tanh: { reference: tanh, parameters: [] },
    Sigmoid: { reference: activation.sigmoid, parameters: [] },
    LeakyRelu: { reference: activation.leakyRelu, parameters: ["alpha"] },
    Clip: { reference: activation.clip, parameters: ["min", "max"] },
    HardSigmoid: { reference: activation.hardSigmoid, parameters: ["alpha", "beta"] },
  };

/** The activation that attribute `activation` names, its parameters being `parameters` in order. */
function activated(call: ReferenceCall, x: Tensor, parameters: readonly number[]): Tensor {
  const name = textOf(call, "activation", "");
  if (name === "") return x;
  const known = activations[name] ?? refuse("the activation is not known", Object.keys(activations).join(", "), name);
  const entries = known.parameters.flatMap((parameter, index): [string, ReferenceAttribute][] => {
    const value = parameters[index];
    return value === undefined ? [] : [[parameter, value]];
  });
  return apply(known.reference, [x], Object.fromEntries(entries));
}

/** Inputs: x, weights, bias, an addend of the shape of the result. */
export const fusedConv: Reference = (call) => {
  const [y] = conv({ ...call, inputs: call.inputs.slice(0, 3), version: 11 });
  const addend = call.inputs[3];
  const total = addend ? apply(add, [y, addend]) : (y as Tensor);
  return [activated(call, total, listOf(call, "activation_params") ?? [])];
};

export const fusedGemm: Reference = (call) => {
  const [y] = gemm({ ...call, version: 13 });
  const parameters = ["activation_alpha", "activation_beta", "activation_gamma"].flatMap((name) =>
    call.attributes[name] === undefined ? [] : [numberOf(call, name, 0)],
  );
  return [activated(call, y as Tensor, parameters)];
};

/** The last two axes exchanged; a vector stays one. */
function turned(tensor: Tensor, exchange: boolean): Tensor {
  const rank = tensor.shape.length;
  if (!exchange || rank < 2) return tensor;
  const order = tensor.shape.map((_, axis) => (axis === rank - 1 ? rank - 2 : axis === rank - 2 ? rank - 1 : axis));
  return permuted(tensor, order);
}

export const fusedMatmul: Reference = (call) => {
  const operands = [
    turned(inputOf(call, 0), numberOf(call, "transA", 0) === 1),
    turned(inputOf(call, 1), numberOf(call, "transB", 0) === 1),
  ];
  const alpha = numberOf(call, "alpha", 1);
  return [mapNumbers(apply(matmul, operands), (value) => value * alpha)];
};

/** (x + bias) split in halves along the last axis: the first times the GELU of the second. */
export const biasSplitGelu: Reference = (call) => {
  const total = apply(add, [inputOf(call, 0), inputOf(call, 1)]);
  const width = (total.shape[total.shape.length - 1] ?? 0) / 2;
  const shape = [...total.shape.slice(0, -1), width];
  const half = (first: number): Tensor => {
    const data = total.data.filter((_, at) => Math.floor(at / width) % 2 === first);
    return { dtype: total.dtype, shape, data: data as never };
  };
  const gate = apply(activation.gelu, [half(1)]);
  return [zipTensors(half(0), gate, { float: (a, b) => a * b })];
};

/** x [batch, positions, channels] + bias [channels] + skip. */
export const biasAdd: Reference = (call) => [
  apply(add, [apply(add, [inputOf(call, 0), inputOf(call, 1)]), inputOf(call, 2)]),
];
