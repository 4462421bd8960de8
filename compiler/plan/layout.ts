/**
 * Where each value of the graph lives: which values share bytes (reshapes, members of a concatenation), which
 * buffers carry a border for the convolutions that read them, which must be dense. Decided before any step is
 * bound; every value ends up as one View.
 */

import { integerOf } from "../graph/attribute.ts";
import { addDims, type Dim, productOf } from "../graph/dimension.ts";
import type { Graph, Node, Value } from "../graph/graph.ts";
import type { Buffer, Halo, View } from "../kernels/contract.ts";
import type { SelectedNode } from "./select.ts";
import { denseBytes, denseView, haloBytes, haloView, reshapedView, windowOf } from "./view.ts";

/** A value that lives inside another one. */
type Alias =
  | { readonly kind: "reshape"; readonly of: Value }
  | { readonly kind: "window"; readonly of: Value; readonly axis: number; readonly offset: Dim };

export interface Layout {
  /** The view of a non-constant value. */
  viewOf(value: Value): View;
  /** The border that the buffer of `value` carries around it; all zeros when none. */
  haloOf(value: Value): Halo;
  /** The bordered view and its border that lie in `buffer`; undefined for a buffer without one. */
  borderOf(buffer: Buffer): { readonly name: string; readonly view: View; readonly halo: Halo } | undefined;
  /** Whether concatenation member `input` already lies in its place in `output`. */
  isPlaced(input: Value, output: Value): boolean;
  /** Whether `left` and `right` are the same bytes. */
  sharesBytes(left: Value, right: Value): boolean;
}

export const noHalo: Halo = { top: 0, left: 0, bottom: 0, right: 0, value: 0 };

const mergeHalos = (left: Halo, right: Halo): Halo => ({
  top: Math.max(left.top, right.top),
  left: Math.max(left.left, right.left),
  bottom: Math.max(left.bottom, right.bottom),
  right: Math.max(left.right, right.right),
  value: 0,
});

export const covers = (has: Halo, wants: Halo): boolean =>
  has.top >= wants.top && has.left >= wants.left && has.bottom >= wants.bottom && has.right >= wants.right;

export const isEmpty = (halo: Halo): boolean => covers(noHalo, halo);

export function layOut(graph: Graph, selected: readonly SelectedNode[]): Layout {
  const dense = denseValues(graph, selected);
  const wanted = wantedHalos(selected, dense);
  const aliases = chooseAliases(graph, selected, dense, wanted);

  const rootOf = (value: Value): Value => {
    const alias = aliases.get(value);
    return alias ? rootOf(alias.of) : value;
  };
  const halos = new Map<Value, Halo>();
  for (const [value, halo] of wanted) {
    const root = rootOf(value);
    halos.set(root, mergeHalos(halos.get(root) ?? noHalo, halo));
  }

  const inputs = new Set(graph.inputs);
  const views = new Map<Value, View>();
  const borders = new Map<Buffer, { readonly name: string; readonly view: View; readonly halo: Halo }>();
  const viewOf = (value: Value): View => {
    const known = views.get(value);
    if (known) return known;
    const alias = aliases.get(value);
    const { dtype, shape } = value.type;
    let view: View;
    if (alias?.kind === "reshape") view = reshapedView(viewOf(alias.of), dtype, shape);
    else if (alias) view = windowOf(viewOf(alias.of), alias.axis, alias.offset, shape);
    else {
      const halo = halos.get(value) ?? noHalo;
      const bytes = isEmpty(halo) ? denseBytes(dtype, shape) : haloBytes(dtype, shape, halo);
      const buffer: Buffer = { kind: inputs.has(value) ? "input" : "scratch", name: value.name, dtype, bytes };
      view = isEmpty(halo) ? denseView(buffer, dtype, shape) : haloView(buffer, dtype, shape, halo);
      if (!isEmpty(halo)) borders.set(buffer, { name: value.name, view, halo });
    }
    views.set(value, view);
    return view;
  };
  return {
    viewOf,
    haloOf: (value) => halos.get(rootOf(value)) ?? noHalo,
    borderOf: (buffer) => borders.get(buffer),
    isPlaced: (input, output) => {
      const alias = aliases.get(input);
      return alias?.kind === "window" && alias.of === output;
    },
    sharesBytes: (left, right) => aliases.get(left)?.of === right || aliases.get(right)?.of === left,
  };
}

/** Values whose bytes must stand in row-major order without gaps. */
function denseValues(graph: Graph, selected: readonly SelectedNode[]): ReadonlySet<Value> {
  const dense = new Set<Value>([...graph.inputs, ...graph.outputs.map(({ value }) => value)]);
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
function wantedHalos(selected: readonly SelectedNode[], dense: ReadonlySet<Value>): ReadonlyMap<Value, Halo> {
  const wanted = new Map<Value, Halo>();
  for (const entry of selected) {
    if (entry.kind !== "steps") continue;
    for (const step of entry.steps) {
      if (step.kind !== "family") continue;
      step.operands.forEach((operand, index) => {
        const value = operand?.kind === "input" ? entry.node.inputs[operand.index] : undefined;
        const halo = step.family.halo?.(step.problem, index);
        if (!value || !halo || isEmpty(halo) || dense.has(value)) return;
        wanted.set(value, mergeHalos(wanted.get(value) ?? noHalo, halo));
      });
    }
  }
  return wanted;
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
): ReadonlyMap<Value, Alias> {
  const aliases = new Map<Value, Alias>();
  const anchored = new Set<Value>([
    ...graph.inputs,
    ...graph.constants.keys(),
    ...graph.outputs.map(({ value }) => value),
  ]);
  const hosts = new Set<Value>();
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
      if (!source) continue;
      // A value that others already live in keeps its own place, so that no chain turns back on itself.
      if (isFree(source) && !hosts.has(source)) {
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
      if (dense.has(member) && !(contiguous && rootIsDense(output))) continue;
      if (wanted.has(member) && (!channelAxis || dense.has(rootOf(output)))) continue;
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
