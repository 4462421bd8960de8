/**
 * Values that follow from constants and shapes by computing, where a type rule needs them (Range of a Cast of a
 * constant): the nodes behind such a value, each with its results.
 */
import { elementCount, type Tensor, tensorOf } from "../../../runtime/format/tensor.ts";
import type { Facts } from "../../graph/facts.ts";
import type { Node, Value } from "../../graph/graph.ts";
import { referenceAttributes } from "../../ops/attributes.ts";
import { operatorOf } from "../../ops/index.ts";

/** What decides about shapes is small; longer results are data. */
const mostElements = 4096;

/** Random, or not to be run at all. */
const notComputed = /^(Random|Bernoulli|Multinomial|leafcutter\.Unreachable)/;

/** Computes `value` and what it follows from. undefined when it depends on inputs, or is large or random. */
export function computeKnown(
  value: Value,
  producers: ReadonlyMap<Value, Node>,
  facts: Facts,
): ReadonlyMap<Node, readonly Tensor[]> | undefined {
  const computed = new Map<Node, readonly Tensor[]>();

  const known = (wanted: Value): Tensor | undefined => {
    const constant = facts.constant(wanted);
    if (constant) return constant;
    const { dtype, shape } = wanted.type;
    if (!isSmall(shape)) return undefined;
    const elements = facts.elements(wanted);
    if (elements?.every((element) => typeof element === "number")) return tensorOf(dtype, shape, elements);
    const node = producers.get(wanted);
    return node && resultsOf(node)?.[node.outputs.indexOf(wanted)];
  };

  const resultsOf = (node: Node): readonly Tensor[] | undefined => {
    const done = computed.get(node);
    if (done) return done;
    if (notComputed.test(node.op) || Object.values(node.attributes).some(({ kind }) => kind === "graph"))
      return undefined;
    const inputs: (Tensor | undefined)[] = [];
    for (const input of node.inputs) {
      const tensor = input && known(input);
      if (input && !tensor) return undefined;
      inputs.push(tensor);
    }
    if (!node.outputs.every(({ type }) => isSmall(type.shape))) return undefined;
    const results = operatorOf(node).reference({
      inputs,
      attributes: referenceAttributes(node),
      version: node.version,
      outputCount: node.outputs.length,
    });
    computed.set(node, results);
    return results;
  };

  return known(value) ? computed : undefined;
}

const isSmall = (shape: Value["type"]["shape"]): shape is readonly number[] =>
  shape.every((dim) => typeof dim === "number") && elementCount(shape as readonly number[]) <= mostElements;
