/** Small graphs with control flow: what goes in and comes out of regions, and what may lie in the way of sharing memory. */
import { dimsAttribute, graphAttribute, integerAttribute, integersAttribute } from "../../compiler/graph/attribute.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Dim } from "../../compiler/graph/dimension.ts";
import type { Graph, Value } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import type { DType } from "../../runtime/format/dtype.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { type Tensor, tensorOf, zeros } from "../../runtime/format/tensor.ts";

export interface RegionGraph {
  readonly name: string;
  readonly build: () => Graph;
  readonly bindings?: ReadonlyMap<string, number>;
}

function weights(shape: readonly number[], seed: number): Tensor {
  const tensor = zeros("float32", shape);
  fillRandom("float32", tensor.data, seed);
  return tensor;
}

/** What a nested graph is given: its builder and its inputs. */
type Body = (graph: GraphBuilder, inputs: readonly Value[]) => readonly Value[];

function nested(around: Graph["symbols"], inputs: readonly Pick<Value, "name" | "type">[], body: Body): Graph {
  const graph = new GraphBuilder("nested", inferNode);
  for (const { name, lower, upper } of around.values()) graph.symbol(name, lower, upper);
  const given = inputs.map(({ name, type }) => graph.input(`inner ${name}`, type.dtype, type.shape));
  body(graph, given).forEach((value, index) => {
    graph.output(`${index}`, value);
  });
  return graph.finish();
}

/** A graph that is being built, with its symbols at hand. */
class Builder extends GraphBuilder {
  readonly symbols = new Map<string, { readonly name: string; readonly lower: number; readonly upper: number }>();

  constructor(name: string) {
    super(name, inferNode);
  }

  range(name: string, lower: number, upper: number): Dim {
    this.symbols.set(name, { name, lower, upper });
    return this.symbol(name, lower, upper);
  }

  choose(condition: Value, captured: readonly Value[], whenTrue: Body, whenFalse: Body): readonly Value[] {
    return this.addNode("If", [condition, ...captured], {
      then_branch: graphAttribute(nested(this.symbols, captured, whenTrue)),
      else_branch: graphAttribute(nested(this.symbols, captured, whenFalse)),
    });
  }

  /** `body` is given iteration, states, captured values; it gives a condition, states, slices. */
  repeat(
    trips: Dim,
    { begins, states, captured = [] }: { begins?: Value; states: readonly Value[]; captured?: readonly Value[] },
    body: Body,
  ): readonly Value[] {
    const iteration = { name: "iteration", type: { dtype: "int64" as DType, shape: [] } };
    return this.addNode("leafcutter.Loop", [undefined, begins, ...states, ...captured], {
      trips: dimsAttribute([trips]),
      carried: integerAttribute(states.length),
      body: graphAttribute(nested(this.symbols, [iteration, ...states, ...captured], body)),
    });
  }
}

const always = (graph: GraphBuilder): Value => graph.constant("always", tensorOf("bool", [], [1]));
const half = (graph: GraphBuilder): Value => graph.constant("half", tensorOf("float32", [], [0.5]));
const one = (value: Value | undefined): Value => value as Value;

function twoBranches(): Graph {
  const graph = new Builder("branches that share nothing but a value from outside");
  const condition = graph.input("condition", "bool", []);
  const x = graph.add("Relu", [graph.input("x", "float32", [1, 3, 6, 6])]);
  const [y] = graph.choose(
    condition,
    [x],
    (inner, [x]) => {
      const kernel = inner.constant("kernel", weights([4, 3, 3, 3], 3));
      return [inner.add("Conv", [one(x), kernel], { pads: integersAttribute([1, 1, 1, 1]) })];
    },
    (inner, [x]) => {
      const kernel = inner.constant("kernel", weights([4, 3, 1, 1], 4));
      return [inner.add("Sigmoid", [inner.add("Conv", [one(x), kernel])])];
    },
  );
  const kernel = graph.constant("kernel", weights([2, 4, 3, 3], 5));
  graph.output("z", graph.add("Conv", [one(y), kernel], { pads: integersAttribute([1, 1, 1, 1]) }));
  graph.output("x", x);
  return graph.finish();
}

function passedThrough(): Graph {
  const graph = new Builder("branches that give values from outside, constants and one value twice");
  const condition = graph.input("condition", "bool", [1]);
  const x = graph.input("x", "float32", [2, 3]);
  const y = graph.add("Neg", [x]);
  const [a, b] = graph.choose(
    condition,
    [x, y],
    (_, [x, y]) => [one(y), one(x)],
    (inner) => {
      const c = inner.constant("c", weights([2, 3], 9));
      return [c, c];
    },
  );
  graph.output("sum", graph.add("Add", [one(a), one(b)]));
  graph.output("b", one(b));
  graph.output("y", y);
  return graph.finish();
}

