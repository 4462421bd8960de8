/**
 * Equalises the channels of activations: channel c of a value is divided by s_c where it is made and multiplied by s_c where it
 * is read, in the weights of layers and in the expressions of residual additions and other elementwise steps. The
 * function stays the same, but one scale for all channels then fits each of them.
 */
import { type Graph, indexGraph, type Value } from "../graph/graph.ts";
import type { Calibration } from "./calibration.ts";
import { type ChannelClass, channelClasses, channelSources } from "./channel-classes.ts";
import { ChannelEditor } from "./channel-editor.ts";
import { bestFactors, type ChannelReader } from "./channel-factors.ts";

/** The equalised graph; its activations have other values, so it has to be calibrated anew. */
export function equalise(graph: Graph, calibration: Calibration): Graph {
  const index = indexGraph(graph);
  const editor = new ChannelEditor(graph);
  const users = (constant: Value): number => index.consumers(constant).length;

  const isScalable = (value: Value, { values }: ChannelClass): boolean => {
    const producer = index.producer(value);
    if (!producer || index.isOutput(value) || producer.outputs.length !== 1) return false;
    if (!isMovedWithin(producer.outputs[0] as Value, values) && !editor.canDivide(producer)) return false;
    return index.consumers(value).every((reader) => {
      const [output] = reader.outputs;
      return (output && isMovedWithin(output, values)) || editor.canMultiply(reader, value, users);
    });
  };
  /** Whether the value is moved channels of others in the class. */
  const isMovedWithin = (value: Value, values: ChannelClass["values"]): boolean => {
    const producer = index.producer(value);
    return values.has(value) && (producer && channelSources(producer))?.every((source) => values.has(source)) === true;
  };
  const readersOf = ({ values }: ChannelClass): readonly ChannelReader[] =>
    [...values].flatMap(([value, channels]) => {
      const statistics = calibration.channels.get(value.name);
      if (!statistics) return [];
      return index.consumers(value).flatMap((node): readonly ChannelReader[] => {
        if (node.outputs[0] && isMovedWithin(node.outputs[0], values)) return [];
        const layer = node.inputs[0] === value ? editor.layer(node) : undefined;
        return [{ layer, channels, statistics }];
      });
    });

  for (const group of channelClasses(graph)) {
    const readers = readersOf(group);
    if (!readers.some(({ layer }) => layer)) continue;
    if (![...group.values.keys()].every((value) => isScalable(value, group))) continue;
    const factors = bestFactors(group.size, readers);
    if (!factors) continue;
    for (const [value, channels] of group.values) {
      const own = Float64Array.from(channels, (at) => factors[at] as number);
      const producer = index.producer(value);
      if (producer && !isMovedWithin(value, group.values)) editor.divide(producer, own);
      for (const reader of index.consumers(value))
        if (!reader.outputs[0] || !isMovedWithin(reader.outputs[0], group.values)) editor.multiply(reader, value, own);
    }
  }
  return editor.finish();
}
