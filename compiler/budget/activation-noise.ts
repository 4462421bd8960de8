/**
 * What int8 activations do to a layer, in float code: the input of each layer that has such options passes through an elementwise
 * step that rounds it to a scale or, switched off, leaves it as it is. The switch is a constant, so that one
 * execution measures every option of every layer; it has a number for each channel, because code holds single numbers itself,
 * where they cannot be exchanged.
 */
import { binary, constant, type Expression, input, unary } from "../../runtime/format/expression.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { expressionAttribute } from "../graph/attribute.ts";
import type { Graph, Node, Value } from "../graph/graph.ts";
import { activationScale, type Calibration } from "../quantize/calibration.ts";
import type { Layer } from "./layers.ts";
import type { StoredTensor } from "./replace-constants.ts";

/** Positions of a switch's constants among the inputs of its step. */
const parts = ["on", "scale", "zero", "top"] as const;

export interface NoisyGraph {
  /** All switches off. */
  readonly graph: Graph;
  /** The switches' constants of each layer, by name; empty for those without int8 options. */
  readonly switches: ReadonlyMap<Layer, readonly string[]>;
  /** Switches as option `index` of every layer (its last when it has fewer) wants them. */
  settings(index: number): ReadonlyMap<Value, StoredTensor>;
}

export function withActivationNoise(
  graph: Graph,
  layers: readonly Layer[],
  calibration: Calibration | undefined,
): NoisyGraph {
  const constants = new Map(graph.constants);
  const switches = new Map<Layer, readonly Value[]>();
  const noisy = new Map<Node, { readonly step: Node; readonly output: Value }[]>();
  for (const layer of layers) {
    const isInteger = layer.options.some(({ scheme }) => scheme.kind === "int8");
    const name = layer.constant.name;
    const width = widthOf(layer);
    const values = isInteger && width > 1 ? parts.map((part): Value => vector(`${name}/${part}`, width)) : [];
    switches.set(layer, values);
    if (values.length === 0) continue;
    for (const [at, value] of values.entries()) constants.set(value, filled(width, at === 0 ? 0 : 1));
    for (const [at, node] of layer.nodes.entries()) {
      const x = node.inputs[0];
      if (!x) continue;
      const output: Value = { name: `${name}/rounded input ${at}`, type: x.type };
      const step: Node = {
        op: "leafcutter.Elementwise",
        version: 1,
        name: output.name,
        sources: [],
        inputs: [x, ...values],
        outputs: [output],
        attributes: { expression: expressionAttribute(rounding) },
      };
      noisy.set(node, [{ step, output }]);
    }
  }
  const nodes = graph.nodes.flatMap((node) => {
    const [noise] = noisy.get(node) ?? [];
    return noise ? [noise.step, { ...node, inputs: [noise.output, ...node.inputs.slice(1)] }] : [node];
  });
  return {
    graph: { ...graph, constants, nodes },
    switches: new Map([...switches].map(([layer, values]) => [layer, values.map(({ name }) => name)])),
    settings: (index) => {
      const settings = new Map<Value, StoredTensor>();
      for (const [layer, values] of switches)
        for (const [at, amount] of amountsOf(layer, index, calibration).entries()) {
          const value = values[at];
          if (value) settings.set(value, { tensor: filled(widthOf(layer), amount), storage: undefined });
        }
      return settings;
    },
  };
}

/** on, scale, zero and top of the layer with option `index`. */
function amountsOf(
  { nodes, options }: Layer,
  index: number,
  calibration: Calibration | undefined,
): readonly [number, number, number, number] {
  const scheme = options[Math.min(index, options.length - 1)]?.scheme;
  const range = calibration?.ranges.get(nodes[0]?.inputs[0]?.name ?? "");
  if (scheme?.kind !== "int8" || !range) return [0, 1, 0, 1];
  const { scale, zero } = activationScale(range, scheme.activationBits);
  return [1, scale, zero, 2 ** scheme.activationBits - 1];
}

/** Channels of what the layer reads; 0 where its readers differ in them. */
function widthOf({ nodes }: Layer): number {
  const [width, ...others] = new Set(nodes.map(({ inputs }) => inputs[0]?.type.shape.at(-1)));
  return others.length === 0 && typeof width === "number" ? width : 0;
}

const vector = (name: string, width: number): Value => ({ name, type: { dtype: "float32", shape: [width] } });
const filled = (width: number, value: number): Tensor =>
  tensorOf("float32", [width], new Float32Array(width).fill(value));

/** x + on * (scale * (clamp(round(x / scale) + zero, 0, top) - zero) - x) */
const rounding: Expression = (() => {
  const [x, on, scale, zero, top] = [0, 1, 2, 3, 4].map(input) as [
    Expression,
    Expression,
    Expression,
    Expression,
    Expression,
  ];
  const code = binary("add", unary("round", binary("divide", x, scale)), zero);
  const clamped = binary("minimum", binary("maximum", code, constant(0)), top);
  const rounded = binary("multiply", binary("subtract", clamped, zero), scale);
  return binary("add", x, binary("multiply", on, binary("subtract", rounded, x)));
})();