function nestedBranches(): Graph {
  const graph = new Builder("a branch in a branch, both joined with values from outside");
  const first = graph.input("first", "bool", []);
  const second = graph.input("second", "bool", []);
  const x = graph.input("x", "float32", [2, 4]);
  const y = graph.add("Abs", [x]);
  const [z] = graph.choose(
    first,
    [second, x, y],
    (inner, [second, x, y]) => {
      const deeper = [one(x), one(y)];
      const [w] = inner.addNode("If", [second, ...deeper], {
        then_branch: graphAttribute(
          nested(new Map(), deeper, (graph, [x, y]) => [
            graph.add("Concat", [one(x), one(y)], { axis: integerAttribute(0) }),
          ]),
        ),
        else_branch: graphAttribute(
          nested(new Map(), deeper, (graph, [, y]) => [
            graph.add("Concat", [one(y), one(y)], { axis: integerAttribute(0) }),
          ]),
        ),
      });
      return [inner.add("Mul", [one(w), half(inner)])];
    },
    (inner, [, x, y]) => {
      const joined = inner.add("Concat", [one(y), one(x)], { axis: integerAttribute(0) });
      const shape = inner.constant("shape", tensorOf("int64", [2], [4, 4]));
      return [inner.add("Reshape", [joined, shape])];
    },
  );
  graph.output("z", one(z));
  graph.output("twice", graph.add("Add", [y, y]));
  return graph.finish();
}

function swapped(): Graph {
  const graph = new Builder("a loop whose values change places");
  const x = graph.input("x", "float32", [2, 3]);
  const y = graph.input("y", "float32", [2, 3]);
  const outputs = graph.repeat(5, { states: [x, y] }, (inner, [, x, y]) => {
    const shape = inner.constant("shape", tensorOf("int64", [2], [2, 3]));
    return [always(inner), inner.add("Reshape", [one(y), shape]), one(x)];
  });
  outputs.forEach((value, index) => {
    graph.output(`state${index}`, value);
  });
  return graph.finish();
}

function recurrence(): Graph {
  const graph = new Builder("a recurrence that collects slices, in steps of any number");
  const length = graph.range("length", 1, 9);
  const x = graph.input("x", "float32", [length, 2, 4]);
  const scaled = graph.add("Mul", [x, half(graph)]);
  const matrix = graph.constant("matrix", weights([4, 4], 21));
  const state = graph.input("state", "float32", [2, 4]);
  const [last, all] = graph.repeat(length, { states: [state], captured: [scaled, matrix] }, (inner, given) => {
    const [iteration, state, x, matrix] = given;
    const slice = inner.add("Gather", [one(x), one(iteration)], { axis: integerAttribute(0) });
    const next = inner.add("Tanh", [inner.add("Add", [inner.add("MatMul", [one(state), one(matrix)]), slice])]);
    return [always(inner), next, inner.add("Neg", [next])];
  });
  graph.output("last", one(last));
  graph.output("all", one(all));
  graph.output("scaled", scaled);
  return graph.finish();
}

function untilLarge(): Graph {
  const graph = new Builder("a loop that stops itself, or does not begin");
  const begins = graph.input("begins", "bool", []);
  const x = graph.add("Abs", [graph.input("x", "float32", [3])]);
  const [y] = graph.repeat(1000, { begins, states: [x], captured: [x] }, (inner, [, state, x]) => {
    const next = inner.add("Add", [one(state), one(x)]);
    const total = inner.add("ReduceSum", [next], { keepdims: integerAttribute(0) });
    const limit = inner.constant("limit", tensorOf("float32", [], [7]));
    return [inner.add("Less", [total, limit]), next];
  });
  graph.output("y", one(y));
  graph.output("x", x);
  return graph.finish();
}

function branchInLoop(): Graph {
  const graph = new Builder("a branch in a loop in a loop");
  const x = graph.input("x", "float32", [4]);
  const [y] = graph.repeat(3, { states: [x] }, (outer, [, state]) => {
    const inputs = [one(state)];
    const [z] = outer.addNode("leafcutter.Loop", [undefined, undefined, ...inputs], {
      trips: dimsAttribute([4]),
      carried: integerAttribute(1),
      body: graphAttribute(
        nested(new Map(), [{ name: "iteration", type: { dtype: "int64", shape: [] } }, ...inputs], (inner, given) => {
          const [iteration, state] = given;
          const two = inner.constant("two", tensorOf("int64", [], [2]));
          const early = inner.add("Less", [one(iteration), two]);
          const captured = [one(state)];
          const [next] = inner.addNode("If", [early, ...captured], {
            then_branch: graphAttribute(
              nested(new Map(), captured, (graph, [value]) => [graph.add("Add", [one(value), half(graph)])]),
            ),
            else_branch: graphAttribute(
              nested(new Map(), captured, (graph, [value]) => [graph.add("Mul", [one(value), half(graph)])]),
            ),
          });
          return [always(inner), one(next)];
        }),
      ),
    });
    return [always(outer), outer.add("Neg", [one(z)])];
  });
  graph.output("y", one(y));
  return graph.finish();
}

const nameless: readonly (() => Graph)[] = [
  twoBranches,
  passedThrough,
  nestedBranches,
  swapped,
  untilLarge,
  branchInLoop,
];

export const regionGraphs: readonly RegionGraph[] = [
  ...nameless.map((build) => ({ name: build().name, build })),
  { name: recurrence().name, build: recurrence, bindings: new Map([["length", 5]]) },
];
