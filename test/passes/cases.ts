/** Small graphs, each there for a rule of some pass: optimised forms stand in golden/, results must not change. */
import {
  expressionAttribute,
  floatAttribute,
  integerAttribute,
  integersAttribute,
  stringAttribute,
} from "../../compiler/graph/attribute.ts";
import type { Value } from "../../compiler/graph/graph.ts";
import { binary, input, unary } from "../../runtime/format/expression.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";
import { attentionCases } from "./attention-cases.ts";
import { type PassCase, passCase } from "./pass-case.ts";
import { spelledOutCases } from "./spelled-out-cases.ts";

export const passCases: readonly PassCase[] = [
  ...attentionCases,
  ...spelledOutCases,
  passCase("conv-relu", (b) => {
    const x = b.input("x", "float32", [1, 3, 6, 5]);
    b.output("y", b.add("Relu", [b.conv("conv", x, 4, 3)]));
  }),
  passCase("residual-block", (b) => {
    const x = b.add("Relu", [b.conv("stem", b.input("x", "float32", [1, 3, 6, 5]), 4, 3)]);
    const inner = b.add("Clip", [b.conv("first", x, 4, 3), b.scalar("low", 0), b.scalar("high", 6)]);
    b.output("y", b.add("Relu", [b.add("Add", [b.conv("second", inner, 4, 1), x])]));
  }),
  passCase("silu-and-concat", (b) => {
    const x = b.input("x", "float32", [2, 4, 5, 5]);
    const silu = (value: Value): Value => b.add("Mul", [value, b.add("Sigmoid", [value])]);
    const joined = b.add("Concat", [silu(b.conv("left", x, 3, 3)), silu(b.conv("right", x, 5, 1))], {
      axis: integerAttribute(1),
    });
    b.output("y", silu(b.conv("last", joined, 4, 1)));
  }),
  passCase("squeeze-and-excite", (b) => {
    const x = b.add("HardSwish", [b.conv("stem", b.input("x", "float32", [2, 3, 6, 5]), 4, 3)]);
    const gate = b.add("HardSigmoid", [
      b.conv("expand", b.add("Relu", [b.conv("reduce", b.add("GlobalAveragePool", [x]), 2, 1)]), 4, 1),
    ]);
    b.output("y", b.conv("project", b.add("Mul", [x, gate]), 3, 1));
  }),
  passCase("batch-norm-after-conv", (b) => {
    const y = b.conv("conv", b.input("x", "float32", [1, 4, 5, 5]), 4, 3, 4);
    const norm = [b.weights("scale", 4), b.weights("shift", 4), b.weights("mean", 4), b.positive("variance", 4)];
    b.output("y", b.add("LeakyRelu", [b.add("BatchNormalization", [y, ...norm])], { alpha: floatAttribute(0.1) }));
  }),
  passCase("batch-norm-alone-and-affine", (b) => {
    const x = b.input("x", "float32", [1, 4, 5, 5]);
    const norm = [b.weights("scale", 4), b.weights("shift", 4), b.weights("mean", 4), b.positive("variance", 4)];
    const y = b.conv("conv", b.add("BatchNormalization", [x, ...norm]), 3, 3);
    b.output("y", b.add("Sub", [b.add("Div", [y, b.positive("divisor", 3, 1, 1)]), b.weights("offset", 1, 3, 1, 1)]));
  }),
  passCase("transposed-conv", (b) => {
    const x = b.input("x", "float32", [1, 4, 3, 3]);
    const attributes = {
      strides: integersAttribute([2, 2]),
      output_padding: integersAttribute([1, 0]),
      pads: integersAttribute([1, 1, 0, 1]),
      group: integerAttribute(2),
    };
    const y = b.add("ConvTranspose", [x, b.weights("w", 4, 3, 3, 2)], attributes);
    const scaled = b.add("Mul", [y, b.weights("factor", 6, 1, 1)]);
    b.output("y", b.add("PRelu", [scaled, b.weights("slope", 6, 1, 1)]));
  }),
  passCase("pools-and-padding", (b) => {
    const x = b.conv("conv", b.input("x", "float32", [1, 3, 7, 7]), 4, 3);
    const padded = b.add("Pad", [x, b.integers("pads", 0, 0, 1, 1, 0, 0, 1, 1)]);
    const average = b.add("AveragePool", [padded], {
      kernel_shape: integersAttribute([3, 3]),
      strides: integersAttribute([2, 2]),
    });
    const maximum = b.add("MaxPool", [x], {
      kernel_shape: integersAttribute([3, 3]),
      strides: integersAttribute([2, 2]),
      auto_pad: stringAttribute("SAME_UPPER"),
    });
    b.output("y", b.add("Add", [average, maximum]));
  }),
  passCase("explicit-padding-then-conv", (b) => {
    const padded = b.add("Pad", [b.input("x", "float32", [1, 3, 6, 6]), b.integers("pads", 0, 0, 0, 0, 0, 0, 1, 1)]);
    const attributes = { strides: integersAttribute([2, 2]) };
    b.output("y", b.add("Conv", [padded, b.weights("w", 4, 3, 3, 3)], attributes));
  }),
  passCase("one-dimensional", (b) => {
    const x = b.input("x", "float32", [2, 3, 12]);
    const y = b.add("Relu", [
      b.add("Conv", [x, b.weights("w", 4, 3, 3), b.weights("bias", 4)], {
        strides: integersAttribute([2]),
        pads: integersAttribute([1, 1]),
      }),
    ]);
    const z = b.add("Relu", [
      b.add("Conv", [y, b.weights("v", 4, 1, 3)], { group: integerAttribute(4), dilations: integersAttribute([2]) }),
    ]);
    b.output("y", b.add("MaxPool", [z], { kernel_shape: integersAttribute([2]) }));
  }),
  passCase("single-column", (b) => {
    const x = b.input("x", "float32", [2, 3, 9, 1]);
    const y = b.add("Relu", [
      b.add("Conv", [x, b.weights("w", 4, 3, 3, 1)], {
        pads: integersAttribute([1, 0, 1, 0]),
        strides: integersAttribute([2, 1]),
      }),
    ]);
    b.output("y", b.add("MaxPool", [y], { kernel_shape: integersAttribute([2, 1]) }));
  }),
  passCase("focus-slices", (b) => {
    const x = b.input("x", "float32", [1, 3, 8, 8]);
    const part = (row: number, column: number): Value => {
      const rows = b.add("Slice", [
        x,
        b.integers(`s${row}${column}`, row),
        b.integers(`e${row}${column}`, 2 ** 40),
        b.integers(`a${row}${column}`, 2),
        b.integers(`t${row}${column}`, 2),
      ]);
      return b.add("Slice", [
        rows,
        b.integers(`c${row}${column}`, column),
        b.integers(`f${row}${column}`, 2 ** 40),
        b.integers(`b${row}${column}`, 3),
        b.integers(`u${row}${column}`, 2),
      ]);
    };
    b.output(
      "y",
      b.conv(
        "stem",
        b.add("Concat", [part(0, 0), part(1, 0), part(0, 1), part(1, 1)], { axis: integerAttribute(1) }),
        4,
        3,
      ),
    );
  }),
  passCase("detection-head", (b) => {
    const x = b.conv("stem", b.input("x", "float32", [1, 3, 6, 4]), 4, 3);
    const flat = (value: Value, channels: number): Value =>
      b.add("Reshape", [value, b.integers(`shape${channels}`, 1, channels, -1)]);
    const boxes = flat(b.conv("boxes", x, 4, 1), 4);
    const scores = flat(b.add("Sigmoid", [b.conv("scores", x, 2, 1)]), 2);
    const all = b.add("Concat", [boxes, scores], { axis: integerAttribute(1) });
    b.output("y", b.add("Transpose", [all], { perm: integersAttribute([0, 2, 1]) }));
  }),
  passCase("axes-follow-the-layout", (b) => {
    const x = b.conv("stem", b.input("x", "float32", [2, 3, 4, 5]), 4, 3);
    const pieces = b.addNode(
      "Split",
      [x, b.integers("split", 1, 3)],
      { axis: integerAttribute(1) },
      { outputs: ["small", "large"] },
    );
    const [small, large] = [pieces[0] as Value, pieces[1] as Value];
    const soft = b.add("Softmax", [large], { axis: integerAttribute(1) });
    const mean = b.add("ReduceMean", [soft, b.integers("axes", -1)], { keepdims: integerAttribute(0) });
    const best = b.add("ArgMax", [x], { axis: integerAttribute(1), keepdims: integerAttribute(0) });
    b.output("mean", mean);
    b.output("best", best);
    b.output(
      "padded",
      b.conv(
        "last",
        b.add("Pad", [small, b.integers("pads", 0, 0, 1, 0, 0, 0, 0, 2)], { mode: stringAttribute("reflect") }),
        2,
        1,
      ),
    );
  }),
  passCase("classifier", (b) => {
    const x = b.add("Relu", [b.conv("stem", b.input("x", "float32", [2, 3, 4, 4]), 6, 3)]);
    const pooled = b.add("ReduceMean", [x, b.integers("axes", 2, 3)]);
    const flat = b.add("Flatten", [pooled], { axis: integerAttribute(1) });
    const hidden = b.add("Relu", [
      b.add("Gemm", [flat, b.weights("w", 5, 6), b.weights("c", 5)], {
        transB: integerAttribute(1),
        alpha: floatAttribute(0.5),
        beta: floatAttribute(2),
      }),
    ]);
    b.output(
      "y",
      b.add("Softmax", [b.add("Add", [b.add("MatMul", [hidden, b.weights("v", 5, 3)]), b.weights("bias", 3)])], {
        axis: integerAttribute(-1),
      }),
    );
  }),
  passCase("flattened-into-product", (b) => {
    const x = b.conv("stem", b.input("x", "float32", [2, 3, 4, 5]), 4, 3);
    const flat = b.add("Flatten", [x]);
    b.output("y", b.add("Gemm", [flat, b.weights("w", 6, 80), b.weights("c", 6)], { transB: integerAttribute(1) }));
    b.output("z", b.add("MatMul", [flat, b.weights("v", 80, 3)]));
  }),
  passCase("einsum", (b) => {
    const x = b.input("x", "float32", [2, 3, 4, 5]);
    const y = b.add("Einsum", [x, b.weights("w", 4, 5, 6)], { equation: stringAttribute("abcd,cde->abe") });
    b.output("y", b.add("Einsum", [b.weights("v", 2, 6, 7), y], { equation: stringAttribute("aec, abe -> abc") }));
    b.output("z", b.add("Einsum", [x, x], { equation: stringAttribute("bqhd,bkhd->bhqk") }));
  }),
  passCase("one-hot-product", (b) => {
    const ids = b.input("ids", "int32", [1, 12, 1]);
    const counting = b.constant("counting", tensorOf("int32", [1, 1, 5], [0, 1, 2, 3, 4]));
    const encoded = b.add("Cast", [b.add("Equal", [ids, counting])], { to: integerAttribute(1) });
    const product = b.add("MatMul", [encoded, b.weights("table", 5, 3)]);
    b.output(
      "y",
      b.add("Mul", [
        b.add("Tanh", [b.add("Add", [product, b.weights("bias", 3)])]),
        b.input("x", "float32", [1, 12, 3]),
      ]),
    );
  }),
  passCase("gelu", (b) => {
    const y = b.add("MatMul", [b.input("x", "float32", [3, 4]), b.weights("w", 4, 5)]);
    const inner = b.add("Add", [b.add("Erf", [b.add("Div", [y, b.scalar("root", Math.SQRT2)])]), b.scalar("one", 1)]);
    b.output("y", b.add("Mul", [b.add("Mul", [y, inner]), b.scalar("half", 0.5)]));
  }),
  passCase("elementwise-chains", (b) => {
    const x = b.input("x", "float32", [2, 3]);
    const y = b.input("y", "float32", [3]);
    const shared = b.add("Exp", [x]);
    const sum = b.add("Add", [b.add("Mul", [shared, y]), b.add("Tanh", [shared])]);
    const where = b.add("Where", [b.add("Greater", [sum, y]), sum, b.add("Neg", [y])]);
    b.output("where", where);
    b.output("power", b.add("Pow", [sum, b.scalar("two", 2)]));
    b.output("whole", b.add("Cast", [where], { to: integerAttribute(6) }));
  }),
  passCase("nothing-done", (b) => {
    const x = b.input("x", "float32", [2, 3]);
    const same = b.add("Dropout", [b.add("Identity", [b.add("Cast", [x], { to: integerAttribute(1) })])]);
    const back = b.add("Transpose", [b.add("Transpose", [same], { perm: integersAttribute([1, 0]) })], {
      perm: integersAttribute([1, 0]),
    });
    b.output("y", b.add("Reshape", [back, b.integers("shape", 2, 3)]));
    b.output("z", b.add("Relu", [back]));
  }),
  passCase("duplicates-and-constants", (b) => {
    const x = b.input("x", "float32", [4]);
    const double = (name: string): Value =>
      b.add("Mul", [x, b.add("Add", [b.scalar(`${name}.one`, 1), b.scalar(`${name}.more`, 1)])]);
    b.output("y", b.add("Sub", [b.add("Cos", [double("a")]), b.add("Sin", [double("b")])]));
  }),
  passCase(
    "symbolic-shape-arithmetic",
    (b) => {
      const x = b.input("x", "float32", [b.symbol("batch", 1, 4), 4, 6]);
      const shape = b.add("Shape", [x]);
      const batch = b.add("Gather", [shape, b.constant("zero", tensorOf("int64", [], [0]))]);
      const row = b.add("Unsqueeze", [batch, b.integers("front", 0)]);
      const target = b.add("Concat", [row, b.integers("rest", 24)], { axis: integerAttribute(0) });
      const wide = b.add("Concat", [row, b.integers("more", 3)], { axis: integerAttribute(0) });
      const flat = b.add("Relu", [b.add("MatMul", [b.add("Reshape", [x, target]), b.weights("w", 24, 3)])]);
      b.output("y", b.add("Add", [flat, b.add("Expand", [b.weights("row", 3), wide])]));
    },
    new Map([["batch", 3]]),
  ),
  passCase(
    "symbolic-batch-convolution",
    (b) => {
      const x = b.input("x", "float32", [b.symbol("batch", 1, 4), 3, 6, 6]);
      const y = b.add("Relu", [b.conv("conv", x, 4, 3)]);
      b.output(
        "y",
        b.add("Softmax", [b.add("Flatten", [b.add("GlobalAveragePool", [y])])], { axis: integerAttribute(1) }),
      );
    },
    new Map([["batch", 2]]),
  ),
  passCase("channel-shuffle", (b) => {
    const x = b.conv("first", b.input("x", "float32", [1, 4, 3, 3]), 4, 1, 2);
    const groups = b.add("Reshape", [x, b.integers("split", 1, 2, 2, 3, 3)]);
    const swapped = b.add("Transpose", [groups], { perm: integersAttribute([0, 2, 1, 3, 4]) });
    b.output("y", b.conv("second", b.add("Reshape", [swapped, b.integers("join", 1, 4, 3, 3)]), 4, 3, 4));
  }),
  passCase("pixel-shuffle-and-resize", (b) => {
    const x = b.conv("first", b.input("x", "float32", [1, 1, 4, 3]), 8, 3);
    const shuffled = b.add("DepthToSpace", [x], { blocksize: integerAttribute(2), mode: stringAttribute("CRD") });
    const scales = b.constant("scales", tensorOf("float32", [4], [1, 1, 2, 2]));
    const resized = b.add("Resize", [shuffled, undefined, scales], { mode: stringAttribute("nearest") });
    b.output("y", b.conv("second", resized, 2, 1));
  }),
  passCase("half-precision", (b) => {
    const x = b.input("x", "float16", [2, 4]);
    const w = b.constant("w", {
      dtype: "float16",
      shape: [4, 3],
      data: Uint16Array.from({ length: 12 }, (_, index) => 0x3800 + 37 * index),
    });
    b.output("y", b.add("Relu", [b.add("MatMul", [x, w])]));
    b.output("n", b.add("Cast", [b.add("Cast", [x], { to: integerAttribute(10) })], { to: integerAttribute(1) }));
  }),
  passCase("already-canonical", (b) => {
    const x = b.input("x", "float32", [2, 3]);
    const expression = binary("multiply", input(0), unary("sigmoid", input(1)));
    b.output(
      "y",
      b.add("leafcutter.Elementwise", [x, b.input("gate", "float32", [3])], {
        expression: expressionAttribute(expression),
      }),
    );
  }),
];
