/** Weights of a product into panels, as their storage wants them. */
import { isBlockStorage } from "../../graph/blocks.ts";
import type { Storage } from "../../graph/graph.ts";
import type { Packed } from "../contract.ts";
import type { StoredWeights } from "../problem.ts";
import { weightForm } from "./block-layout.ts";
import { type BlockPanelSource, packBlockPanels } from "./block-pack.ts";
import { type PanelSource, packPanels } from "./panel.ts";

/** `storage` is that of the constant, as which `weights` says it is stored; `scaleOf`: the scale of an output channel's int8. */
export function packWeights(
  source: Omit<BlockPanelSource, "weights" | "storage">,
  weights: StoredWeights,
  storage: Storage | undefined,
  scaleOf = (channel: number): number => channel,
  order?: PanelSource["order"],
): Packed {
  const form = weightForm(weights);
  const { values, index } = source;
  if (typeof form !== "string") {
    if (!isBlockStorage(storage)) throw new RangeError(`weights in blocks of a constant stored as ${storage?.kind}`);
    return packBlockPanels({ ...source, weights: form, storage });
  }
  const scales = storage?.kind === "int8" ? storage.scales : undefined;
  return packPanels({
    ...source,
    storage: form,
    weight: (channel, k) => values[index(channel, k)] ?? 0,
    scale: (channel) => scales?.[scaleOf(channel)] ?? 1,
    order,
  });
}
