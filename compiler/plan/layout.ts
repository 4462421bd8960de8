/**
 * Where each value of the graph lives: which values share bytes (reshapes, members of a concatenation), which
 * buffers carry a border for the convolutions that read them, which must be dense. Decided before any step is
 * bound; every value ends up as one View.
 */

import { integerOf } from "../graph/attribute.ts";
import { addDims, type Dim, productOf } from "../graph/dimension.ts";
import type { Graph, Node, Value } from "../graph/graph.ts";
import type { Buffer, Halo, View } from "../kernels/contract.ts";
import type { AffineIndex } from "../loop/loop.ts";
import { chooseParts, partsOf, partView } from "./parts.ts";
import type { Variables } from "./regions.ts";
import type { SelectedNode } from "./select.ts";
import type { BoundPair, GrowingPair } from "./states.ts";
import { denseBytes, denseStrides, denseView, haloBytes, haloView, isDense, reshapedView, windowOf } from "./view.ts";

/** A value that lives inside another one. */
type Alias =
  | { readonly kind: "reshape"; readonly of: Value }
  | { readonly kind: "window"; readonly of: Value; readonly axis: number; readonly offset: Dim }
  | { readonly kind: "part"; readonly of: Value; readonly access: readonly AffineIndex[] };

export interface Layout {
  /** The view of a non-constant value. */
  viewOf(value: Value): View;
  /** The border that the buffer of `value` carries around it; all zeros when none. */
  haloOf(value: Value): Halo;
  /** The bordered view and its border that lie in `buffer`; undefined for a buffer without one. */
  borderOf(buffer: Buffer): { readonly name: string; readonly view: View; readonly halo: Halo } | undefined;
  /** Whether concatenation member `input` already lies in its place in `output`. */
  isPlaced(input: Value, output: Value): boolean;
  /** What `value` is a window of, when no step makes it. */
  partOf(value: Value): Value | undefined;
  /** Whether `left` and `right` are the same bytes. */
  sharesBytes(left: Value, right: Value): boolean;
}

export const noHalo: Halo = { top: 0, left: 0, bottom: 0, right: 0, value: 0 };

export const isEmpty = ({ top, left, bottom, right }: Halo): boolean => top + left + bottom + right === 0;

/** A border for both; where they want different values, the one for `left`: whoever wants the other reads a copy. */
const mergeHalos = (left: Halo, right: Halo): Halo => {
  if (isEmpty(left)) return right;
  if (isEmpty(right) || left.value !== right.value) return left;
  return {
    top: Math.max(left.top, right.top),
    left: Math.max(left.left, right.left),
    bottom: Math.max(left.bottom, right.bottom),
    right: Math.max(left.right, right.right),
    value: left.value,
  };
};

export const covers = (has: Halo, wants: Halo): boolean =>
  isEmpty(wants) ||
  (has.value === wants.value &&
    has.top >= wants.top &&
    has.left >= wants.left &&
    has.bottom >= wants.bottom &&
    has.right >= wants.right);

