/** Cases of the activations, with default and other attributes. */
import { floatAttribute, stringAttribute } from "../../../compiler/graph/attribute.ts";
import type { Attributes } from "../../../compiler/graph/graph.ts";
import type { DType } from "../../../runtime/format/dtype.ts";
import type { Tensor } from "../../../runtime/format/tensor.ts";
import { floatTypes, integerTypes, type OperatorCase, signedTypes, specials, tensor } from "../case.ts";

const forms: readonly (readonly [
  op: string,
  version: number,
  attributes?: Readonly<Record<string, number | string>>,
])[] = [
  ["Relu", 14],
  ["LeakyRelu", 16],
  ["LeakyRelu", 16, { alpha: 0.2 }],
  ["Sigmoid", 13],
  ["HardSigmoid", 22],
  ["HardSigmoid", 22, { alpha: 0.5, beta: 0.25 }],
  ["HardSwish", 22],
  ["Softplus", 22],
  ["Softsign", 22],
  ["Elu", 22],
  ["Elu", 22, { alpha: 2 }],
  ["Selu", 22],
  ["Selu", 22, { alpha: 2, gamma: 3 }],
  ["Celu", 12],
  ["Celu", 12, { alpha: 2 }],
  ["ThresholdedRelu", 22],
  ["ThresholdedRelu", 22, { alpha: 0.25 }],
  ["Gelu", 20],
  ["Gelu", 20, { approximate: "tanh" }],
  ["Mish", 22],
  ["Swish", 24],
  ["Swish", 24, { alpha: 1.5 }],
  ["Shrink", 9],
  ["Shrink", 9, { bias: 0.75, lambd: 1.25 }],
  ["com.microsoft.FastGelu", 1],
  ["com.microsoft.Gelu", 1],
  ["com.microsoft.QuickGelu", 1],
];

const attributesOf = (plain: Readonly<Record<string, number | string>>): Attributes =>
  Object.fromEntries(
    Object.entries(plain).map(([name, value]) => [
      name,
      typeof value === "string" ? stringAttribute(value) : floatAttribute(value),
    ]),
  );

const clip = (
  name: string,
  x: Tensor,
  low: number | undefined,
  high: number | undefined,
  expected?: readonly number[],
): OperatorCase => ({
  name,
  op: "Clip",
  version: 13,
  inputs: [x, ...[low, high].map((bound) => (bound === undefined ? undefined : tensor(x.dtype, [bound], [])))],
  attributes: {},
  ...(expected ? { expected: [tensor(x.dtype, expected)] } : {}),
});

const prelu = (dtype: DType, shape: readonly number[], slopes: readonly number[]): OperatorCase => ({
  name: `slope [${shape}] ${dtype}`,
  op: "PRelu",
  version: 16,
  inputs: [tensor(dtype, [-1, 2, -3, 4, -5, 6, 7, -8], [1, 2, 2, 2]), tensor(dtype, slopes, shape)],
  attributes: {},
});

const values = (dtype: DType): Tensor => tensor(dtype, [-3, -1, 0, 2, 5]);

export const activationCases: readonly OperatorCase[] = [
  ...forms.flatMap(([op, version, plain = {}]) =>
    floatTypes.map((dtype) => ({
      name: `special ${dtype} ${JSON.stringify(plain)}`,
      op,
      version,
      inputs: [specials(dtype)],
      attributes: attributesOf(plain),
    })),
  ),
  ...signedTypes.map((dtype) => ({ name: dtype, op: "Relu", version: 14, inputs: [specials(dtype)], attributes: {} })),
  ...(["com.microsoft.FastGelu", "com.microsoft.BiasGelu"] as const).map((op) => ({
    name: "bias",
    op,
    version: 1,
    inputs: [tensor("float32", [-2, -1, 0, 1, 2, 3], [2, 3]), tensor("float32", [0.5, -0.25, 1])],
    attributes: {},
  })),
  clip("both", values("float32"), -1, 2, [-1, -1, 0, 2, 2]),
  clip("only min", values("float32"), -1, undefined, [-1, -1, 0, 2, 5]),
  clip("only max", values("float32"), undefined, 2, [-3, -1, 0, 2, 2]),
  clip("neither", values("float32"), undefined, undefined, [-3, -1, 0, 2, 5]),
  clip("crossed", values("float32"), 3, 1, [1, 1, 1, 1, 1]),
  ...[...floatTypes, ...integerTypes].map((dtype) => clip(`special ${dtype}`, specials(dtype), 1, 6)),
  {
    name: "attributes",
    op: "Clip",
    version: 6,
    inputs: [values("float32")],
    attributes: { min: floatAttribute(-1), max: floatAttribute(2) },
    expected: [tensor("float32", [-1, -1, 0, 2, 2])],
  },
  prelu("float32", [2, 1, 1], [0.5, 0.25]),
  prelu("float16", [1], [0.5]),
  prelu("float64", [2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]),
  prelu("int32", [2], [2, 3]),
  prelu("int64", [2, 1, 1], [2, 3]),
];
