/**
 * The packed weights of a recurrent layer: per direction, one panel for every block of four hidden units, so that one pass
 * over a panel yields all that the gates of these units need. In front: the start of every sum, peepholes, scales of int8
 * weights (float32, four lanes each); behind it one section per source, [depth][gates * 4 lanes], padded to 16 bytes. int4
 * and nf4 weights stand in one run of blocks (tile/block-layout.ts), gates * 4 columns wide.
 */
import type { PlainStorage, RecurrentCell, RecurrentProblem, StoredWeights } from "../problem.ts";
import { type BlockWeights, runBytes, weightForm } from "../tile/block-layout.ts";
import { elementBytes } from "../tile/panel.ts";

/** Hidden units of a panel. */
export const blockUnits = 4;

/** Rows of W and R per hidden unit, in ONNX order: LSTM i o f c, GRU z r h. */
export const gateCounts: Readonly<Record<RecurrentCell, number>> = { lstm: 4, gru: 3, rnn: 1 };

/** What a section's weights are multiplied by: the input, the state, or the state scaled by the reset gate. */
export type Source = "input" | "state" | "reset";

export interface Section {
  readonly source: Source;
  readonly depth: number;
  readonly form: PlainStorage | BlockWeights;
  /** Gates whose weights it holds. */
  readonly gates: readonly number[];
  /** The sums that they go to. */
  readonly sums: readonly number[];
  /** Bytes from the panel's start. */
  readonly offset: number;
  /** Where the scales of its first gate stand; the others follow. int8 only. */
  readonly scales: number;
}

export interface PanelLayout {
  readonly blocks: number;
  /** Sums of a unit: one per gate; one more where the hidden gate of a GRU keeps the product with the state apart. */
  readonly sums: number;
  readonly peepholes: number;
  readonly sections: readonly Section[];
  readonly bytes: number;
}

const lanes = blockUnits * 4;
/** The start of every sum stands in front of the panel, so blocks have no biases of their own. */
function formOf(weights: StoredWeights): Section["form"] {
  const form = weightForm(weights);
  return typeof form === "string" ? form : { ...form, bias: false };
}

const sectionBytes = (form: Section["form"], columns: number, depth: number): number =>
  typeof form === "string" ? depth * columns * elementBytes[form] : runBytes(form, columns, depth);

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);

/** Whether the state is multiplied by the reset gate before its product, which then has to wait for that gate. */
export const resetsFirst = ({ cell, linearBeforeReset }: RecurrentProblem): boolean =>
  cell === "gru" && !linearBeforeReset;

export function panelLayout(problem: RecurrentProblem): PanelLayout {
  const { cell, projected, inputSize, hiddenSize } = problem;
  const [input, own] = [formOf(problem.inputWeights), formOf(problem.stateWeights)];
  const gates = gateCounts[cell];
  const sums = cell === "gru" && problem.linearBeforeReset ? 4 : gates;
  const state =
    cell !== "gru"
      ? { gates: upTo(gates), sums: upTo(gates) }
      : problem.linearBeforeReset
        ? { gates: [0, 1, 2], sums: [0, 1, 3] }
        : { gates: [0, 1], sums: [0, 1] };
  const planned = [
    ...(projected
      ? []
      : [{ source: "input", depth: inputSize, form: input, gates: upTo(gates), sums: upTo(gates) } as const]),
    { source: "state", depth: hiddenSize, form: own, ...state } as const,
    ...(resetsFirst(problem)
      ? [{ source: "reset", depth: hiddenSize, form: own, gates: [2], sums: [2] } as const]
      : []),
  ];
  let offset = (sums + (problem.peepholes ? 3 : 0)) * lanes;
  const scaled = planned.map((section) => {
    const scales = offset;
    if (section.form === "int8") offset += section.gates.length * lanes;
    return { ...section, scales };
  });
  const sections = scaled.map((section) => {
    const start = offset;
    const bytes = sectionBytes(section.form, section.gates.length * blockUnits, section.depth);
    offset += Math.ceil(bytes / 16) * 16;
    return { ...section, offset: start };
  });
  return { blocks: Math.ceil(hiddenSize / blockUnits), sums, peepholes: sums * lanes, sections, bytes: offset };
}

/** Floats of scratch per batch row and direction: the state, the cell or the reset state, and the sums of every block. */
export interface RowLayout {
  readonly units: number;
  /** Bytes from the row's start. */
  readonly second: number;
  readonly sums: number;
  readonly bytes: number;
}

export function rowLayout(problem: RecurrentProblem): RowLayout {
  const { blocks, sums } = panelLayout(problem);
  const vector = blocks * lanes;
  const vectors = problem.cell === "lstm" || resetsFirst(problem) ? 2 : 1;
  return { units: blocks * blockUnits, second: vector, sums: vectors * vector, bytes: (vectors + sums) * vector };
}
