/** Values that share bytes: each small graph is one way to get their places wrong. */
import { describe, expect, test } from "vitest";
import { integerAttribute, integersAttribute } from "../../compiler/graph/attribute.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Graph, Value } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { optimise } from "../../compiler/pipeline.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";
import { randomTensor } from "../passes/pass-case.ts";
import { runPlanned } from "./execute.ts";
import { expectPlanned, expectRuns, randomInputs } from "./expect-planned.ts";

/** A builder with constants and joins in short. */
class PlacementBuilder extends GraphBuilder {
  constructor() {
    super("placement", inferNode);
  }

  image(name = "x"): Value {
    return this.input(name, "float32", [1, 4, 5, 6]);
  }

  weights(...shape: readonly number[]): Value {
    return this.constant("w", randomTensor(shape, shape.length + 40));
  }

  integers(...values: readonly number[]): Value {
    return this.constant("i", tensorOf("int64", [values.length], values));
  }

  join(axis: number, ...values: readonly Value[]): Value {
    return this.add("Concat", values, { axis: integerAttribute(axis) });
  }

  conv(x: Value, channels: number, pad = 1): Value {
    const size = 2 * pad + 1;
    const weights = this.weights(channels, x.type.shape[1] as number, size, size);
    return this.add("Conv", [x, weights], { pads: integersAttribute([pad, pad, pad, pad]) });
  }

  reshape(x: Value, ...shape: readonly number[]): Value {
    return this.add("Reshape", [x, this.integers(...shape)]);
  }
}

