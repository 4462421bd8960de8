/** Cases of LSTM, GRU and RNN: directions, ends of sequences, initial states, peepholes, clipping, activations, batch first. */
import { floatAttribute, integerAttribute, stringAttribute } from "../../../compiler/graph/attribute.ts";
import type { Attributes } from "../../../compiler/graph/graph.ts";
import { tensorOf } from "../../../runtime/format/tensor.ts";
import type { OperatorCase } from "../case.ts";
import { random } from "./window.ts";

interface Layer {
  readonly time?: number;
  readonly batch?: number;
  readonly input?: number;
  readonly hidden?: number;
  readonly direction?: "forward" | "reverse" | "bidirectional";
  readonly batchFirst?: boolean;
  readonly bias?: boolean;
  readonly lengths?: readonly number[];
  readonly initialH?: boolean;
  readonly initialC?: boolean;
  readonly peepholes?: boolean;
  readonly clip?: number;
  readonly activations?: readonly string[];
  readonly alpha?: readonly number[];
  readonly beta?: readonly number[];
  readonly flags?: readonly ("input_forget" | "linear_before_reset")[];
}

const gates = { LSTM: 4, GRU: 3, RNN: 1 } as const;
export type RecurrentOp = keyof typeof gates;

function recurrentCase(op: RecurrentOp, name: string, layer: Layer): OperatorCase {
  const { time = 4, batch = 2, input = 3, hidden = 5, direction = "forward", batchFirst = false } = layer;
  const directions = direction === "bidirectional" ? 2 : 1;
  const rows = gates[op] * hidden;
  const state = batchFirst ? [batch, directions, hidden] : [directions, batch, hidden];
  const attributes: Attributes = {
    hidden_size: integerAttribute(hidden),
    ...(direction === "forward" ? {} : { direction: stringAttribute(direction) }),
    ...(batchFirst ? { layout: integerAttribute(1) } : {}),
    ...(layer.clip === undefined ? {} : { clip: floatAttribute(layer.clip) }),
    ...(layer.activations ? { activations: { kind: "strings", value: layer.activations } } : {}),
    ...(layer.alpha ? { activation_alpha: { kind: "floats", value: layer.alpha } } : {}),
    ...(layer.beta ? { activation_beta: { kind: "floats", value: layer.beta } } : {}),
    ...Object.fromEntries((layer.flags ?? []).map((flag) => [flag, integerAttribute(1)])),
  };
  const inputs = [
    random(batchFirst ? [batch, time, input] : [time, batch, input], 1),
    random([directions, rows, input], 2),
    random([directions, rows, hidden], 3),
    layer.bias === false ? undefined : random([directions, 2 * rows], 4),
    layer.lengths && tensorOf("int32", [batch], layer.lengths),
    layer.initialH ? random(state, 5) : undefined,
    layer.initialC ? random(state, 6) : undefined,
    layer.peepholes ? random([directions, 3 * hidden], 7) : undefined,
  ];
  const last = inputs.findLastIndex((tensor) => tensor !== undefined);
  return {
    name,
    op,
    version: 14,
    inputs: inputs.slice(0, last + 1),
    attributes,
    outputCount: op === "LSTM" ? 3 : 2,
  };
}

const everyOp: Readonly<Record<string, Layer>> = {
  plain: {},
  "one step": { time: 1 },
  "one step of a row": { time: 1, batch: 1, hidden: 8, initialH: true },
  "one step of many rows": { time: 1, batch: 7, hidden: 9, initialH: true },
  "one step backwards": { time: 1, direction: "reverse", lengths: [0, 1] },
  "whole blocks": { hidden: 16, input: 9, batch: 4 },
  "no bias": { bias: false, batch: 1, hidden: 3 },
  reverse: { direction: "reverse", initialH: true },
  bidirectional: { direction: "bidirectional", hidden: 6, batch: 3, initialH: true },
  "batch first": { batchFirst: true, batch: 3, direction: "bidirectional", initialH: true },
  "ends of sequences": { batch: 4, lengths: [4, 2, 1, 3], initialH: true },
  "ends of sequences both ways": { batch: 3, lengths: [2, 4, 1], direction: "bidirectional", hidden: 4 },
  "ends of sequences, backwards": { batch: 3, lengths: [3, 1, 4], direction: "reverse" },
  clip: { clip: 0.4, hidden: 6 },
};

/** Activations f, g and h of LSTM, f and g of GRU, f of RNN, with their factors in the order of use. */
const activations: readonly (readonly [
  names: readonly string[],
  alpha?: readonly number[],
  beta?: readonly number[],
])[] = [
  [["Sigmoid", "Softsign", "Softplus"]],
  [
    ["HardSigmoid", "Affine", "ScaledTanh"],
    [0.3, 0.8, 1.2],
    [0.4, 0.1, 0.7],
  ],
  [
    ["Sigmoid", "LeakyRelu", "Elu"],
    [0.2, 0.7],
  ],
  [["HardSigmoid", "ThresholdedRelu", "LeakyRelu"], [0.2, 0.25, 0.3], [0.5]],
  [["Softplus", "Elu", "Tanh"], [0.9]],
  [["Softsign", "Sigmoid", "Relu"]],
  [["Sigmoid", "Relu", "Tanh"]],
];

function activationCases(op: RecurrentOp): readonly OperatorCase[] {
  const count = { LSTM: 3, GRU: 2, RNN: 1 }[op];
  return activations.map(([names, alpha, beta]) => {
    const used = names.slice(0, count);
    return recurrentCase(op, used.join(" "), {
      activations: used,
      ...(alpha ? { alpha } : {}),
      ...(beta ? { beta } : {}),
    });
  });
}

const casesOf = (op: RecurrentOp, further: Readonly<Record<string, Layer>>): readonly OperatorCase[] => [
  ...Object.entries({ ...everyOp, ...further }).map(([name, layer]) => recurrentCase(op, name, layer)),
  ...activationCases(op),
];

export const recurrentCases: readonly OperatorCase[] = [
  ...casesOf("LSTM", {
    "initial cell": { initialH: true, initialC: true, batch: 3 },
    "initial cell alone, batch first": { initialC: true, batchFirst: true, direction: "reverse" },
    peepholes: { peepholes: true, initialC: true, direction: "bidirectional" },
    "peepholes of one step": { peepholes: true, initialC: true, time: 1 },
    coupled: { flags: ["input_forget"], peepholes: true, initialC: true },
    "clip with peepholes": { clip: 0.3, peepholes: true, initialC: true },
  }),
  ...casesOf("GRU", {
    "linear before reset": { flags: ["linear_before_reset"] },
    "linear before reset, one step": { flags: ["linear_before_reset"], time: 1, batch: 5, hidden: 4, initialH: true },
    "linear before reset, both ways": {
      flags: ["linear_before_reset"],
      direction: "bidirectional",
      batch: 5,
      hidden: 8,
      initialH: true,
    },
    "linear before reset, clip": { flags: ["linear_before_reset"], clip: 0.3 },
    "linear before reset, no bias": { flags: ["linear_before_reset"], bias: false },
  }),
  ...casesOf("RNN", {}),
];
