/**
 * Which constants may be stored in fewer bits, and how. A constant qualifies when every reader can read the narrow form:
 * the weights of a family with a variant for it, or an operand of a loop nest's body. Anything else (biases, norm scales,
 * epilogue operands, small tensors) stays as it is. float16 that the model itself brought is never widened.
 */
import { type Expression, mapExpression } from "../../runtime/format/expression.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { Facts } from "../graph/facts.ts";
import { FactStore } from "../graph/facts.ts";
import type { Graph, Node, Value } from "../graph/graph.ts";
import { familyOf } from "../kernels/families.ts";
import { isBindable } from "../kernels/loop/bind.ts";
import type { PlainStorage, Problem, WeightStorage } from "../kernels/problem.ts";
import { lowerElementwise } from "../ops/elementwise/lower.ts";
import { operatorOf } from "../ops/index.ts";
import { operatorContext } from "../ops/infer.ts";
import type { LoweredStep, Lowering } from "../ops/operator.ts";
import { roundToFloat16, roundToInt8 } from "../quantize/round.ts";
import type { StoredTensor } from "./replace-constants.ts";

/** Fewer elements than this are not worth another kernel. */
const fewestElements = 256;
/** Fewest elements that share a scale. */
const fewestPerScale = 8;

export interface StorageOption extends StoredTensor {
  readonly kind: WeightStorage;
}

export interface ConstantOptions {
  readonly constant: Value;
  /** The families that read it, "nest" for loop nests: constants with the same reader can share kernels. */
  readonly reader: string;
  /** What the model itself has comes first: float32, or float16 for a constant that came as float16. */
  readonly options: readonly StorageOption[];
}

/** What one reader can read: int8 only with scales along `axis`, or along any. */
interface Readable {
  readonly float16: boolean;
  readonly int8: { readonly axis: number | "any" } | undefined;
  readonly readers: readonly string[];
}

const nothing: Readable = { float16: false, int8: undefined, readers: [] };
const anything: Readable = { float16: true, int8: { axis: "any" }, readers: [] };

/** Constants with at least two options, in order of first use. */
export function storageOptions(graph: Graph): readonly ConstantOptions[] {
  const facts = new FactStore(graph.constants);
  const readable = new Map<Value, Readable>();
  for (const node of graph.nodes) {
    const lowering = loweringOf(node, facts);
    for (const value of new Set(node.inputs)) {
      if (!value || !isCandidate(value, graph)) continue;
      const known = readable.get(value);
      const here = readableBy(node, value, lowering);
      readable.set(value, known ? bothOf(known, here) : here);
    }
  }
  for (const { value } of graph.outputs) readable.delete(value);
  return [...readable].flatMap(([constant, forms]) => {
    const options = optionsOf(constant, graph.constants.get(constant) as Tensor<"float32">, forms);
    return options.length > 1 ? [{ constant, reader: forms.readers.join(" "), options }] : [];
  });
}

function isCandidate(value: Value, graph: Graph): boolean {
  const tensor = graph.constants.get(value);
  return (
    tensor?.dtype === "float32" &&
    tensor.data.length >= fewestElements &&
    !(value.type.storage && "scales" in value.type.storage)
  );
}

/** As the planner sees it; undefined for a host step. */
function loweringOf(node: Node, facts: Facts): Lowering | undefined {
  const operator = operatorOf(node);
  const context = operatorContext(node, facts);
  if (operator.lower) return operator.lower(context);
  const expression = operator.expression?.(context);
  return expression && lowerElementwise(context, expression);
}

function readableBy(node: Node, value: Value, lowering: Lowering | undefined): Readable {
  if (lowering?.kind !== "steps") return nothing;
  let all = anything;
  for (const step of lowering.steps) {
    if (step.kind === "nest" && !isBindable(step.nest)) return nothing;
    step.operands.forEach((operand, index) => {
      if (operand?.kind === "input" && node.inputs[operand.index] === value) all = bothOf(all, readableAt(step, index));
    });
  }
  return all;
}

function readableAt(step: LoweredStep, index: number): Readable {
  if (step.kind === "nest") {
    const finished = step.nest.finish && reads(step.nest.finish, index + 1);
    return finished ? nothing : { ...anything, readers: ["nest"] };
  }
  const { problem } = step;
  if (problem.family === "recurrent")
    return index === 1 || index === 2 ? { float16: true, int8: { axis: 0 }, readers: [problem.family] } : nothing;
  if (index !== 1) return nothing;
  switch (problem.family) {
    case "conv":
    case "depthwise":
      return readableByFamily(problem, 0);
    case "conv-transpose":
      // With groups an output channel is no single index of one axis.
      return readableByFamily(problem, problem.groups === 1 ? 1 : undefined);
    case "matmul":
      return problem.dynamicB ? nothing : readableByFamily(problem, problem.transposeB ? 0 : 1);
    case "attention":
    case "conv-i8":
    case "depthwise-i8":
    case "matmul-i8":
    case "pool":
    case "reduce":
    case "softmax":
    case "norm":
      return nothing;
  }
}

const reads = (expression: Expression, operand: number): boolean => {
  let found = false;
  mapExpression(expression, (part) => {
    if (part.kind === "input" && part.index === operand) found = true;
    return part;
  });
  return found;
};

function readableByFamily(problem: Extract<Problem, { storage: WeightStorage }>, axis: number | undefined): Readable {
  const accepts = (storage: PlainStorage): boolean => {
    const narrow: Problem = { ...problem, storage };
    const family = familyOf(narrow);
    return family.variants.some((variant) => family.accepts(variant, narrow));
  };
  return {
    float16: accepts("float16"),
    int8: axis !== undefined && accepts("int8") ? { axis } : undefined,
    readers: [problem.family],
  };
}

function bothOf(left: Readable, right: Readable): Readable {
  const float16 = left.float16 && right.float16;
  const readers = [...new Set([...left.readers, ...right.readers])].sort();
  if (!left.int8 || !right.int8) return { float16, int8: undefined, readers };
  if (left.int8.axis === "any") return { float16, int8: right.int8, readers };
  const agree = right.int8.axis === "any" || right.int8.axis === left.int8.axis;
  return { float16, int8: agree ? left.int8 : undefined, readers };
}

function optionsOf(constant: Value, tensor: Tensor<"float32">, readable: Readable): readonly StorageOption[] {
  const { storage } = constant.type;
  const options: StorageOption[] = [{ kind: storage?.kind ?? "float32", tensor, storage }];
  const half = readable.float16 && !storage ? roundToFloat16(tensor) : undefined;
  if (half) options.push({ kind: "float16", ...half });
  const axis = readable.int8?.axis === "any" ? anyAxis(tensor.shape) : readable.int8?.axis;
  const wide = axis !== undefined && tensor.data.length >= fewestPerScale * (tensor.shape[axis] ?? 1);
  const bytes = wide ? roundToInt8(tensor, axis) : undefined;
  if (bytes) options.push({ kind: "int8", ...bytes });
  return options;
}

/** The rows of a table; leading axes of one index hold no channels. */
function anyAxis(shape: readonly number[]): number | undefined {
  const axis = shape.findIndex((extent) => extent > 1);
  return axis < 0 ? undefined : axis;
}
