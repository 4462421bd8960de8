/** WGSL of recurrent layers: one invocation per batch row of a direction walks its whole sequence. */
import type { Expression } from "../../../runtime/format/expression.ts";
import type { WgslKernel } from "../contract.ts";
import { floatWgsl, hasFloatWgsl } from "../expression/wgsl-float.ts";
import type { PlainStorage, RecurrentProblem } from "../problem.ts";
import type { BlockWeights } from "../tile/block-layout.ts";
import { elementBytes } from "../tile/panel.ts";
import { weightQuad } from "../tile/wgsl.ts";
import { type Wgsl, WgslBody } from "../wgsl/body.ts";
import { floatLiteral } from "../wgsl/element.ts";
import type { WgslFunctionName } from "../wgsl/functions.ts";
import { namedWords } from "../wgsl/words.ts";
import { blockUnits, gateCounts, panelLayout, resetsFirst, rowLayout, type Section } from "./panel.ts";

const readers: Readonly<Record<PlainStorage, WgslFunctionName>> = {
  float32: "quadFloat32",
  float16: "quadFloat16",
  int8: "quadInt8",
};
const vectorBytes = blockUnits * 4;

export function recurrentWgsl(problem: RecurrentProblem, names: readonly string[]): WgslKernel | undefined {
  if (!problem.activations.every((activation) => hasFloatWgsl(activation, 1))) return undefined;
  const { cell, direction, projected, hiddenSize, peepholes } = problem;
  const gates = gateCounts[cell];
  const panel = panelLayout(problem);
  const scratch = rowLayout(problem);
  const body = new WgslBody();
  const word = namedWords(body, names);
  const has = (name: string): boolean => names.includes(name);
  // Read before the loops, where all can see them.
  for (const name of names) word(name);
  const load = (address: Wgsl): Wgsl => body.call("loadFloat32", address);
  const store = (address: Wgsl, value: Wgsl): void => body.statement(`${body.call("storeFloat32", address, value)};`);
  const [d, row] = body.coordinates("index", ["1u", word("batch")]) as readonly [Wgsl, Wgsl];
  const state = body.let(`${word("scratch")} + index * ${scratch.bytes}u`);
  const second = body.let(`${state} + ${scratch.second}u`);
  const sums = body.let(`${state} + ${scratch.sums}u`);
  const panels = body.let(`${word("panels")} + ${d} * ${panel.blocks * panel.bytes}u`);
  const time = word("time");
  const length = has("lengths")
    ? body.let(
        `u32(clamp(${body.call("loadInt32", `${word("lengths")} + ${row} * ${word("lengthsBatch")}`)}, 0i, i32(${time})))`,
      )
    : time;
  const stateRow = (name: string): Wgsl =>
    `${word(name)} + ${d} * ${word(`${name}Direction`)} + ${row} * ${word(`${name}Batch`)}`;

  const loadState = (name: string, target: Wgsl): void => {
    const source = has(name) ? body.let(stateRow(name)) : undefined;
    body.loop(`${hiddenSize}u`, (unit) =>
      store(`${target} + ${unit} * 4u`, source ? load(`${source} + ${unit} * 4u`) : "0f"),
    );
  };
  loadState("initialH", state);
  if (cell === "lstm") loadState("initialC", second);

  const multiplyBlocks = (
    { depth, gates: columns, offset, sums: into }: Section,
    form: BlockWeights,
    start: Wgsl,
    variables: readonly Wgsl[],
    source: Wgsl,
  ): void => {
    const stored = { storage: form.kind, blocks: form };
    const width = columns.length * blockUnits;
    const panelStart = body.let(`${start} + ${offset}u`);
    const quads = into.map((_, place) =>
      weightQuad(body, stored, width, panelStart, `${place * blockUnits}u`, `${depth}u`),
    );
    body.loop(`${depth}u`, (k) => {
      const x = body.let(load(`${source} + ${k} * 4u`));
      quads.forEach(({ cursor, step, weights }, place) => {
        body.statement(`${variables[into[place] as number]} += ${x} * (${weights});`);
        body.statement(`${cursor} += ${step}u;`);
      });
    });
  };

  /** Adds one section to the sums of a block, which lie in variables. */
  const multiply = (section: Section, start: Wgsl, variables: readonly Wgsl[], source: Wgsl): void => {
    const { form } = section;
    if (typeof form !== "string") return multiplyBlocks(section, form, start, variables, source);
    const scales = section.sums.map((_, place) =>
      form === "int8"
        ? body.let(body.call("quadFloat32", `${start} + ${section.scales + place * vectorBytes}u`))
        : undefined,
    );
    const quadBytes = blockUnits * elementBytes[form];
    const step = section.gates.length * quadBytes;
    body.loop(`${section.depth}u`, (k) => {
      const x = body.let(load(`${source} + ${k} * 4u`));
      section.sums.forEach((sum, place) => {
        const weights = body.call(readers[form], `${start} + ${section.offset + place * quadBytes}u + ${k} * ${step}u`);
        const scale = scales[place];
        body.statement(`${variables[sum]} += ${x} * ${scale ? `${weights} * ${scale}` : weights};`);
      });
    });
  };

  /** The sums of all blocks. */
  const products = (sections: readonly Section[], x: Wgsl | undefined): void =>
    body.loop(`${panel.blocks}u`, (block) => {
      const start = body.let(`${panels} + ${block} * ${panel.bytes}u`);
      const target = body.let(`${sums} + ${block} * ${panel.sums * vectorBytes}u`);
      const variables = Array.from({ length: panel.sums }, (_, sum): Wgsl => {
        const fromInput = x !== undefined && projected && sum < gates;
        const column = `(${d} * ${panel.blocks}u + ${block}) * ${gates * vectorBytes}u`;
        const place = x === undefined ? target : fromInput ? `${x} + ${column}` : start;
        return body.variable(body.call("quadFloat32", `${place} + ${sum * vectorBytes}u`));
      });
      for (const section of sections) {
        const source = { input: x ?? "", state, reset: second }[section.source];
        multiply(section, start, variables, source);
      }
      variables.forEach((variable, sum) => {
        for (let lane = 0; lane < blockUnits; lane++)
          store(`${target} + ${sum * vectorBytes + lane * 4}u`, `${variable}[${lane}]`);
      });
    });

  const activation = (index: number, argument: Wgsl): Wgsl => {
    const { clip, activations } = problem;
    const bounded =
      clip === undefined ? argument : `clamp(${argument}, ${floatLiteral(body, -clip)}, ${floatLiteral(body, clip)})`;
    return body.let(floatWgsl(body, activations[index] as Expression, [body.let(bounded)]));
  };

  /** `visit` gets each hidden unit, with a reader of its sums and peepholes. */
  const eachUnit = (
    visit: (unit: Wgsl, sum: (index: number) => Wgsl, peephole: (kind: number) => Wgsl) => void,
  ): void =>
    body.loop(`${hiddenSize}u`, (unit) => {
      const block = body.let(`${unit} / ${blockUnits}u`);
      const lane = body.let(`${unit} % ${blockUnits}u * 4u`);
      const first = body.let(`${sums} + ${block} * ${panel.sums * vectorBytes}u + ${lane}`);
      const front = body.let(`${panels} + ${block} * ${panel.bytes}u + ${panel.peepholes}u + ${lane}`);
      visit(
        unit,
        (index) => load(`${first} + ${index * vectorBytes}u`),
        (kind) => load(`${front} + ${kind * vectorBytes}u`),
      );
    });

  const newState = (unit: Wgsl, sum: (index: number) => Wgsl, peephole: (kind: number) => Wgsl): Wgsl => {
    if (cell === "rnn") return activation(0, sum(0));
    const before = body.let(load(`${cell === "lstm" ? second : state} + ${unit} * 4u`));
    if (cell === "gru") {
      const update = activation(0, sum(0));
      const argument = problem.linearBeforeReset ? `${sum(2)} + ${activation(0, sum(1))} * ${sum(3)}` : sum(2);
      return body.let(`(1f - ${update}) * ${activation(1, argument)} + ${update} * ${before}`);
    }
    const seeing = (gate: number, value: Wgsl): Wgsl =>
      peepholes ? `${sum(gate)} + ${peephole(gate)} * ${value}` : sum(gate);
    const admit = activation(0, seeing(0, before));
    const forget = problem.inputForget ? `(1f - ${admit})` : activation(0, seeing(2, before));
    const value = body.let(`${forget} * ${before} + ${admit} * ${activation(1, sum(3))}`);
    store(`${second} + ${unit} * 4u`, value);
    return body.let(`${activation(0, seeing(1, value))} * ${activation(2, value)}`);
  };

  body.loop(length, (step) => {
    const backwards = `${length} - 1u - ${step}`;
    const at = body.let(
      direction === "forward"
        ? step
        : direction === "reverse"
          ? backwards
          : `select(${step}, ${backwards}, ${d} != 0u)`,
    );
    const x = body.let(`${word("x")} + ${at} * ${word("xTime")} + ${row} * ${word("xBatch")}`);
    products(
      panel.sections.filter(({ source }) => source !== "reset"),
      x,
    );
    if (resetsFirst(problem)) {
      eachUnit((unit, sum) => {
        const reset = activation(0, sum(1));
        store(`${second} + ${unit} * 4u`, `${reset} * ${load(`${state} + ${unit} * 4u`)}`);
      });
      products(
        panel.sections.filter(({ source }) => source === "reset"),
        undefined,
      );
    }
    const output = has("Y")
      ? body.let(`${word("Y")} + ${d} * ${word("YDirection")} + ${at} * ${word("YTime")} + ${row} * ${word("YBatch")}`)
      : undefined;
    eachUnit((unit, sum, peephole) => {
      const value = newState(unit, sum, peephole);
      store(`${state} + ${unit} * 4u`, value);
      if (output) store(`${output} + ${unit} * 4u`, value);
    });
  });
  if (has("Y") && has("lengths"))
    body.loop(`${time} - ${length}`, (step) => {
      const place = `(${length} + ${step}) * ${word("YTime")}`;
      const output = body.let(`${word("Y")} + ${d} * ${word("YDirection")} + ${place} + ${row} * ${word("YBatch")}`);
      body.loop(`${hiddenSize}u`, (unit) => store(`${output} + ${unit} * 4u`, "0f"));
    });
  const storeState = (name: string, source: Wgsl): void => {
    if (!has(name)) return;
    const target = body.let(stateRow(name));
    body.loop(`${hiddenSize}u`, (unit) => store(`${target} + ${unit} * 4u`, load(`${source} + ${unit} * 4u`)));
  };
  storeState("Y_h", state);
  storeState("Y_c", second);
  return body.end();
}