const graphs: Readonly<Record<string, (b: PlacementBuilder) => void>> = {
  "an output that is an input": (b) => {
    const x = b.image();
    b.output("x again", x);
    b.output("y", b.add("Relu", [x]));
  },
  "an output that is a constant": (b) => {
    b.output("constant", b.weights(2, 3));
    b.output("y", b.add("Relu", [b.image()]));
  },
  "one value as two outputs": (b) => {
    const y = b.add("Neg", [b.image()]);
    b.output("y", y);
    b.output("again", y);
  },
  "a view of an input as output": (b) => b.output("y", b.reshape(b.image(), 4, 30)),
  "two views of one value as outputs": (b) => {
    const y = b.add("Neg", [b.image()]);
    b.output("rows", b.reshape(y, 4, 30));
    b.output("columns", b.reshape(y, 30, 4));
    b.output("y", y);
  },
  "a view of a view of an output": (b) => {
    const y = b.add("Neg", [b.image()]);
    b.output("y", y);
    b.output("z", b.add("Abs", [b.reshape(b.reshape(y, 4, 30), 2, 60)]));
  },
  "an input that nothing reads": (b) => {
    b.image("unused");
    b.output("y", b.add("Relu", [b.image()]));
  },
  "a scalar input and a scalar result": (b) => {
    const x = b.input("x", "float32", []);
    b.output("y", b.add("Mul", [x, b.add("Sigmoid", [x])]));
  },
  "tensors without elements": (b) => {
    const x = b.input("x", "float32", [2, 0, 4]);
    b.output("y", b.add("Relu", [x]));
    b.output("joined", b.join(1, x, b.weights(2, 3, 4)));
    b.output("empty", b.join(2, x, x));
    b.output("sum", b.add("ReduceSum", [x, b.integers(1)]));
  },
  "a join of one value twice": (b) => {
    const y = b.add("Neg", [b.image()]);
    b.output("y", b.join(1, y, y));
  },
  "a join of an input, a constant and a result": (b) => {
    const x = b.image();
    b.output("y", b.join(1, x, b.weights(1, 2, 5, 6), b.add("Neg", [x])));
  },
  "a join of joins": (b) => {
    const x = b.image();
    const [one, two] = [b.conv(x, 3), b.conv(x, 5, 0)];
    b.output("y", b.join(1, b.join(1, one, two), b.conv(one, 2)));
  },
  "a member of two joins": (b) => {
    const x = b.image();
    const member = b.conv(x, 3);
    b.output("one", b.join(1, member, x));
    b.output("two", b.join(1, x, member));
  },
  "a member that is also an output": (b) => {
    const member = b.add("Neg", [b.image()]);
    b.output("member", member);
    b.output("joined", b.add("Abs", [b.join(1, member, b.add("Exp", [member]))]));
  },
  "several readers of a member: padded, plain, pooled, reduced": (b) => {
    const x = b.image();
    const member = b.conv(x, 8);
    const joined = b.join(1, b.conv(x, 4), member);
    b.output("joined", b.conv(joined, 3, 0));
    b.output("padded", b.conv(member, 8));
    b.output("pooled", b.add("MaxPool", [member], { kernel_shape: integersAttribute([2, 2]) }));
    b.output("mean", b.add("ReduceMean", [member, b.integers(2, 3)]));
    b.output("flat", b.add("Abs", [b.reshape(member, 8, 30)]));
  },
  "one value read with borders of two widths": (b) => {
    const y = b.add("Relu", [b.image()]);
    b.output("one", b.conv(y, 8, 1));
    b.output("two", b.conv(y, 8, 2));
    b.output("none", b.conv(y, 8, 0));
  },
  "a bordered value that is an output": (b) => {
    const y = b.conv(b.image(), 8);
    b.output("y", y);
    b.output("z", b.conv(y, 4));
  },
  "a residual over a bordered value": (b) => {
    const x = b.conv(b.image(), 8);
    const y = b.add("Add", [b.conv(b.add("Relu", [x]), 8), x]);
    b.output("y", b.conv(y, 8));
  },
  "heads that are reshaped and joined": (b) => {
    const x = b.image();
    const head = (y: Value): Value =>
      b.reshape(b.add("Transpose", [y], { perm: integersAttribute([0, 2, 3, 1]) }), 1, -1, 2);
    b.output("y", b.join(1, head(b.conv(x, 4)), head(b.conv(b.add("Relu", [x]), 6))));
  },
  "a join along the batch, of images": (b) => {
    const x = b.image();
    b.output("y", b.conv(b.join(0, b.conv(x, 8), b.conv(b.add("Relu", [x]), 8)), 4));
  },
  "parts of one value: every reader takes strides": (b) => {
    const y = b.add("Neg", [b.image()]);
    const row = b.add("Gather", [y, b.constant("i", tensorOf("int64", [], [-2]))], { axis: integerAttribute(2) });
    b.output("row", b.add("Abs", [b.add("Unsqueeze", [row, b.integers(1)])]));
    const odd = b.add("Slice", [y, b.integers(5), b.integers(0), b.integers(3), b.integers(-2)]);
    b.output("odd", b.add("Exp", [odd]));
    const turned = b.add("Transpose", [odd], { perm: integersAttribute([3, 1, 0, 2]) });
    b.output("turned", b.add("Sigmoid", [b.reshape(turned, 3, 4, 5)]));
    b.output("joined", b.join(3, b.add("Abs", [y]), odd));
  },
  "parts of one value: outputs, products and paddings need more": (b) => {
    const y = b.add("Neg", [b.image()]);
    const right = b.add("Slice", [y, b.integers(2), b.integers(6), b.integers(3)]);
    b.output("right", right);
    const lower = b.add("Slice", [y, b.integers(1), b.integers(4), b.integers(2)]);
    b.output("product", b.add("MatMul", [lower, b.weights(6, 3)]));
    b.output("sum", b.add("ReduceSum", [lower, b.integers(3)]));
    b.output("conv", b.conv(lower, 3));
    b.output("flat", b.add("Abs", [b.reshape(lower, 4, 18)]));
    b.output("flat right", b.add("Exp", [b.reshape(b.add("Transpose", [right]), 20, 4)]));
  },
  "a part of a part, of a bordered value": (b) => {
    const y = b.conv(b.image(), 8);
    b.output("y", b.conv(y, 8));
    const part = b.add("Slice", [y, b.integers(2), b.integers(7), b.integers(1)]);
    const inner = b.add("Slice", [part, b.integers(1), b.integers(4), b.integers(3)]);
    b.output("part", b.add("Abs", [part]));
    b.output("inner", b.add("Abs", [inner]));
    b.output("point", b.conv(part, 4, 0));
    b.output("padded", b.conv(inner, 4));
  },
  "parts of an input and of a member": (b) => {
    const x = b.image();
    const slice = (y: Value, start: number): Value =>
      b.add("Slice", [y, b.integers(start), b.integers(4), b.integers(1)]);
    const member = b.add("Neg", [slice(x, 1)]);
    const joined = b.join(1, member, slice(x, 2), b.add("Exp", [slice(member, 1)]));
    b.output("y", b.add("Abs", [slice(joined, 2)]));
  },
  "two parts of one value, joined the other way round": (b) => {
    const parts = b.addNode(
      "Split",
      [b.add("Neg", [b.image()]), b.integers(1, 3)],
      { axis: integerAttribute(1) },
      { outputs: ["a", "b"] },
    );
    b.output("y", b.join(1, ...[...parts].reverse()));
  },
};

