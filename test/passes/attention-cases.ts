/** Attention as exporters spell it out: every form that recognise-attention knows, and some it must leave alone. */
import { integerAttribute, integersAttribute } from "../../compiler/graph/attribute.ts";
import type { Value } from "../../compiler/graph/graph.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";
import { type CaseBuilder, type PassCase, passCase } from "./pass-case.ts";

const last = { axis: integerAttribute(-1) };

const transposed = (b: CaseBuilder, x: Value, ...perm: readonly number[]): Value =>
  b.add("Transpose", [x], { perm: integersAttribute(perm) });

const reshaped = (b: CaseBuilder, x: Value, ...shape: readonly number[]): Value =>
  b.add("Reshape", [x, b.integers("shape", ...shape)]);

const product = (b: CaseBuilder, left: Value, right: Value): Value => b.add("MatMul", [left, right]);
const softmax = (b: CaseBuilder, scores: Value): Value => b.add("Softmax", [scores], last);

/** Queries, keys and values [2, 3, 5, 4], [2, 3, 7, 4] and [2, 3, 7, 6] as inputs. */
const operands = (b: CaseBuilder): readonly [Value, Value, Value] => [
  b.input("q", "float32", [2, 3, 5, 4]),
  b.input("k", "float32", [2, 3, 7, 4]),
  b.input("v", "float32", [2, 3, 7, 6]),
];

/** An attention of [2, 3] heads whose scores go through `between`. */
const between = (name: string, change: (b: CaseBuilder, scores: Value) => Value): PassCase =>
  passCase(name, (b) => {
    const [q, k, v] = operands(b);
    const scores = product(b, q, transposed(b, k, 0, 1, 3, 2));
    b.output("y", product(b, softmax(b, change(b, scores)), v));
  });

