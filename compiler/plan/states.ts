/**
 * Which inputs of a model are states, and which outputs are their next values: the names that the caller gives, checked
 * against the graph. A state has one shape, or one axis that grows: there its input is a plain symbol, and the output
 * is the input with new rows behind it.
 */
import { closest, LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { integerOf } from "../graph/attribute.ts";
import { type Dim, formatDim, lowerBound, sameDim, sameShape, subtractDims, upperBound } from "../graph/dimension.ts";
import type { Graph, Node, TensorType, Value } from "../graph/graph.ts";
import { starIn } from "../import/name-pattern.ts";

/** Input name -> output name. One "*" in both stands for the same text: "past.*" -> "present.*". */
export type StateNames = Readonly<Record<string, string>>;

export interface StatePair {
  readonly input: string;
  readonly output: string;
}

/** A state that grows in place, in the canonical graph. */
export interface GrowingPair {
  readonly kind: "growing";
  readonly input: Value;
  readonly output: Value;
  readonly axis: number;
  readonly capacity: number;
}

export type BoundPair = { readonly kind: "fixed"; readonly input: Value; readonly output: Value } | GrowingPair;

const invalid = (
  where: string,
  message: string,
  details: { readonly expected?: string; readonly received?: string; readonly advice?: string },
): LeafcutterError => new LeafcutterError({ code: "option-invalid", where: `state ${where}`, message, ...details });

const describe = ({ dtype, shape }: TensorType): string => `${dtype} [${shape.map(formatDim).join(", ")}]`;

/** The inputs and outputs that `names` means. Throws option-invalid: unknown names, types that do not agree. */
export function resolveStates(graph: Graph, names: StateNames): readonly StatePair[] {
  const pairs: StatePair[] = [];
  const inputs = graph.inputs.map(({ name }) => name);
  const outputs = graph.outputs.map(({ name }) => name);
  for (const [input, output] of Object.entries(names)) {
    const where = `${input}=${output}`;
    if (input.split("*").length > 2 || input.includes("*") !== output.includes("*") || output.split("*").length > 2)
      throw invalid(where, "a pattern has one * on both sides, or none", { expected: "'past.*=present.*'" });
    const found = inputs.flatMap((name) => {
      const star = starIn(input, name);
      return star === undefined ? [] : [{ input: name, output: output.replace("*", star) }];
    });
    if (found.length === 0) throw unknown(where, "input", input, inputs);
    for (const pair of found) {
      if (!outputs.includes(pair.output)) throw unknown(where, "output", pair.output, outputs);
      if (pairs.some((other) => other.input === pair.input || other.output === pair.output))
        throw invalid(where, `${pair.input} or ${pair.output} belongs to a state already`, {});
      pairs.push(pair);
    }
  }
  for (const pair of pairs) checkTypes(graph, pair);
  return pairs;
}

function unknown(where: string, kind: string, name: string, known: readonly string[]): LeafcutterError {
  const near = closest(name, known);
  return invalid(where, `the model has no ${kind} called ${name}`, {
    expected: `one of ${known.join(", ")}`,
    ...(near === undefined ? {} : { advice: `Did you mean ${near}?` }),
  });
}

function valuesOf(graph: Graph, { input, output }: StatePair): readonly [Value, Value] {
  return [
    graph.inputs.find(({ name }) => name === input) as Value,
    graph.outputs.find(({ name }) => name === output)?.value as Value,
  ];
}

function checkTypes(graph: Graph, pair: StatePair): void {
  const [{ type: before }, { type: after }] = valuesOf(graph, pair);
  const where = `${pair.input}=${pair.output}`;
  if (graph.fixedInputs?.has(pair.input))
    throw invalid(where, "shapes depend on the value of this input: it cannot change between runs", {});
  const axes = growingAxes(before, after);
  const rank = before.shape.length === after.shape.length;
  const expected = describe(before);
  const received = describe(after);
  if (before.dtype !== after.dtype || !rank || axes.length > 1)
    throw invalid(where, axes.length > 1 && rank ? "more than one axis grows" : "the types do not agree", {
      expected,
      received,
    });
  const [axis] = axes;
  if (axis !== undefined && typeof before.shape[axis] !== "string")
    throw invalid(where, "the state grows, but its length has no range", {
      expected,
      received,
      advice: `Give the length a range: --dim '${pair.input}:${axis}=0..N', and spell dimensions that follow from it: --dim total=past+1.`,
    });
  if (axis !== undefined && lowerBound(growth(before, after, axis), graph.symbols) < 0)
    throw invalid(where, "the state gets shorter", { expected, received });
  const open = before.shape.find((extent, other) => other !== axis && typeof extent !== "number");
  if (open !== undefined)
    throw invalid(where, "only the length of a state that grows can have a range", {
      expected: "a number for every other dimension",
      received: formatDim(open),
      advice: `Bind it: --dim ${formatDim(open)}=N.`,
    });
}

const growingAxes = (before: TensorType, after: TensorType): readonly number[] =>
  before.shape.flatMap((extent, axis) => (sameDim(extent, after.shape[axis] ?? 0) ? [] : [axis]));

const growth = (before: TensorType, after: TensorType, axis: number): Dim =>
  subtractDims(after.shape[axis] as Dim, before.shape[axis] as Dim);

/** The states in the canonical graph. Throws option-invalid for one that grows otherwise than by a concatenation. */
export function bindStates(graph: Graph, pairs: readonly StatePair[]): readonly BoundPair[] {
  const lengths = new Map<Dim, Dim>();
  return pairs.map((pair): BoundPair => {
    const [input, output] = valuesOf(graph, pair);
    if (sameShape(input.type.shape, output.type.shape)) return { kind: "fixed", input, output };
    const where = `${pair.input}=${pair.output}`;
    const axis = growingAxes(input.type, output.type)[0] ?? 0;
    const node = graph.nodes.find(({ outputs }) => outputs[0] === output);
    if (!node || !appends(node, input, axis))
      throw invalid(where, "the state does not grow by rows behind those it has", {
        expected: `Concat(${pair.input}, …) on axis ${axis}`,
        received: node?.op ?? "no operator",
        advice: "Leave this state out and pass it from run to run.",
      });
    const symbol = input.type.shape[axis] as Dim;
    const length = output.type.shape[axis] as Dim;
    const other = lengths.get(symbol) ?? length;
    if (!sameDim(other, length))
      throw invalid(where, `states of length ${formatDim(symbol)} grow by different numbers of rows`, {
        expected: formatDim(other),
        received: formatDim(length),
      });
    lengths.set(symbol, length);
    return { kind: "growing", input, output, axis, capacity: upperBound(length, graph.symbols) };
  });
}

function appends(node: Node, input: Value, axis: number): boolean {
  const rank = input.type.shape.length;
  return (
    node.op === "Concat" &&
    (integerOf(node, "axis", 0) + rank) % rank === axis &&
    node.inputs[0] === input &&
    node.inputs.indexOf(input, 1) < 0
  );
}
