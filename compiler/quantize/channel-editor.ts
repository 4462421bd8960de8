/**
 * A graph in which channels of values are being scaled: who makes a value divides, who reads it multiplies, in constants
 * where that is possible and by an operand of the expression elsewhere. Constants that others read too are copied.
 */
import { binary, type Expression, input, mapExpression } from "../../runtime/format/expression.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { expressionAttribute, expressionOf } from "../graph/attribute.ts";
import type { Graph, Node, Value } from "../graph/graph.ts";
import { channelsOf } from "./channel-classes.ts";
import { forEachWeight } from "./channel-factors.ts";
import { type Layer, layerOf } from "./layer.ts";

/** Inputs of a layer before its epilogue's operands. */
const layerInputs = 3;
const mostOperands = { epilogue: 4, expression: 8 } as const;
/** What scaled sums are: their factors can go into weights and bias. */
const norms: ReadonlySet<string> = new Set(["LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"]);

export class ChannelEditor {
  readonly #graph: Graph;
  readonly #nodes: Map<string, Node>;
  readonly #constants: Map<Value, Tensor>;
  readonly #names: Set<string>;

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#nodes = new Map(graph.nodes.map((node) => [node.name, node]));
    this.#constants = new Map(graph.constants);
    this.#names = new Set([...graph.inputs, ...graph.constants.keys()].map(({ name }) => name));
    for (const { outputs } of graph.nodes) for (const { name } of outputs) this.#names.add(name);
  }

  /** As it is by now. */
  layer(node: Node): Layer | undefined {
    return layerOf(this.#now(node), { ...this.#graph, constants: this.#constants });
  }

  /** Whether the result of the node can be divided by factors. */
  canDivide(node: Node): boolean {
    const now = this.#now(node);
    if (now.outputs.length !== 1) return false;
    const layer = this.#scalableLayer(now);
    if (layer) return this.#foldsInto(layer) || this.#hasRoom(now);
    if (now.op === "leafcutter.Elementwise") return this.#hasRoom(now);
    // The scale and the shift of a norm take the factors.
    const [, scale, shift] = now.inputs;
    const isFloat = (value: Value): boolean => this.#constants.get(value)?.dtype === "float32";
    return norms.has(now.op) && !!scale && isFloat(scale) && (shift === undefined || isFloat(shift));
  }

  /** Whether the node can multiply what it reads of `value` by factors; `users` read the constant of that name. */
  canMultiply(node: Node, value: Value, users: (constant: Value) => number): boolean {
    const now = this.#now(node);
    const layer = this.layer(node);
    const places = now.inputs.flatMap((other, at) => (other === value ? [at] : []));
    const isProduct = layer?.kind === "conv" || layer?.kind === "matmul";
    if (now.op === "leafcutter.Elementwise")
      return channelsOf(value) === channelsOf(now.outputs[0] as Value) && this.#hasRoom(now);
    return places.every((at) => {
      if (at >= layerInputs) return isProduct && this.#hasRoom(now);
      return (
        at === 0 &&
        layer !== undefined &&
        isProduct &&
        layer.weights.type.storage === undefined &&
        users(layer.weights) === 1 &&
        (layer.tensor.shape[layer.layout.contractionAxis] ?? 0) * layer.groups === channelsOf(value)
      );
    });
  }

  divide(node: Node, factors: Float64Array): void {
    const now = this.#now(node);
    const inverse = factors.map((factor) => 1 / factor);
    const layer = this.#scalableLayer(now);
    if (now.op === "leafcutter.Elementwise" || (layer && !this.#foldsInto(layer))) {
      this.#edit(now, inverse, (expression, operand) => binary("multiply", expression, operand));
      return;
    }
    const inputs = [...now.inputs];
    if (layer) {
      const data = layer.tensor.data.slice();
      forEachWeight(layer, (_, row, at) => {
        data[at] = (data[at] as number) * (inverse[row] as number);
      });
      inputs[1] = this.#constant(layer.weights.name, { ...layer.tensor, data });
    }
    for (const at of layer ? [2] : [1, 2]) {
      const value = inputs[at];
      const tensor = value && (this.#constants.get(value) as Tensor<"float32"> | undefined);
      if (!value || !tensor) continue;
      const data = tensor.data.map((old, channel) => old * (inverse[channel] as number));
      inputs[at] = this.#constant(value.name, { ...tensor, data });
    }
    this.#nodes.set(node.name, { ...now, inputs });
  }

  multiply(node: Node, value: Value, factors: Float64Array): void {
    const layer = this.layer(node);
    const now = this.#now(node);
    const first = layer ? layerInputs : 0;
    const read = new Set(now.inputs.flatMap((other, at) => (other === value && at >= first ? [at] : [])));
    if (read.size > 0) {
      const offset = layer ? layerInputs - 1 : 0;
      this.#edit(now, factors, (expression, operand) =>
        mapExpression(expression, (part) =>
          part.kind === "input" && read.has(part.index + offset) ? binary("multiply", part, operand) : part,
        ),
      );
    }
    if (!layer || now.inputs[0] !== value) return;
    const data = layer.tensor.data.slice();
    forEachWeight(layer, (channel, _, at) => {
      data[at] = (data[at] as number) * (factors[channel] as number);
    });
    const weights = this.#constant(layer.weights.name, { ...layer.tensor, data });
    const edited = this.#now(node);
    this.#nodes.set(node.name, { ...edited, inputs: edited.inputs.map((old, at) => (at === 1 ? weights : old)) });
  }

  /** The graph itself when nothing changed. */
  finish(): Graph {
    if (this.#graph.nodes.every((node) => this.#nodes.get(node.name) === node)) return this.#graph;
    const nodes = this.#graph.nodes.map((node) => this.#now(node));
    const used = new Set<Value | undefined>(nodes.flatMap(({ inputs }) => inputs));
    for (const { value } of this.#graph.outputs) used.add(value);
    return { ...this.#graph, nodes, constants: new Map([...this.#constants].filter(([value]) => used.has(value))) };
  }

  #now(node: Node): Node {
    return this.#nodes.get(node.name) ?? node;
  }

  #scalableLayer(node: Node): Layer | undefined {
    const layer = this.layer(node);
    return layer?.kind === "conv" || layer?.kind === "matmul" ? layer : undefined;
  }

  #foldsInto({ node, weights }: Layer): boolean {
    const bias = node.inputs[2];
    return (
      weights.type.storage === undefined &&
      (bias === undefined || this.#constants.get(bias)?.dtype === "float32") &&
      isHomogeneous(expressionOf(node, "epilogue") ?? input(0))
    );
  }

  #hasRoom(node: Node): boolean {
    return node.op === "leafcutter.Elementwise"
      ? node.inputs.length < mostOperands.expression
      : node.inputs.length < layerInputs + mostOperands.epilogue;
  }

  /** The node's expression changed with another operand, one number per channel. */
  #edit(node: Node, numbers: Float64Array, change: (expression: Expression, operand: Expression) => Expression): void {
    const isElementwise = node.op === "leafcutter.Elementwise";
    const attribute = isElementwise ? "expression" : "epilogue";
    const least = isElementwise ? 0 : layerInputs;
    const inputs = Array.from({ length: Math.max(least, node.inputs.length) }, (_, at) => node.inputs[at]);
    const operand = input(inputs.length - (isElementwise ? 0 : layerInputs - 1));
    const expression = change(expressionOf(node, attribute) ?? input(0), operand);
    const constant = this.#constant(`${node.name}/factors`, tensorOf("float32", [numbers.length], numbers));
    this.#nodes.set(node.name, {
      ...node,
      inputs: [...inputs, constant],
      attributes: { ...node.attributes, [attribute]: expressionAttribute(expression) },
    });
  }

  #constant(wish: string, tensor: Tensor): Value {
    let name = wish;
    for (let number = 2; this.#names.has(name); number++) name = `${wish}.${number}`;
    this.#names.add(name);
    const value: Value = { name, type: { dtype: tensor.dtype, shape: tensor.shape } };
    this.#constants.set(value, tensor);
    return value;
  }
}

/** Whether f(k x) = k f(x) for k > 0, in one step of the epilogue: identity, rectifiers with and without a slope. */
function isHomogeneous(expression: Expression): boolean {
  switch (expression.kind) {
    case "input":
      return expression.index === 0;
    case "constant":
      return expression.value === 0;
    case "unary":
      return (expression.operation === "negate" || expression.operation === "abs") && isHomogeneous(expression.value);
    case "binary": {
      const { operation, left, right } = expression;
      if (operation === "multiply")
        return (left.kind === "constant" && isHomogeneous(right)) || (right.kind === "constant" && isHomogeneous(left));
      return /^(maximum|minimum|add|subtract)$/.test(operation) && isHomogeneous(left) && isHomogeneous(right);
    }
    case "select": {
      const { condition, whenTrue, whenFalse } = expression;
      const compares = condition.kind === "binary" && isHomogeneous(condition.left) && isHomogeneous(condition.right);
      return compares && isHomogeneous(whenTrue) && isHomogeneous(whenFalse);
    }
    case "load":
    case "axis":
    case "parameter":
    case "cast":
      return false;
  }
}
