/**
 * Graph to Plan: select, lay out, build steps, place every buffer. Refuses nothing by itself; the graph is
 * verified before it gets here.
 */
import { byteSize } from "../../runtime/format/dtype.ts";
import { recordHeaderWords } from "../../runtime/format/program.ts";
import { type Dim, multiplyDims, productOf, upperBound } from "../graph/dimension.ts";
import type { Graph, Value } from "../graph/graph.ts";
import type { Buffer, View } from "../kernels/contract.ts";
import type { CostTable } from "../kernels/cost-table.ts";
import { type Layout, layOut } from "./layout.ts";
import { alignUp, type Lifetime, placeBuffers } from "./memory.ts";
import type { Plan, PlannedPort, PlannedState, PlannedStep } from "./plan.ts";
import { flattenRegions, isSelected } from "./regions.ts";
import { type SelectedNode, selectNode } from "./select.ts";
import { type BoundPair, bindStates, type StatePair } from "./states.ts";
import { buildSteps } from "./steps.ts";

const pageBytes = 65536;
/** Bytes at the start of memory that no buffer uses, so that address 0 is never a valid one. */
const guardBytes = 64;

/** `states`: inputs and outputs that are no ports of the program but live between runs. */
export function makePlan(nested: Graph, costs: CostTable, states: readonly StatePair[] = []): Plan {
  const { graph, items, variables } = flattenRegions(nested, (node, facts) => selectNode(node, facts, nested, costs));
  const selected = items.filter(isSelected);
  const bound = bindStates(nested, states);
  const layout = layOut(graph, selected, variables, bound);
  const built = buildSteps(
    graph,
    items,
    layout,
    costs,
    new Map(states.map(({ output }, index) => [output, (bound[index] as BoundPair).kind])),
  );
  const kept = new Set(bound.map(({ input }) => input));
  const inputs = graph.inputs
    .filter((value) => !kept.has(value))
    .map((value) => {
      const fixed = graph.fixedInputs?.get(value.name);
      return { name: value.name, ...value.type, ...(fixed ? { value: fixed } : {}), view: layout.viewOf(value) };
    });
  const everyOutput = graph.outputs.map(({ name, value }, index) => ({
    name,
    ...value.type,
    view: built.outputs[index] as (typeof built.outputs)[number],
  }));
  const nexts = new Set(states.map(({ output }) => output));
  const outputs = everyOutput.filter(({ name }) => !nexts.has(name));
  const plannedStates = bound.map((state, index): PlannedState => {
    const { input } = state;
    const output = states[index]?.output ?? "";
    const common = { name: input.name, output, dtype: input.type.dtype, view: layout.viewOf(input) };
    if (state.kind === "fixed") {
      const source = (everyOutput.find(({ name }) => name === output) as PlannedPort).view;
      return { kind: "fixed", ...common, shape: input.type.shape.map(Number), source };
    }
    const { axis, capacity } = state;
    const length = state.output.type.shape[axis] as Dim;
    return { kind: "growing", ...common, shape: input.type.shape, axis, capacity, length };
  });

  const addresses = new Map<Buffer, number>();
  let cursor = guardBytes;
  for (const { buffer, bytes } of built.weights) {
    addresses.set(buffer, cursor);
    cursor = alignUp(cursor + bytes.byteLength);
  }
  const weights = { start: guardBytes, bytes: cursor - guardBytes };
  const words = built.steps.reduce(
    (sum, step) => sum + (step.kind === "kernel" ? recordHeaderWords + step.arguments.length : 0),
    0,
  );
  const table = { start: cursor, bytes: alignUp(words * 4) };
  const start = table.start + table.bytes;
  const lifetimes = lifetimesOf(
    graph,
    built.steps,
    inputs.map(({ view }) => view.buffer),
    everyOutput.map(({ view }) => view.buffer),
    plannedStates.map(({ view }) => view.buffer),
  );
  const placement = placeBuffers(lifetimes);
  for (const [buffer, offset] of placement.offsets) addresses.set(buffer, start + offset);
  const pages = Math.max(1, Math.ceil((start + placement.bytes) / pageBytes));
  return {
    name: graph.name,
    symbols: graph.symbols,
    inputs,
    outputs,
    states: plannedStates,
    steps: built.steps,
    weights: built.weights,
    memory: { pages, weights, table, arena: { start, bytes: placement.bytes } },
    addresses,
    liveBytes: liveBytes(graph, selected, bound, layout),
  };
}

