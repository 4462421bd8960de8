/**
 * Makes sure that what the model itself stores in fewer bits has readers for it: scales that are all one move to the axis
 * that the reader wants, and a constant that some reader can only read as float32 is stored so.
 */
import { isBlockStorage } from "../graph/blocks.ts";
import type { Graph, Storage, Value } from "../graph/graph.ts";
import { alongAxis } from "../graph/int8-storage.ts";
import { type Readable, readersOf } from "./layers.ts";
import { replaceConstants, type StoredTensor } from "./replace-constants.ts";

export function withReadableStorage(graph: Graph): Graph {
  const stored = [...graph.constants].filter(([{ type }]) => type.storage && !isBlockStorage(type.storage));
  if (stored.length === 0) return graph;
  const readers = readersOf(graph, ({ type }) => type.storage !== undefined);
  const replacements = new Map<Value, StoredTensor>();
  for (const [value, tensor] of stored) {
    const storage = readable(value, readers.get(value)?.readable);
    if (storage !== value.type.storage) replacements.set(value, { tensor, storage });
  }
  return replacements.size === 0 ? graph : replaceConstants(graph, replacements);
}

function readable({ type }: Value, forms: Readable | undefined): Storage | undefined {
  const { storage, shape } = type;
  if (storage?.kind === "float16") return forms?.float16 ? storage : undefined;
  if (storage?.kind !== "int8" || !forms?.int8 || !forms.layout) return undefined;
  if (forms.layout === "any") return storage;
  const axis = forms.layout.channelAxis;
  return alongAxis(storage, axis, shape[axis] as number);
}