export const attentionCases: readonly PassCase[] = [
  passCase("attention", (b) => {
    const x = b.input("x", "float32", [2, 4, 6]);
    const heads = (name: string, order: readonly number[]): Value => {
      const projected = b.add("Add", [b.add("MatMul", [x, b.weights(`${name}.w`, 6, 6)]), b.weights(`${name}.b`, 6)]);
      return b.add("Transpose", [b.add("Reshape", [projected, b.integers(`${name}.shape`, 0, 0, 2, 3)])], {
        perm: integersAttribute(order),
      });
    };
    const scores = b.add("Div", [
      b.add("MatMul", [heads("q", [0, 2, 1, 3]), heads("k", [0, 2, 3, 1])]),
      b.scalar("root", Math.sqrt(3)),
    ]);
    const mixed = b.add("MatMul", [
      b.add("Softmax", [scores], { axis: integerAttribute(-1) }),
      heads("v", [0, 2, 1, 3]),
    ]);
    const joined = b.add("Reshape", [
      b.add("Transpose", [mixed], { perm: integersAttribute([0, 2, 1, 3]) }),
      b.integers("joined", 0, 0, 6),
    ]);
    b.output("y", b.add("Add", [b.add("MatMul", [joined, b.weights("o", 6, 6)]), x]));
  }),
  passCase("attention-guarded", (b) => {
    const [q, k, v] = operands(b);
    const root = b.scalar("root", 0.7);
    const scaledKeys = b.add("Mul", [reshaped(b, transposed(b, reshaped(b, k, 6, 7, 4), 0, 2, 1), 2, 3, 4, 7), root]);
    const hidden = b.add("Where", [
      b.input("visible", "bool", [2, 1, 5, 7]),
      b.scalar("zero", 0),
      b.scalar("low", -3.4028234663852886e38),
    ]);
    const scores = b.add("Add", [product(b, b.add("Mul", [q, root]), scaledKeys), hidden]);
    const weights = softmax(b, scores);
    const guarded = b.add("Where", [b.add("IsNaN", [weights]), b.scalar("nothing", 0), weights]);
    b.output("y", product(b, guarded, v));
  }),
  passCase("attention-three-axes", (b) => {
    const x = b.input("x", "float32", [2, 5, 12]);
    const heads = (name: string): Value =>
      reshaped(b, transposed(b, reshaped(b, product(b, x, b.weights(name, 12, 12)), 2, 5, 3, 4), 0, 2, 1, 3), 6, 5, 4);
    const scores = product(b, heads("q"), transposed(b, heads("k"), 0, 2, 1));
    const masked = b.add("Where", [
      b.input("hidden", "bool", [2, 1, 1, 5]),
      b.scalar("low", -1e9),
      reshaped(b, scores, 2, 3, 5, 5),
    ]);
    const mixed = product(b, reshaped(b, softmax(b, masked), 6, 5, 5), heads("v"));
    b.output("y", reshaped(b, transposed(b, reshaped(b, mixed, 2, 3, 5, 4), 0, 2, 1, 3), 2, 5, 12));
  }),
  passCase(
    "attention-any-length",
    (b) => {
      const [batch, seq, past] = [b.symbol("batch", 1, 3), b.symbol("seq", 1, 8), b.symbol("past", 1, 8)];
      const x = b.input("x", "float32", [batch, seq, 12]);
      const heads = (name: string, width: number): Value => {
        const projected = product(b, x, b.weights(name, 12, width));
        return transposed(b, reshaped(b, projected, 0, 0, width / 4, 4), 0, 2, 1, 3);
      };
      const cached = (name: string): Value =>
        b.add("Concat", [b.input(`past ${name}`, "float32", [batch, 3, past, 4]), heads(name, 12)], {
          axis: integerAttribute(2),
        });
      const scores = product(b, heads("q", 12), transposed(b, cached("k"), 0, 1, 3, 2));
      const mixed = product(b, softmax(b, b.add("Mul", [scores, b.scalar("scale", 0.5)])), cached("v"));
      b.output("y", reshaped(b, transposed(b, mixed, 0, 2, 1, 3), 0, 0, 12));
    },
    new Map([
      ["batch", 2],
      ["seq", 3],
      ["past", 5],
    ]),
  ),
  passCase("attention-keys-first", (b) => {
    const [q, k, v] = operands(b);
    const scores = transposed(b, product(b, k, transposed(b, q, 0, 1, 3, 2)), 0, 1, 3, 2);
    b.output("y", product(b, softmax(b, b.add("Mul", [scores, b.scalar("scale", 0.5)])), v));
  }),
  passCase("attention-grouped-heads", (b) => {
    const q = b.input("q", "float32", [1, 6, 1, 4]);
    const cache = (name: string): Value =>
      b.add(
        "Concat",
        [b.input(`past ${name}`, "float32", [1, 2, 7, 4]), b.input(`new ${name}`, "float32", [1, 2, 1, 4])],
        {
          axis: integerAttribute(2),
        },
      );
    const repeated = (x: Value): Value => {
      const wide = b.add("Expand", [reshaped(b, x, 1, 2, 1, 8, 4), b.integers(`wide ${x.name}`, 1, 2, 3, 8, 4)]);
      return reshaped(b, wide, 1, 6, 8, 4);
    };
    const [k, v] = [cache("k"), cache("v")];
    const scores = b.add("Mul", [product(b, q, transposed(b, repeated(k), 0, 1, 3, 2)), b.scalar("scale", 0.5)]);
    b.output(
      "y",
      product(b, softmax(b, b.add("Add", [scores, b.input("mask", "float32", [1, 1, 1, 8])])), repeated(v)),
    );
    b.output("present k", k);
    b.output("present v", v);
  }),
  passCase("attention-one-key-head", (b) => {
    const [q, k, v] = [
      b.input("q", "float32", [2, 3, 5, 4]),
      b.input("k", "float32", [2, 1, 7, 4]),
      b.input("v", "float32", [2, 1, 7, 4]),
    ];
    b.output("y", product(b, softmax(b, product(b, q, transposed(b, k, 0, 1, 3, 2))), v));
  }),
  passCase("attention-windows", (b) => {
    const [q, k, v] = [
      b.input("q", "float32", [4, 3, 5, 4]),
      b.input("k", "float32", [4, 3, 5, 4]),
      b.input("v", "float32", [4, 3, 5, 4]),
    ];
    const biased = b.add("Add", [product(b, q, transposed(b, k, 0, 1, 3, 2)), b.weights("bias", 1, 3, 5, 5)]);
    const windowed = b.add("Add", [reshaped(b, biased, 2, 2, 3, 5, 5), b.weights("windows", 1, 2, 1, 5, 5)]);
    b.output("y", product(b, softmax(b, reshaped(b, windowed, 4, 3, 5, 5)), v));
  }),
  between("attention-scaled-mask", (b, scores) =>
    b.add("Mul", [b.add("Add", [scores, b.weights("bias", 3, 5, 7)]), b.scalar("scale", 0.5)]),
  ),
  between("attention-softcap", (b, scores) => {
    const capped = b.add("Mul", [
      b.add("Tanh", [b.add("Div", [b.add("Mul", [scores, b.scalar("scale", 3)]), b.scalar("cap", 2)])]),
      b.scalar("cap again", 2),
    ]);
    return b.add("Add", [capped, b.weights("bias", 5, 7)]);
  }),
  between("attention-constant-condition", (b, scores) => {
    const causal = Array.from({ length: 35 }, (_, index) => Number(index % 7 <= Math.floor(index / 7) + 2));
    return b.add("Where", [
      b.constant("causal", tensorOf("bool", [1, 1, 5, 7], causal)),
      scores,
      b.scalar("low", -1e4),
    ]);
  }),
  // A row of which every key may be replaced has another meaning than one with a number added.
  between("attention-not-quite", (b, scores) =>
    b.add("Where", [b.input("visible", "bool", [2, 1, 5, 7]), scores, b.scalar("low", -1e4)]),
  ),
  passCase("attention-weights-shown", (b) => {
    const [q, k, v] = operands(b);
    const weights = softmax(b, product(b, q, transposed(b, k, 0, 1, 3, 2)));
    b.output("weights", weights);
    b.output("y", product(b, weights, v));
  }),
];