function build(write: (b: PlacementBuilder) => void): Graph {
  const builder = new PlacementBuilder();
  write(builder);
  return builder.finish();
}

describe("places", () => {
  for (const [name, write] of Object.entries(graphs)) test(name, () => expectPlanned(build(write)));
});

describe("places in images of any height", () => {
  const symbolic: Readonly<Record<string, (b: PlacementBuilder, x: Value) => void>> = {
    "joins, borders of two widths, pools": (b, x) => {
      const [one, two] = [b.conv(x, 8), b.conv(x, 5, 2)];
      const joined = b.join(1, one, two, x);
      b.output("one", b.conv(one, 4, 2));
      b.output("joined", b.conv(joined, 8));
      b.output(
        "pooled",
        b.add("MaxPool", [joined], { kernel_shape: integersAttribute([2, 2]), strides: integersAttribute([2, 2]) }),
      );
      b.output("mean", b.add("GlobalAveragePool", [joined]));
    },
    "a residual, upsampled and joined": (b, x) => {
      const y = b.add("Add", [b.conv(b.add("Relu", [x]), 4), x]);
      const up = b.add("Resize", [b.conv(y, 8), undefined, b.constant("s", tensorOf("float32", [4], [1, 1, 2, 2]))]);
      b.output("y", b.conv(b.join(1, up, b.add("Relu", [up])), 4));
    },
    "parts: columns, the first row, axes turned": (b, x) => {
      const y = b.add("Neg", [x]);
      b.output("columns", b.add("Abs", [b.add("Slice", [y, b.integers(1), b.integers(3), b.integers(3)])]));
      b.output("row", b.add("Abs", [b.add("Gather", [y, b.integers(0)], { axis: integerAttribute(2) })]));
      const turned = b.add("Transpose", [y], { perm: integersAttribute([0, 2, 1, 3]) });
      b.output("turned", b.add("Exp", [b.add("Unsqueeze", [turned, b.integers(0)])]));
      b.output("below", b.add("Exp", [b.add("Slice", [y, b.integers(1), b.integers(99), b.integers(2)])]));
    },
    "heads in one list": (b, x) => {
      const head = (y: Value): Value =>
        b.reshape(b.add("Transpose", [y], { perm: integersAttribute([0, 2, 3, 1]) }), 1, -1, 2);
      b.output("y", b.add("Softmax", [b.join(1, head(b.conv(x, 4)), head(b.conv(b.add("Relu", [x]), 6)))]));
    },
    "a join along the height, a slice, a pad": (b, x) => {
      const joined = b.join(2, b.conv(x, 4), b.add("Neg", [x]));
      b.output("slice", b.conv(b.add("Slice", [joined, b.integers(1), b.integers(3), b.integers(2)]), 4));
      b.output("pad", b.add("Pad", [joined, b.integers(0, 0, 1, 2, 0, 0, 0, 1)]));
      b.output("norm", b.add("LayerNormalization", [joined, b.weights(6)]));
      b.output("product", b.add("MatMul", [joined, b.weights(6, 9)]));
    },
  };
  for (const [name, write] of Object.entries(symbolic))
    test(name, async () => {
      const builder = new PlacementBuilder();
      const height = builder.symbol("height", 4, 9);
      write(builder, builder.input("x", "float32", [1, 4, height, 6]));
      const heights = [9, 4, 7, 8].map((extent) => new Map([["height", extent]]));
      await expectRuns(builder.finish(), heights, 3);
    });
});

test("members of a join that convolutions write and read are not copied", async () => {
  const graph = optimise(
    build((b) => {
      const x = b.image();
      b.output("y", b.conv(b.join(1, b.conv(x, 8), b.conv(x, 4)), 8));
    }),
  );
  const { program } = await runPlanned(graph, [randomInputs(graph, 1)]);
  const border = "leafcutter.Border";
  const convolution = "leafcutter.Conv";
  expect(program.steps.map(({ op }) => op)).toEqual([
    border,
    "Transpose",
    border,
    convolution,
    convolution,
    convolution,
    "Transpose",
  ]);
});

test("a bordered value of the same shape twice keeps a clean border over runs with other values", async () => {
  const graph = build((b) => b.output("y", b.conv(b.conv(b.image(), 8), 8)));
  await expectPlanned(graph, undefined, 99);
});
