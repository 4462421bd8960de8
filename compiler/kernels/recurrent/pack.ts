/** Packs W, R, biases and peepholes into panels (see panel.ts). */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import { numberToFloat16 } from "../../../runtime/format/half.ts";
import type { Tensor } from "../../../runtime/format/tensor.ts";
import { isBlockStorage } from "../../graph/blocks.ts";
import type { Storage } from "../../graph/graph.ts";
import type { Packed } from "../contract.ts";
import type { RecurrentProblem } from "../problem.ts";
import { packBlockPanels } from "../tile/block-pack.ts";
import { elementBytes } from "../tile/panel.ts";
import { blockUnits, gateCounts, panelLayout, type Section } from "./panel.ts";

const scalesOf = (storage: Storage | undefined): Float32Array | undefined =>
  storage?.kind === "int8" ? storage.scales : undefined;

/** Throws a LeafcutterError when a weight is not finite in its storage. */
export function packRecurrent(
  problem: RecurrentProblem,
  constants: readonly (Tensor | undefined)[],
  storage: readonly (Storage | undefined)[],
): Packed {
  const [w, r, bias, peepholes] = constants.map((tensor) => tensor?.data as Float32Array | undefined);
  const { cell, hiddenSize, direction, projected } = problem;
  const gates = gateCounts[cell];
  const { blocks, sums, sections, bytes: unit, peepholes: peepholePlace } = panelLayout(problem);
  const directions = direction === "bidirectional" ? 2 : 1;
  const bytes = new Uint8Array(directions * blocks * unit);
  const view = new DataView(bytes.buffer);
  const biasOf = (d: number, row: number): number => bias?.[d * 2 * gates * hiddenSize + row] ?? 0;
  /** Where sum `sum` of a unit starts. What was projected has its biases. */
  const startOf = (d: number, sum: number, unitIndex: number): number => {
    if (sum === gates) return biasOf(d, (gates + 2) * hiddenSize + unitIndex);
    if (projected) return 0;
    const apart = sums > gates && sum === 2;
    return biasOf(d, sum * hiddenSize + unitIndex) + (apart ? 0 : biasOf(d, (gates + sum) * hiddenSize + unitIndex));
  };
  const writeSection = (panel: number, lane: number, section: Section, row: (gate: number) => number): void => {
    const fromInput = section.source === "input";
    const weights = fromInput ? w : r;
    const scales = scalesOf(storage[fromInput ? 0 : 1]);
    const columns = section.gates.length * blockUnits;
    const { form } = section;
    if (typeof form !== "string") return;
    section.gates.forEach((gate, place) => {
      const channel = row(gate);
      const scale = scales?.[channel] ?? 1;
      if (form === "int8") view.setFloat32(panel + section.scales + (place * blockUnits + lane) * 4, scale, true);
      for (let k = 0; k < section.depth; k++) {
        const value = weights?.[channel * section.depth + k] ?? 0;
        const at = panel + section.offset + (k * columns + place * blockUnits + lane) * elementBytes[form];
        if (form === "float32") view.setFloat32(at, value, true);
        else if (form === "int8") view.setInt8(at, scale === 0 ? 0 : Math.round(value / scale));
        else view.setUint16(at, halfOf(value, channel), true);
      }
    });
  };
  for (let d = 0; d < directions; d++)
    for (let unitIndex = 0; unitIndex < hiddenSize; unitIndex++) {
      const lane = unitIndex % blockUnits;
      const panel = (d * blocks + Math.floor(unitIndex / blockUnits)) * unit;
      for (let sum = 0; sum < sums; sum++)
        view.setFloat32(panel + (sum * blockUnits + lane) * 4, startOf(d, sum, unitIndex), true);
      for (let kind = 0; problem.peepholes && kind < 3; kind++) {
        const value = peepholes?.[(d * 3 + kind) * hiddenSize + unitIndex] ?? 0;
        view.setFloat32(panel + peepholePlace + (kind * blockUnits + lane) * 4, value, true);
      }
      for (const section of sections)
        writeSection(panel, lane, section, (gate) => (d * gates + gate) * hiddenSize + unitIndex);
    }
  for (const section of sections) {
    const { form, depth } = section;
    const own = storage[section.source === "input" ? 0 : 1];
    if (typeof form === "string" || !isBlockStorage(own)) continue;
    const packed = packBlockPanels({
      weights: form,
      storage: own,
      values: (section.source === "input" ? w : r) ?? new Float32Array(),
      shape: [directions * gates * hiddenSize, depth],
      panels: directions * blocks,
      width: section.gates.length * blockUnits,
      depth,
      run: depth,
      channel: (panel, column) => {
        const unitIndex = (panel % blocks) * blockUnits + (column % blockUnits);
        const gate = section.gates[Math.floor(column / blockUnits)] as number;
        return unitIndex < hiddenSize
          ? (Math.floor(panel / blocks) * gates + gate) * hiddenSize + unitIndex
          : undefined;
      },
      index: (channel, k) => channel * depth + k,
      bias: () => 0,
    });
    for (let panel = 0; panel < directions * blocks; panel++)
      bytes.set(packed.bytes.subarray(panel * packed.unit, (panel + 1) * packed.unit), panel * unit + section.offset);
  }
  return { bytes, unit };
}

const largestHalf = 65504;

function halfOf(value: number, channel: number): number {
  if (Math.abs(value) <= largestHalf) return numberToFloat16(value);
  throw new LeafcutterError({
    code: "internal",
    where: `row ${channel} of recurrent weights stored as float16`,
    message: "a weight is no finite float16 number",
    expected: `at most ${largestHalf} in magnitude`,
    received: String(value),
    advice: "Report this model; the budget stage must leave this constant as float32.",
  });
}
