/**
 * leafcutter.Attention: inference and lowering agree with the reference, and the reference with onnxruntime-web on the
 * graph of products, masks and Softmax that the operator stands for.
 */
import * as ort from "onnxruntime-web/wasm";
import { expect, it } from "vitest";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { modelBytes, type NodeFields } from "../import/onnx-writer.ts";
import type { OperatorCase } from "./case.ts";
import { attentionCases } from "./cases/attention.ts";
import { difference } from "./compare.ts";
import { executeLoops, executeReference, inferCall, type Knowledge } from "./execute.ts";

const textOf = (one: OperatorCase, name: string): string => String(one.attributes[name]?.value);
const numberOf = (one: OperatorCase, name: string): number | undefined => {
  const value = one.attributes[name]?.value;
  return typeof value === "number" ? value : undefined;
};

/** [B, 1, M, T]: 0 where a query may see a key, else -Infinity. */
function hiding(one: OperatorCase, batch: number, queries: number, keys: number): Float32Array {
  const lengths = one.inputs[4]?.data as Int32Array | undefined;
  const window = numberOf(one, "window") ?? Infinity;
  return Float32Array.from({ length: batch * queries * keys }, (_, index) => {
    const [t, m, b] = [index % keys, Math.floor(index / keys) % queries, Math.floor(index / (keys * queries))] as const;
    const length = lengths?.[b] ?? keys;
    const position = m + length - queries;
    const causal = numberOf(one, "causal") === 1;
    return t < length && (!causal || t <= position) && t > position - window ? 0 : -Infinity;
  });
}

/** The case as ONNX nodes: Transposes, a tile of the key-value heads, MatMul, Mul, Tanh, Add, Softmax, MatMul. */
async function runOnnxruntime(one: OperatorCase): Promise<Tensor> {
  const nodes: NodeFields[] = [];
  const feeds: Record<string, ort.Tensor> = {};
  const feed = (name: string, data: Float32Array, dims: readonly number[]): string => {
    feeds[name] = new ort.Tensor("float32", data, dims);
    return name;
  };
  const add = (op: string, inputs: readonly string[], attributes: NodeFields["attributes"] = {}): string => {
    const output = `v${nodes.length}`;
    nodes.push({ op, inputs, outputs: [output], attributes });
    return output;
  };
  const heads = (one.inputs[0] as Tensor).shape[textOf(one, "queryLayout").indexOf("H")] as number;
  /** [B, H, S, D] with every key-value head repeated for its group. */
  const operand = (index: number, name: string): string => {
    const tensor = one.inputs[index] as Tensor<"float32">;
    const layout = textOf(one, `${name}Layout`);
    const perm = [..."BHSD"].map((axis) => layout.indexOf(axis));
    const own = tensor.shape[layout.indexOf("H")] as number;
    const [b, , s, d] = perm.map((axis) => tensor.shape[axis] as number) as [number, number, number, number];
    const ordered = add("Transpose", [feed(name, tensor.data, tensor.shape)], { perm: { ints: perm } });
    if (own === heads) return ordered;
    const group = heads / own;
    const wide = add("Reshape", [ordered, integers(`${name}/wide`, [b, own, 1, s, d])]);
    const repeated = add("Expand", [wide, integers(`${name}/group`, [b, own, group, s, d])]);
    return add("Reshape", [repeated, integers(`${name}/heads`, [b, heads, s, d])]);
  };
  const integers = (name: string, values: readonly number[]): string => {
    feeds[name] = new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [values.length]);
    return name;
  };
  const number = (name: string, value: number): string => feed(name, Float32Array.of(value), []);
  const q = operand(0, "query");
  const k = add("Transpose", [operand(1, "key")], { perm: { ints: [0, 1, 3, 2] } });
  const v = operand(2, "value");
  let scores = add("Mul", [add("MatMul", [q, k]), number("scale", numberOf(one, "scale") ?? 1)]);
  const cap = numberOf(one, "softcap");
  if (cap !== undefined)
    scores = add("Mul", [add("Tanh", [add("Div", [scores, number("cap", cap)])]), number("cap2", cap)]);
  const mask = one.inputs[3] as Tensor<"float32"> | undefined;
  if (mask) scores = add("Add", [scores, feed("mask", mask.data, mask.shape)]);
  const [batch, queries] = ["B", "S"].map((axis) => one.inputs[0]?.shape[textOf(one, "queryLayout").indexOf(axis)]);
  const keys = one.inputs[1]?.shape[textOf(one, "keyLayout").indexOf("S")] as number;
  const hidden = hiding(one, batch as number, queries as number, keys);
  scores = add("Add", [scores, feed("hidden", hidden, [batch as number, 1, queries as number, keys])]);
  const product = add("MatMul", [add("Softmax", [scores], { axis: { i: -1 } }), v]);
  add("Transpose", [product], { perm: { ints: [...textOf(one, "outputLayout")].map((axis) => "BHSD".indexOf(axis)) } });
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "fatal";
  const session = await ort.InferenceSession.create(
    modelBytes({
      nodes,
      inputs: Object.entries(feeds).map(([name, { type, dims }]) => ({ name, type: type === "int64" ? 7 : 1, dims })),
      outputs: [`v${nodes.length - 1}`],
    }),
  );
  try {
    const results = await session.run(feeds);
    const { dims, data } = results[session.outputNames[0] as string] as ort.Tensor;
    return { dtype: "float32", shape: dims, data: data as Float32Array };
  } finally {
    await session.release();
  }
}

/** Softmax gives NaN where every score is -Infinity, the operator zeros. */
const withZeros = (tensor: Tensor): Tensor => ({
  ...tensor,
  data: Float32Array.from(tensor.data as Float32Array, (value) => (Number.isNaN(value) ? 0 : value)),
});

it.each(attentionCases.map((one) => [one.name, one] as const))("%s", async (_, one) => {
  const call = { ...one, outputCount: 1 };
  const [output] = executeReference(call) as readonly [Tensor];
  const bound = { absolute: 2e-6, relative: 2e-5 };
  for (const knowledge of ["types", "constants"] satisfies Knowledge[]) {
    expect(inferCall(call, knowledge).types).toEqual([{ dtype: "float32", shape: output.shape }]);
    const [lowered] = executeLoops(call, knowledge) ?? [output];
    expect(difference(lowered, output, bound), `lowering knowing ${knowledge}`).toBeUndefined();
  }
  expect(difference(output, withZeros(await runOnnxruntime(one)), bound), "onnxruntime-web").toBeUndefined();
});