export function layOut(
  graph: Graph,
  selected: readonly SelectedNode[],
  variables: Variables,
  states: readonly BoundPair[] = [],
): Layout {
  const growing = new Map(
    states.flatMap((state) => (state.kind === "growing" ? [[state.output, state] as const] : [])),
  );
  const dense = denseValues(graph, selected, variables);
  const wanted = wantedHalos(selected, dense, growing);
  const aliases = chooseAliases(graph, selected, dense, wanted, growing, variables);

  const rootOf = (value: Value): Value => {
    const alias = aliases.get(value);
    return alias ? rootOf(alias.of) : value;
  };
  const halos = new Map<Value, Halo>();
  for (const [value, halo] of wanted) {
    const root = rootOf(value);
    halos.set(root, mergeHalos(halos.get(root) ?? noHalo, halo));
  }

  const kept = new Set(states.map(({ input }) => input));
  const inputs = new Set(graph.inputs);
  const kindOf = (value: Value): Buffer["kind"] =>
    kept.has(value) ? "state" : inputs.has(value) ? "input" : "scratch";
  const views = new Map<Value, View>();
  const borders = new Map<Buffer, { readonly name: string; readonly view: View; readonly halo: Halo }>();
  const viewOf = (value: Value): View => {
    const known = views.get(value);
    if (known) return known;
    const alias = aliases.get(value);
    const { dtype, shape } = value.type;
    const grown = growing.get(value);
    let view: View;
    if (grown) view = grownView(grown);
    else if (alias?.kind === "reshape") view = reshapedView(viewOf(alias.of), dtype, shape) as View;
    else if (alias?.kind === "part") view = partView(viewOf(alias.of), alias.access, shape);
    else if (alias) view = windowOf(viewOf(alias.of), alias.axis, alias.offset, shape);
    else {
      const halo = halos.get(value) ?? noHalo;
      const bytes = isEmpty(halo) ? denseBytes(dtype, shape) : haloBytes(dtype, shape, halo);
      const buffer: Buffer = { kind: kindOf(value), name: value.name, dtype, bytes };
      view = isEmpty(halo) ? denseView(buffer, dtype, shape) : haloView(buffer, dtype, shape, halo);
      if (!isEmpty(halo)) borders.set(buffer, { name: value.name, view, halo });
    }
    views.set(value, view);
    return view;
  };
  const lying = new Map<Value, Value[]>();
  for (const [value, alias] of aliases) lying.set(alias.of, [...(lying.get(alias.of) ?? []), value]);
  const outputs = new Set(graph.outputs.map(({ value }) => value));
  chooseParts(
    {
      graph,
      selected,
      isFree: (value) => !aliases.has(value) && !wanted.has(value) && !outputs.has(value) && !variables.has(value),
      rootOf,
      isVariable: (value) => variables.has(value),
      reshapesOf: (value) => lying.get(value) ?? [],
      viewOf,
    },
    ({ source, output, access }) => aliases.set(output, { kind: "part", of: source, access }),
  );
  const isPart = (value: Value): boolean => {
    const alias = aliases.get(value);
    return alias !== undefined && (alias.kind === "part" || isPart(alias.of));
  };
  return {
    viewOf,
    haloOf: (value) => (isPart(value) ? noHalo : (halos.get(rootOf(value)) ?? noHalo)),
    borderOf: (buffer) => borders.get(buffer),
    isPlaced: (input, output) => {
      const alias = aliases.get(input);
      return alias?.kind === "window" && alias.of === output;
    },
    partOf: (value) => {
      const alias = aliases.get(value);
      return alias?.kind === "part" ? alias.of : undefined;
    },
    sharesBytes: (left, right) => aliases.get(left)?.of === right || aliases.get(right)?.of === left,
  };
}

/** A growing state as a run leaves it: its rows so far, in a buffer for as many as there may be. */
function grownView({ input, output, axis, capacity }: GrowingPair): View {
  const { dtype, shape } = output.type;
  const whole = shape.map((extent, i) => (i === axis ? capacity : extent));
  const buffer: Buffer = { kind: "state", name: input.name, dtype, bytes: denseBytes(dtype, whole) };
  return { buffer, offset: 0, dtype, shape, strides: denseStrides(dtype, whole) };
}

/** Values whose bytes must stand in row-major order without gaps. */
function denseValues(graph: Graph, selected: readonly SelectedNode[], variables: Variables): ReadonlySet<Value> {
  const dense = new Set<Value>([...graph.inputs, ...graph.outputs.map(({ value }) => value), ...variables.all]);
  const addAll = (node: Node): void => {
    for (const value of [...node.inputs, ...node.outputs]) if (value) dense.add(value);
  };
  for (const entry of selected) {
    if (entry.kind !== "steps") addAll(entry.node);
    else if (entry.steps.some((step) => step.kind === "family" && !step.family.strided)) addAll(entry.node);
  }
  return dense;
}

/** The borders that families want around values which may carry one. */
function wantedHalos(
  selected: readonly SelectedNode[],
  dense: ReadonlySet<Value>,
  growing: ReadonlyMap<Value, GrowingPair>,
): ReadonlyMap<Value, Halo> {
  const wanted = new Map<Value, Halo>();
  for (const entry of selected) {
    if (entry.kind !== "steps") continue;
    for (const step of entry.steps) {
      if (step.kind !== "family") continue;
      step.operands.forEach((operand, index) => {
        const value = operand?.kind === "input" ? entry.node.inputs[operand.index] : undefined;
        const halo = step.family.halo?.(step.problem, index);
        if (!value || !halo || isEmpty(halo) || dense.has(value) || growing.has(value)) return;
        wanted.set(value, mergeHalos(wanted.get(value) ?? noHalo, halo));
      });
    }
  }
  return wanted;
}

