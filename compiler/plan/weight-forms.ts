/** How the weights of a plan are stored: bytes by form. */

import type { WeightForm } from "../../runtime/format/manifest.ts";
import type { Graph, Value } from "../graph/graph.ts";
import type { Plan } from "./plan.ts";

/** "float32", "float16", "int8", "int4/32", "nf4/64"; other constants by their type. */
function formOf({ type: { dtype, storage } }: Value): string {
  if (storage === undefined) return dtype;
  return "blockSize" in storage ? `${storage.kind}/${storage.blockSize}` : storage.kind;
}

/** By falling bytes. A buffer that holds several constants is of its largest one's form. */
export function weightForms(graph: Graph, { weights }: Plan): readonly WeightForm[] {
  const known = new Map([...graph.constants].map(([value, { data }]) => [value.name, { value, count: data.length }]));
  const bytesOf = new Map<string, number>();
  for (const { constants, bytes } of weights) {
    const [largest] = constants
      .flatMap((name) => known.get(name) ?? [])
      .toSorted((left, right) => right.count - left.count);
    if (!largest) continue;
    const form = formOf(largest.value);
    bytesOf.set(form, (bytesOf.get(form) ?? 0) + bytes.byteLength);
  }
  return [...bytesOf]
    .map(([form, bytes]) => ({ form, bytes }))
    .toSorted((left, right) => right.bytes - left.bytes || (left.form < right.form ? -1 : 1));
}
