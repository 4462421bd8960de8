/**
 * Layers: nodes of the canonical graph with constant weights that a scheme can round: convolutions, products and tables.
 */
import type { Tensor } from "../../runtime/format/tensor.ts";
import { integerOf } from "../graph/attribute.ts";
import type { Graph, Node, Value } from "../graph/graph.ts";
import type { WeightLayout } from "./weight-matrix.ts";

export interface Layer {
  readonly node: Node;
  readonly kind: "conv" | "conv-transpose" | "matmul" | "table";
  readonly weights: Value;
  readonly tensor: Tensor<"float32">;
  readonly layout: WeightLayout;
  /** 1 but for convolutions. */
  readonly groups: number;
}

/** Position of the weights among the node's inputs. */
export const weightInput = ({ op }: Node): number => (op === "Gather" ? 0 : 1);

export function layerOf(node: Node, graph: Graph): Layer | undefined {
  const weights = node.inputs[weightInput(node)];
  const tensor = weights && graph.constants.get(weights);
  if (!weights || tensor?.dtype !== "float32") return undefined;
  const layer = { node, weights, tensor: tensor as Tensor<"float32">, groups: integerOf(node, "group", 1) };
  const rank = tensor.shape.length;
  switch (node.op) {
    case "leafcutter.Conv":
      return { ...layer, kind: "conv", layout: { channelAxis: 0, contractionAxis: 1 } };
    case "leafcutter.ConvTranspose":
      return { ...layer, kind: "conv-transpose", layout: { channelAxis: 1, contractionAxis: 0 } };
    case "leafcutter.MatMul": {
      if (rank !== 2) return undefined;
      const transposed = integerOf(node, "transposeB", 0) !== 0;
      const layout = transposed ? { channelAxis: 0, contractionAxis: 1 } : { channelAxis: 1, contractionAxis: 0 };
      return { ...layer, kind: "matmul", layout };
    }
    case "Gather":
      if (rank !== 2 || integerOf(node, "axis", 0) !== 0) return undefined;
      return { ...layer, kind: "table", layout: { channelAxis: 0, contractionAxis: 1 } };
    default:
      return undefined;
  }
}

/** In order of the nodes. */
export const layersOf = (graph: Graph): readonly Layer[] => graph.nodes.flatMap((node) => layerOf(node, graph) ?? []);

/** Whether the integer kernels can compute it: convolutions and products of float32 activations. */
export const canBeInteger = ({ kind, node }: Layer): boolean =>
  (kind === "conv" || kind === "matmul") && node.inputs[0]?.type.dtype === "float32";
