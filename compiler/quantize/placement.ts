/**
 * Which activations become integers when some layers do. A value does when an integer layer reads it, perhaps behind
 * operators that only move values; and when an integer layer (or a mean or an elementwise step between such layers)
 * makes it and everyone who reads it can take integers. Values between which nothing but movement, a maximum or a
 * concatenation lies share one scale, so that the integers pass through.
 */
import { expressionOf, stringOf } from "../graph/attribute.ts";
import { type Graph, indexGraph, type Node, type Value } from "../graph/graph.ts";

export interface Placement {
  /** Value -> the values that share its scale. */
  readonly classes: ReadonlyMap<Value, readonly Value[]>;
  /** Whether `node` reads the integers of a value that has them, instead of the floats. */
  readsIntegers(node: Node, input: number): boolean;
}

/** Operators that pass values on unchanged, all from input 0 but Concat. */
const movement: ReadonlySet<string> = new Set([
  "Reshape",
  "Transpose",
  "Squeeze",
  "Unsqueeze",
  "Flatten",
  "Slice",
  "Split",
  "Concat",
  "Expand",
  "Tile",
  "DepthToSpace",
  "SpaceToDepth",
]);

function isMovement(node: Node): boolean {
  if (node.op === "leafcutter.Pool") return stringOf(node, "mode", "") === "max" && !expressionOf(node, "epilogue");
  if (node.op === "Resize") return stringOf(node, "mode", "nearest") === "nearest";
  return movement.has(node.op);
}

/** Operators between integer layers that a nest over integers computes as well. */
const isAbsorbing = (node: Node): boolean =>
  node.op === "leafcutter.Elementwise" ||
  node.op === "ReduceMean" ||
  (node.op === "leafcutter.Pool" && stringOf(node, "mode", "") === "average");

const dataInputs = (node: Node): readonly (Value | undefined)[] =>
  node.op === "Concat" || node.op === "leafcutter.Elementwise" ? node.inputs : node.inputs.slice(0, 1);

/** Epilogue operands of convolutions and products stand behind activation, weights and bias. */
const firstOperand = 3;

export function placeIntegers(graph: Graph, isIntegerLayer: (node: Node) => boolean): Placement {
  const index = indexGraph(graph);
  const chosen = new Set<Value>();
  const canHold = (value: Value | undefined): value is Value =>
    value !== undefined && value.type.dtype === "float32" && !graph.constants.has(value);
  const choose = (value: Value | undefined): void => {
    if (!canHold(value) || chosen.has(value)) return;
    chosen.add(value);
    const producer = index.producer(value);
    if (producer && isMovement(producer)) for (const source of dataInputs(producer)) choose(source);
  };
  const readsIntegers = (node: Node, input: number): boolean => {
    if (isIntegerLayer(node)) return input === 0 || input >= firstOperand;
    const data = dataInputs(node).length;
    return input < data && (isMovement(node) || isAbsorbing(node)) && node.outputs.some((value) => chosen.has(value));
  };

  for (const node of graph.nodes) if (isIntegerLayer(node)) choose(node.inputs[0]);
  for (const node of [...graph.nodes].reverse()) {
    if (!isIntegerLayer(node) && !isMovement(node) && !isAbsorbing(node)) continue;
    for (const value of node.outputs) {
      const consumers = index.consumers(value);
      const takes = (consumer: Node): boolean =>
        consumer.inputs.every((input, at) => input !== value || readsIntegers(consumer, at));
      const fits = consumers.length > 0 && !index.isOutput(value) && consumers.every(takes);
      if (fits && comesFromInteger(value)) choose(value);
    }
  }

  function comesFromInteger(value: Value): boolean {
    const producer = index.producer(value);
    if (!producer) return false;
    if (isIntegerLayer(producer)) return true;
    if (!isMovement(producer) && !isAbsorbing(producer)) return false;
    return dataInputs(producer).every((source) => !canHold(source) || chosen.has(source) || comesFromInteger(source));
  }
  return { classes: classesOf(graph, chosen), readsIntegers };
}

/** Values with movement between them, as connected sets. */
function classesOf(graph: Graph, chosen: ReadonlySet<Value>): ReadonlyMap<Value, readonly Value[]> {
  const classes = new Map<Value, Value[]>([...chosen].map((value) => [value, [value]]));
  for (const node of graph.nodes) {
    if (!isMovement(node)) continue;
    const linked = [...node.outputs, ...dataInputs(node)].filter(
      (value): value is Value => value !== undefined && chosen.has(value),
    );
    if (!node.outputs.some((value) => chosen.has(value))) continue;
    const [first] = linked;
    for (const value of linked) {
      const own = classes.get(first as Value) as Value[];
      const other = classes.get(value) as Value[];
      if (own === other) continue;
      own.push(...other);
      for (const member of other) classes.set(member, own);
    }
  }
  return classes;
}
