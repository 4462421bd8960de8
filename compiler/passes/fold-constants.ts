/**
 * Computes at compile time what does not depend on the inputs: nodes with constant operands by their reference
 * function, and integers that follow from shapes. Symbolic integers move from operands into attributes of kind
 * "dims", so that no shape arithmetic is left. Results that would only make the package larger stay nodes.
 */
import { byteSize } from "../../runtime/format/dtype.ts";
import { elementCount, type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { dimsAttribute } from "../graph/attribute.ts";
import type { Attribute, Node, Storage, Value } from "../graph/graph.ts";
import type { RewriteContext } from "../graph/rewrite.ts";
import { referenceAttributes } from "../ops/attributes.ts";
import { operatorOf } from "../ops/index.ts";
import { dequantisedConstant } from "./dequantise-constant.ts";
import { rewritePass } from "./pass.ts";
import { permutationOf } from "./permutation.ts";
import { permutedStorage, reshapedStorage } from "./storage.ts";

export const foldConstants = rewritePass(
  "fold-constants",
  "what is known at compile time is not computed at run time; shape arithmetic vanishes",
  (node, context) =>
    knownIntegers(node, context) ??
    dequantisedConstant(node, context) ??
    computed(node, context) ??
    resolved(node, context),
);

/** A result may be this large even when its operands are smaller. */
const alwaysAllowedBytes = 4096;

/** Operators whose results are what kernels read as weights: worth their bytes (the budget chooses a storage of its own). */
const unpacking: ReadonlySet<string> = new Set(["DequantizeLinear", "Cast", "CastLike"]);

/** Random, or not to be run at all. */
const notComputed = /^(Random|Bernoulli|Multinomial|leafcutter\.Unreachable)/;

const bytesOf = (value: Value): number =>
  byteSize[value.type.dtype] * elementCount(value.type.shape.map((dim) => (typeof dim === "number" ? dim : Infinity)));

/** Integers that follow from shapes alone. */
function knownIntegers(node: Node, context: RewriteContext): Value | undefined {
  const [output] = node.outputs;
  if (!output || node.outputs.length !== 1) return undefined;
  const elements = context.elements(output);
  const { dtype, shape } = output.type;
  if (
    !elements ||
    elements.some((element) => typeof element !== "number") ||
    shape.some((dim) => typeof dim !== "number")
  )
    return undefined;
  return context.addConstant(output.name, tensorOf(dtype, shape as readonly number[], elements as readonly number[]));
}

/**
 * Whether `node` transposes a constant that is also read as it is, for products that read either order: both readers
 * then share one stored constant (a language model's tied embedding).
 */
function sharesTransposed(node: Node, context: RewriteContext): boolean {
  const [source] = node.inputs;
  const [output] = node.outputs;
  if (node.op !== "Transpose" || !source || !output || source.type.shape.length !== 2) return false;
  const consumers = context.consumers(output);
  return (
    bytesOf(source) > alwaysAllowedBytes &&
    !context.isOnlyUse(source, node) &&
    !context.isOutput(output) &&
    consumers.length > 0 &&
    consumers.every(({ op, inputs }) => products.has(op) && inputs[1] === output && inputs[0] !== output)
  );
}

const products: ReadonlySet<string> = new Set(["MatMul", "Gemm", "leafcutter.MatMul"]);

function computed(node: Node, context: RewriteContext): readonly Value[] | undefined {
  if (sharesTransposed(node, context)) return undefined;
  if (notComputed.test(node.op) || Object.values(node.attributes).some(({ kind }) => kind === "graph"))
    return undefined;
  const symbolic = Object.values(node.attributes).some(
    (attribute) => attribute.kind === "dims" && attribute.value.some((dim) => typeof dim !== "number"),
  );
  if (symbolic) return undefined;
  const inputs: (Tensor | undefined)[] = [];
  for (const value of node.inputs) {
    const tensor = value && context.constant(value);
    if (value && !tensor) return undefined;
    inputs.push(tensor);
  }
  const present = node.inputs.filter((value) => value !== undefined);
  const before = present.reduce((sum, value) => sum + bytesOf(value), 0);
  const after = node.outputs.reduce((sum, value) => sum + bytesOf(value), 0);
  if (after > Math.max(before, alwaysAllowedBytes) && !unpacking.has(node.op)) return undefined;
  const call = {
    inputs,
    attributes: referenceAttributes(node),
    version: node.version,
    outputCount: node.outputs.length,
  };
  const results = operatorOf(node).reference(call);
  return node.outputs.map((output, index) =>
    context.addConstant(output.name, results[index] as Tensor, movedStorage(node, inputs[0], results[index])),
  );
}

/** How the result is stored, when the node only moves a constant that has a stored form. */
function movedStorage(node: Node, from: Tensor | undefined, to: Tensor | undefined): Storage | undefined {
  const storage = node.inputs[0]?.type.storage;
  if (!storage || !from || !to) return undefined;
  if (node.op === "Transpose") return permutedStorage(storage, from.shape, permutationOf(node));
  return views.has(node.op) ? reshapedStorage(storage, from.shape, to.shape) : undefined;
}

const views: ReadonlySet<string> = new Set(["Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze"]);

/** Integer operands that may stand as attributes, by position. */
const parameters: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  Reshape: { 1: "shape" },
  Expand: { 1: "shape" },
  Slice: { 1: "starts", 2: "ends", 3: "axes", 4: "steps" },
  Tile: { 1: "repeats" },
  "com.microsoft.GroupQueryAttention": { 6: "total_sequence_length" },
  Range: { 0: "start", 1: "limit" },
  ConstantOfShape: { 0: "shape" },
  Pad: { 1: "pads", 3: "axes" },
  Split: { 1: "split" },
  Resize: { 3: "sizes" },
  Squeeze: { 1: "axes" },
  Unsqueeze: { 1: "axes" },
};

/** Known but symbolic integers as attributes. All integer operands of the node move together. */
function resolved(node: Node, context: RewriteContext): readonly Value[] | undefined {
  const positions = parameters[node.op];
  if (!positions || node.inputs.every((value, index) => !value || !positions[index] || context.constant(value)))
    return undefined;
  const attributes: Record<string, Attribute> = { ...node.attributes };
  const inputs = node.inputs.map((value, index) => {
    const name = positions[index];
    const elements = value && name ? context.elements(value) : undefined;
    if (!name || !elements) return value;
    attributes[name] = dimsAttribute(elements);
    return undefined;
  });
  if (inputs.some((value, index) => value && positions[index])) return undefined;
  return context.emitNode(node.op, inputs, attributes, { outputCount: node.outputs.length });
}