function lifetimesOf(
  graph: Graph,
  steps: readonly PlannedStep[],
  inputs: readonly Buffer[],
  outputs: readonly Buffer[],
  states: readonly Buffer[],
): readonly Lifetime<Buffer>[] {
  const spans = new Map<Buffer, { first: number; last: number }>();
  const touch = (buffer: Buffer, at: number): void => {
    if (buffer.kind === "weight") return;
    const span = spans.get(buffer);
    if (!span) spans.set(buffer, { first: at, last: at });
    else {
      span.first = Math.min(span.first, at);
      span.last = Math.max(span.last, at);
    }
  };
  for (const buffer of inputs) touch(buffer, -1);
  steps.forEach((step, at) => {
    for (const buffer of buffersOf(step)) touch(buffer, at);
  });
  for (const buffer of [...outputs, ...states]) touch(buffer, steps.length);
  for (const buffer of states) touch(buffer, -1);
  spanLoops(steps, [...spans.values()]);
  return [...spans].map(([buffer, span]) => ({
    buffer,
    bytes: Math.max(1, upperBound(buffer.bytes, graph.symbols)),
    ...span,
  }));
}

function buffersOf(step: PlannedStep): readonly Buffer[] {
  const of = (views: readonly (View | undefined)[]): readonly Buffer[] =>
    views.flatMap((view) => (view ? [view.buffer] : []));
  switch (step.kind) {
    case "kernel":
      return step.arguments.flatMap((argument) => (argument.kind === "address" ? [argument.buffer] : []));
    case "host":
      return of([...step.inputs, ...step.outputs]);
    case "jump":
      return of([step.condition]);
    case "repeat":
      return of([step.condition, step.iteration]);
  }
}

/** What comes into a loop or leaves it is alive in every iteration, hence all through its steps. */
function spanLoops(steps: readonly PlannedStep[], spans: readonly { first: number; last: number }[]): void {
  // Inner loops end first.
  steps.forEach((step, end) => {
    if (step.kind !== "repeat") return;
    for (const span of spans) {
      if (span.last < step.target || span.first > end) continue;
      if (span.first < step.target) span.last = Math.max(span.last, end);
      else if (span.last > end) span.first = step.target;
    }
  });
}

/** Largest sum of the unpadded sizes of tensors alive at one node; values that only rename another one's bytes count once. */
function liveBytes(
  graph: Graph,
  selected: readonly SelectedNode[],
  states: readonly BoundPair[],
  layout: Layout,
): number {
  const roots = new Map<Value, Value>();
  for (const state of states) if (state.kind === "growing") roots.set(state.input, state.output);
  const rootOf = (value: Value): Value => {
    const root = roots.get(value);
    return root ? rootOf(root) : value;
  };
  for (const { kind, node } of selected) {
    const [source] = node.inputs;
    const [output] = node.outputs;
    if (kind === "view" && source && output) roots.set(output, source);
    for (const value of node.outputs) {
      const whole = layout.partOf(value);
      if (whole) roots.set(value, whole);
    }
  }
  const last = new Map<Value, number>();
  for (const { input } of states) last.set(rootOf(input), selected.length);
  selected.forEach(({ node }, at) => {
    for (const value of [...node.inputs, ...node.outputs])
      if (value && !graph.constants.has(value)) last.set(rootOf(value), Math.max(at, last.get(rootOf(value)) ?? 0));
  });
  for (const { value } of graph.outputs) if (!graph.constants.has(value)) last.set(rootOf(value), selected.length);
  const sizeOf = (value: Value): number =>
    upperBound(multiplyDims(productOf(value.type.shape), byteSize[value.type.dtype]), graph.symbols);
  const alive = new Set<Value>(graph.inputs.map(rootOf));
  let live = 0;
  for (const value of alive) live += sizeOf(value);
  let most = live;
  selected.forEach(({ node }, at) => {
    for (const output of node.outputs) {
      const root = rootOf(output);
      if (alive.has(root) || graph.constants.has(root)) continue;
      alive.add(root);
      live += sizeOf(root);
    }
    most = Math.max(most, live);
    for (const value of alive) {
      if ((last.get(value) ?? -1) > at) continue;
      alive.delete(value);
      live -= sizeOf(value);
    }
  });
  return most;
}
