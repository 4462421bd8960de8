/** What a case of the passes is: a name and a graph, built with the few things that cases write again and again. */
import { integerAttribute, integersAttribute } from "../../compiler/graph/attribute.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Graph, Value } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { type Tensor, tensorOf, zeros } from "../../runtime/format/tensor.ts";

export interface PassCase {
  readonly name: string;
  readonly build: () => Graph;
  /** Values of the symbols when results are compared. */
  readonly bindings?: ReadonlyMap<string, number>;
}

export function randomTensor(shape: readonly number[], seed: number): Tensor {
  const tensor = zeros("float32", shape);
  fillRandom("float32", tensor.data, seed);
  return tensor;
}

/** A builder with the few things that the cases write again and again. */
export class CaseBuilder extends GraphBuilder {
  #seed = 1;

  constructor(name: string) {
    super(name, inferNode);
  }

  weights(name: string, ...shape: readonly number[]): Value {
    return this.constant(name, randomTensor(shape, this.#seed++));
  }

  /** Positive numbers: variances, divisors. */
  positive(name: string, ...shape: readonly number[]): Value {
    const tensor = randomTensor(shape, this.#seed++);
    return this.constant(
      name,
      tensorOf(
        "float32",
        shape,
        Array.from(tensor.data as Float32Array, (value) => 1.5 + value),
      ),
    );
  }

  scalar(name: string, value: number): Value {
    return this.constant(name, tensorOf("float32", [], [value]));
  }

  integers(name: string, ...values: readonly number[]): Value {
    return this.constant(name, tensorOf("int64", [values.length], values));
  }

  conv(name: string, x: Value, channels: number, kernel: number, ...[group = 1]: readonly number[]): Value {
    const weights = this.weights(`${name}.w`, channels, (x.type.shape[1] as number) / group, kernel, kernel);
    const pads = integersAttribute(new Array<number>(4).fill(Math.floor(kernel / 2)));
    return this.add(
      "Conv",
      [x, weights, this.weights(`${name}.b`, channels)],
      { pads, group: integerAttribute(group) },
      { name },
    );
  }
}

const build =
  (name: string, fill: (builder: CaseBuilder) => void): (() => Graph) =>
  () => {
    const builder = new CaseBuilder(name);
    fill(builder);
    return builder.finish();
  };

export const passCase = (
  name: string,
  fill: (builder: CaseBuilder) => void,
  bindings?: ReadonlyMap<string, number>,
): PassCase => ({
  name,
  build: build(name, fill),
  ...(bindings ? { bindings } : {}),
});