/** What host steps read or write, under every name: it has a fixed address. */
function hostValues(selected: readonly SelectedNode[]): ReadonlySet<Value> {
  const values = new Set<Value>();
  const views: SelectedNode[] = [];
  for (const entry of selected) {
    if (entry.kind === "host")
      for (const value of [...entry.node.inputs, ...entry.node.outputs]) value && values.add(value);
    if (entry.kind === "view") views.push(entry);
  }
  const spread = ({ node }: SelectedNode): void => {
    const [source] = node.inputs;
    const [output] = node.outputs;
    if (source && output && (values.has(source) || values.has(output))) values.add(source).add(output);
  };
  for (const entry of views) spread(entry);
  for (const entry of views.reverse()) spread(entry);
  return values;
}

/**
 * Consumers first, so that a concatenation inside a concatenation finds its place. A reshape gives its input the
 * place of its output when it can (a head that is reshaped and concatenated is written where it belongs).
 */
function chooseAliases(
  graph: Graph,
  selected: readonly SelectedNode[],
  dense: ReadonlySet<Value>,
  wanted: ReadonlyMap<Value, Halo>,
  growing: ReadonlyMap<Value, GrowingPair>,
  variables: Variables,
): Map<Value, Alias> {
  const aliases = new Map<Value, Alias>();
  const parts = new Set(selected.flatMap((entry) => partsOf(entry, graph.constants)).map(({ output }) => output));
  /** Growing states, before and after the run, whose rows have gaps between them. */
  const gapped = new Set<Value>();
  for (const state of growing.values()) {
    const { input, output, axis } = state;
    aliases.set(input, { kind: "window", of: output, axis, offset: 0 });
    if (!isDense(grownView(state))) gapped.add(input).add(output);
  }
  const unmovable = hostValues(selected);
  const anchored = new Set<Value>([
    ...graph.inputs,
    ...graph.constants.keys(),
    ...graph.outputs.map(({ value }) => value),
    ...variables.all,
  ]);
  const hosts = new Set<Value>(growing.keys());
  const isFree = (value: Value): boolean => !anchored.has(value) && !aliases.has(value);
  const rootOf = (value: Value): Value => {
    const alias = aliases.get(value);
    return alias ? rootOf(alias.of) : value;
  };
  for (let index = selected.length - 1; index >= 0; index--) {
    const entry = selected[index] as SelectedNode;
    const { node } = entry;
    const output = node.outputs[0];
    if (!output) continue;
    if (entry.kind === "view") {
      const source = node.inputs[0];
      if (!source || gapped.has(source)) continue;
      // A value that others already live in keeps its own place, so that no chain turns back on itself; and so does
      // a part, which may become a window of what it is a part of.
      const isPart = parts.has(source) && isFree(output);
      if (!isPart && isFree(source) && !hosts.has(source) && variables.mayHold(rootOf(output), node, source)) {
        aliases.set(source, { kind: "reshape", of: output });
        hosts.add(output);
      } else if (isFree(output) && rootOf(source) !== output) {
        aliases.set(output, { kind: "reshape", of: source });
        hosts.add(source);
      }
    } else if (entry.kind === "steps" && node.op === "Concat") {
      placeMembers(node, output);
    }
  }
  return aliases;

  function placeMembers(node: Node, output: Value): void {
    const rank = output.type.shape.length;
    const axis = (integerOf(node, "axis", 0) + rank) % rank;
    const channelAxis = rank === 4 && axis === 3;
    const contiguous = productOf(output.type.shape.slice(0, axis)) === 1;
    let offset: Dim = 0;
    for (const member of node.inputs) {
      if (!member) continue;
      const place = offset;
      offset = addDims(offset, member.type.shape[axis] as Dim);
      const uses = node.inputs.filter((other) => other === member).length;
      if (!isFree(member) || uses !== 1 || hosts.has(member) || member.type.dtype !== output.type.dtype) continue;
      if (!variables.mayHold(rootOf(output), node, member)) continue;
      if (dense.has(member) && !(contiguous && rootIsDense(output))) continue;
      if (wanted.has(member) && (!channelAxis || dense.has(rootOf(output)) || growing.has(rootOf(output)))) continue;
      if (unmovable.has(member) && typeof place !== "number") continue;
      aliases.set(member, { kind: "window", of: output, axis, offset: place });
      hosts.add(output);
    }
  }

  /** Dense all the way up: no window of a wider value, no border. */
  function rootIsDense(value: Value): boolean {
    if (wanted.has(value)) return false;
    const alias = aliases.get(value);
    if (!alias) return true;
    if (alias.kind === "window" && productOf(alias.of.type.shape.slice(0, alias.axis)) !== 1) return false;
    return rootIsDense(alias.of);
  }
}
