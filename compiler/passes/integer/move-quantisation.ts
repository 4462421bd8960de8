/**
 * Lets integers travel: DequantizeLinear sinks below operators that only move or select values, QuantizeLinear rises
 * above them, and where the two meet with equal parameters both vanish. Valid because one scale and zero point for the
 * whole tensor is a monotone function of each element alone.
 */
import { tensorOf } from "../../../runtime/format/tensor.ts";
import { floatOf, stringOf } from "../../graph/attribute.ts";
import type { Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import { rewritePass } from "../pass.ts";
import {
  dequantisedBy,
  emitDequantise,
  emitQuantise,
  type Quantisation,
  quantisationOf,
  rangeOf,
  sameQuantisation,
} from "../quantisation.ts";

export const moveQuantisation = rewritePass(
  "move-quantisation",
  "views, joins and pools between integer kernels move bytes instead of floats",
  (node, context) => (node.op === "QuantizeLinear" ? rise(node, context) : sink(node, context)),
);

/** How an operator treats the values that it moves. */
interface Movement {
  /** Inputs whose values end up in the output; the others are parameters. */
  readonly data: (node: Node) => readonly number[];
  /** Whether this form of it is such an operator. */
  readonly applies: (node: Node, context: RewriteContext) => boolean;
  /** Whether the output has fewer elements, so that quantising in front of it is more work. */
  readonly shrinks: boolean;
}

const first = (): readonly number[] => [0];
const always = (): boolean => true;
const mover: Movement = { data: first, applies: always, shrinks: false };
const nearest: Movement = {
  ...mover,
  applies: (node) =>
    stringOf(node, "mode", "nearest") === "nearest" &&
    stringOf(node, "coordinate_transformation_mode", "") !== "tf_crop_and_resize",
};
const selector: Movement = { ...mover, shrinks: true };

const movements: Readonly<Record<string, Movement>> = {
  Reshape: mover,
  Transpose: mover,
  Expand: mover,
  Tile: mover,
  DepthToSpace: mover,
  SpaceToDepth: mover,
  Concat: { ...mover, data: (node) => node.inputs.map((_, index) => index) },
  Resize: nearest,
  Upsample: nearest,
  Pad: { ...mover, applies: (node, context) => fillOf(node, context) !== undefined },
  Slice: selector,
  Gather: selector,
  ReduceMax: selector,
  ReduceMin: selector,
  "leafcutter.Pool": {
    ...selector,
    applies: (node) => stringOf(node, "mode", "") === "max" && !node.attributes.epilogue,
  },
};

function movementOf(node: Node | undefined, context: RewriteContext): Movement | undefined {
  const movement = node && movements[node.op];
  return movement && node.outputs.length === 1 && movement.applies(node, context) ? movement : undefined;
}

/** What a Pad fills with; none where it repeats values. undefined when that is not known. */
function fillOf(node: Node, context: RewriteContext): number | "none" | undefined {
  if (stringOf(node, "mode", "constant") !== "constant") return "none";
  const value = node.inputs[2];
  if (!value) return floatOf(node, "value", 0);
  const tensor = context.constant(value);
  return tensor?.dtype === "float32" ? (tensor.data[0] as number) : undefined;
}

/** The inputs of `node` with `data` in place of what it moves, and what it fills with in integers. */
function movedInputs(
  node: Node,
  data: ReadonlyMap<number, Value>,
  quantisation: Quantisation,
  context: RewriteContext,
): readonly (Value | undefined)[] | undefined {
  const inputs: (Value | undefined)[] = node.inputs.map((value, index) => data.get(index) ?? value);
  const fill = node.op === "Pad" ? fillOf(node, context) : "none";
  if (fill === "none" || fill === undefined) return inputs;
  const [low, high] = rangeOf[quantisation.dtype];
  const integer = Math.round(fill / quantisation.scale) + quantisation.zero;
  if ((integer - quantisation.zero) * quantisation.scale !== fill || integer < low || integer > high) return undefined;
  inputs[2] = context.addConstant(`${node.name}/fill`, tensorOf(quantisation.dtype, [], [integer]));
  return inputs;
}

/** All that the operator moves comes from integers of one kind: it moves those. */
function sink(node: Node, context: RewriteContext): Value | undefined {
  const movement = movementOf(node, context);
  if (!movement) return undefined;
  const data = new Map<number, Value>();
  let common: Quantisation | undefined;
  for (const index of movement.data(node)) {
    const from = dequantisedBy(node.inputs[index], context);
    if (!from || (common && !sameQuantisation(common, from.quantisation))) return undefined;
    common = from.quantisation;
    data.set(index, from.source);
  }
  const inputs = common && movedInputs(node, data, common, context);
  if (!common || !inputs) return undefined;
  const { value: _, ...attributes } = node.attributes;
  const moved = context.emit(node.op, inputs, node.op === "Pad" ? attributes : node.attributes);
  return emitDequantise(context, moved, common, `${node.name}/dequantise`);
}

function rise(node: Node, context: RewriteContext): Value | undefined {
  const quantisation = quantisationOf(node, context);
  const x = node.inputs[0] as Value;
  if (!quantisation) return undefined;
  const back = dequantisedBy(x, context);
  if (back && sameQuantisation(back.quantisation, quantisation)) return back.source;
  const producer = context.producer(x);
  const movement = movementOf(producer, context);
  if (!producer || !movement || !context.isOnlyUse(x, node)) return undefined;
  const sources = movement.data(producer);
  const worth = ({ shrinks }: Movement, value: Value): boolean =>
    !shrinks || context.isOnlyUse(value, producer) || dequantisedBy(value, context) !== undefined;
  if (!sources.every((index) => worth(movement, producer.inputs[index] as Value))) return undefined;
  const data = new Map<number, Value>();
  for (const index of sources)
    data.set(index, emitQuantise(context, producer.inputs[index] as Value, quantisation, `${producer.name}/quantise`));
  const inputs = movedInputs(producer, data, quantisation, context);
  const { value: _, ...attributes } = producer.attributes;
  return (
    inputs &&
    context.emit(producer.op, inputs, producer.op === "Pad" ? attributes : producer.attributes, {
      name: producer.name,
      version: producer.version,
    })
  );
}
