/** One operator as exporters spell it out in many, and what only looks like it: norms, rotary embeddings, LSTM cells, slices. */
import { integerAttribute, integersAttribute } from "../../compiler/graph/attribute.ts";
import type { Value } from "../../compiler/graph/graph.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";
import { type PassCase, passCase } from "./pass-case.ts";

export const spelledOutCases: readonly PassCase[] = [
  passCase("norm-as-torch-writes-it", (b) => {
    const x = b.input("x", "float32", [2, 3, 8]);
    const mean = (value: Value): Value =>
      b.add("ReduceMean", [value], { axes: integersAttribute([-1]) }, { version: 17 });
    const centred = b.add("Sub", [x, mean(x)]);
    const variance = mean(b.add("Pow", [centred, b.scalar("two", 2)]));
    const normal = b.add("Div", [centred, b.add("Sqrt", [b.add("Add", [variance, b.scalar("epsilon", 1e-5)])])]);
    b.output("y", b.add("Add", [b.add("Mul", [normal, b.weights("scale", 8)]), b.weights("shift", 8)]));
  }),
  passCase("norm-as-tensorflow-writes-it", (b) => {
    const x = b.input("x", "float32", [2, 3, 8]);
    const mean = b.add("GlobalAveragePool", [x]);
    const difference = b.add("Sub", [x, mean]);
    const variance = b.add("GlobalAveragePool", [b.add("Mul", [difference, difference])]);
    const root = b.add("Sqrt", [b.add("Add", [variance, b.scalar("epsilon", 1e-6)])]);
    const factor = b.add("Mul", [b.add("Reciprocal", [root]), b.weights("scale", 8)]);
    b.output(
      "y",
      b.add("Add", [b.add("Mul", [x, factor]), b.add("Sub", [b.weights("shift", 8), b.add("Mul", [mean, factor])])]),
    );
  }),
  passCase("rotary-halves", (b) => {
    // As PyTorch's rotate_half exports: heads first, one table entry an element.
    const heads = b.add("Transpose", [b.input("x", "float32", [2, 5, 3, 8])], {
      perm: integersAttribute([0, 2, 1, 3]),
    });
    const angles = b.input("angles", "float32", [1, 5, 4]);
    const table = b.add("Concat", [angles, angles], { axis: integerAttribute(-1) });
    const [cos, sin] = ["Cos", "Sin"].map((op) => b.add("Unsqueeze", [b.add(op, [table]), b.integers("one", 1)]));
    const part = (start: number, end: number): Value =>
      b.add("Slice", [heads, b.integers("s", start), b.integers("e", end), b.integers("a", -1)]);
    const rotation = b.add("Concat", [b.add("Neg", [part(4, 1000)]), part(0, 4)], { axis: integerAttribute(-1) });
    b.output("y", b.add("Add", [b.add("Mul", [heads, cos]), b.add("Mul", [rotation, sin])]));
  }),
  passCase("rotary-neighbours", (b) => {
    // As models written with complex numbers export: pairs on an axis of their own, one table entry a pair.
    const pairs = b.add("Reshape", [b.input("x", "float32", [1, 5, 24]), b.integers("pairs", 1, 5, 3, 4, 2)]);
    const parts = b
      .addNode("Split", [pairs], { axis: integerAttribute(-1) }, { outputs: ["real", "imaginary"] })
      .map((part) => b.add("Squeeze", [part, b.integers("last", -1)])) as [Value, Value];
    const [real, imaginary] = parts;
    const [cos, sin] = [b.weights("cos", 5, 1, 4), b.weights("sin", 5, 1, 4)];
    const turned = [
      b.add("Sub", [b.add("Mul", [real, cos]), b.add("Mul", [imaginary, sin])]),
      b.add("Add", [b.add("Mul", [real, sin]), b.add("Mul", [imaginary, cos])]),
    ].map((part) => b.add("Unsqueeze", [part, b.integers("last", -1)]));
    const joined = b.add("Concat", turned, { axis: integerAttribute(-1) });
    b.output("y", b.add("Reshape", [joined, b.integers("whole", 1, 5, 3, 8)]));
  }),
  passCase("rotary-every-other", (b) => {
    // As GPT-J exports: a strided slice each, put together as neighbours, one table entry an element.
    const x = b.input("x", "float32", [2, 3, 6]);
    const part = (start: number): Value =>
      b.add("Slice", [x, b.integers("s", start), b.integers("e", 1000), b.integers("a", -1), b.integers("t", 2)]);
    const neighbours = [b.add("Neg", [part(1)]), part(0)].map((value) =>
      b.add("Unsqueeze", [value, b.integers("last", -1)]),
    );
    const rotation = b.add("Reshape", [
      b.add("Concat", neighbours, { axis: integerAttribute(-1) }),
      b.integers("whole", 2, 3, 6),
    ]);
    const products = [
      b.add("Mul", [x, b.input("cos", "float32", [3, 6])]),
      b.add("Mul", [rotation, b.input("sin", "float32", [3, 6])]),
    ];
    b.output("y", b.add("Add", products));
  }),
  passCase("rotary-not-quite", (b) => {
    // The wrong half is negated, and a table that is not one entry an element: neither is the embedding.
    const x = b.input("x", "float32", [2, 3, 8]);
    const part = (start: number): Value =>
      b.add("Slice", [x, b.integers("s", start), b.integers("e", start + 4), b.integers("a", 2)]);
    const [cos, sin] = [b.input("cos", "float32", [3, 8]), b.input("sin", "float32", [3, 8])];
    const wrong = b.add("Concat", [part(4), b.add("Neg", [part(0)])], { axis: integerAttribute(2) });
    b.output("y", b.add("Add", [b.add("Mul", [x, cos]), b.add("Mul", [wrong, sin])]));
    const right = b.add("Concat", [b.add("Neg", [part(4)]), part(0)], { axis: integerAttribute(2) });
    b.output("z", b.add("Add", [b.add("Mul", [x, cos]), b.add("Mul", [right, b.input("one", "float32", [3, 1])])]));
  }),
  passCase("lstm-cell", (b) => {
    // As Keras exports a layer of one step: gates i f c o, the first product's weights one way round, both states used on.
    const [x, h, c] = [
      b.input("x", "float32", [2, 6]),
      b.input("h", "float32", [2, 4]),
      b.input("c", "float32", [2, 4]),
    ];
    const step = (input: Value, state: Value, cell: Value, size: number): readonly [Value, Value] => {
      const products = b.add("Add", [
        b.add("MatMul", [input, b.weights("w", size, 16)]),
        b.add("Gemm", [state, b.weights("r", 16, 4), b.weights("r_bias", 16)], { transB: integerAttribute(1) }),
      ]);
      const sum = b.add("Add", [b.weights("bias", 16), products]);
      const [i, f, g, o] = b.addNode(
        "Split",
        [sum],
        { axis: integerAttribute(1) },
        { outputs: ["i", "f", "g", "o"] },
      ) as [Value, Value, Value, Value];
      const kept = b.add("Mul", [b.add("Sigmoid", [f]), cell]);
      const next = b.add("Add", [kept, b.add("Mul", [b.add("Sigmoid", [i]), b.add("Tanh", [g])])]);
      return [b.add("Mul", [b.add("Tanh", [next]), b.add("Sigmoid", [o])]), next];
    };
    const [h1, c1] = step(x, h, c, 6);
    const [h2] = step(h1, h, c1, 4);
    b.output("h1", h1);
    b.output("c1", c1);
    b.output("h2", h2);
  }),
  passCase("lstm-cell-not-quite", (b) => {
    // Two gates are the same cut: no LSTM.
    const x = b.input("x", "float32", [2, 6]);
    const sum = b.add("Add", [
      b.add("MatMul", [x, b.weights("w", 6, 16)]),
      b.add("MatMul", [x, b.weights("r", 6, 16)]),
    ]);
    const [i, f, o] = b.addNode("Split", [sum], { axis: integerAttribute(1) }, { outputs: ["i", "f", "o", "p"] }) as [
      Value,
      Value,
      Value,
    ];
    const kept = b.add("Mul", [b.add("Sigmoid", [f]), b.input("c", "float32", [2, 4])]);
    const next = b.add("Add", [kept, b.add("Mul", [b.add("Sigmoid", [i]), b.add("Tanh", [i])])]);
    b.output("h", b.add("Mul", [b.add("Tanh", [next]), b.add("Sigmoid", [o])]));
  }),
  passCase("scatter-into-slices", (b) => {
    // As PyTorch exports y[:, 2:5] = a; y[:, :2] = b, in place in a tensor of zeros; then into a strided one, which stays.
    const box = (columns: readonly number[]): Value =>
      b.constant(
        "box",
        tensorOf(
          "int64",
          [2, columns.length, 2],
          [0, 1].flatMap((row) => columns.flatMap((column) => [row, column])),
        ),
      );
    const zeros = b.constant("zeros", tensorOf("float32", [2, 7, 3], new Float32Array(42)));
    const first = b.add("ScatterND", [zeros, box([2, 3, 4]), b.input("a", "float32", [2, 3, 3])]);
    const second = b.add("ScatterND", [first, box([0, 1]), b.input("b", "float32", [2, 2, 3])]);
    b.output("y", second);
    b.output("z", b.add("ScatterND", [second, box([1, 3]), b.input("c", "float32", [2, 2, 3])]));
    const row = b.constant("row", tensorOf("int64", [1, 1], [-1]));
    b.output("w", b.add("ScatterND", [second, row, b.input("d", "float32", [1, 7, 3])]));
  }),
  passCase("rms-norm-as-torch-writes-it", (b) => {
    const x = b.input("x", "float32", [2, 5, 8]);
    const square = b.add("Pow", [x, b.scalar("two", 2)]);
    const mean = b.add("ReduceMean", [square, b.integers("axes", -1)], {}, { version: 18 });
    const deviation = b.add("Sqrt", [b.add("Add", [mean, b.scalar("epsilon", 1e-6)])]);
    const normal = b.add("Mul", [x, b.add("Reciprocal", [deviation])]);
    b.output("y", b.add("Mul", [b.weights("scale", 8), normal]));
  }),
  passCase("rms-norm-as-a-quotient", (b) => {
    // Without a scale; the mean is read elsewhere too.
    const x = b.input("x", "float32", [2, 5, 8]);
    const mean = b.add("ReduceMean", [b.add("Mul", [x, x]), b.integers("axes", 1, 2)], {}, { version: 18 });
    b.output("y", b.add("Div", [x, b.add("Sqrt", [b.add("Add", [mean, b.scalar("epsilon", 1e-5)])])]));
    b.output("mean", mean);
  }),
];
