/**
 * Copies that need not be: a slice, one row, a permutation of axes of a value is a window of its bytes when everything
 * that reads it takes strides, or when it stands there without gaps.
 */
import { byteSize } from "../../runtime/format/dtype.ts";
import { addDims, type Dim, multiplyDims, productOf, sameDim, upperBound } from "../graph/dimension.ts";
import type { Graph, Value } from "../graph/graph.ts";
import type { View } from "../kernels/contract.ts";
import type { AffineIndex, LoopNest } from "../loop/loop.ts";
import type { SelectedNode, SelectedStep } from "./select.ts";
import { denseBytes, isDense, reshapedView } from "./view.ts";

/** `output` is elements of `source`: element i of it lies at coordinates access(i). */
export interface Part {
  readonly source: Value;
  readonly output: Value;
  readonly access: readonly AffineIndex[];
}

/** What a node's steps take out of its first input, one part for each step; none when it does anything else. */
export function partsOf(entry: SelectedNode, constants: Graph["constants"]): readonly Part[] {
  if (entry.kind !== "steps" || entry.temporaries.length > 0) return [];
  const { node, steps } = entry;
  const outputs = steps.map((step) => step.kind === "nest" && step.output.kind === "output" && step.output.index);
  if (new Set(outputs).size !== steps.length) return [];
  return steps.flatMap((step): Part[] => {
    const [operand] = step.operands;
    const source = operand?.kind === "input" ? node.inputs[operand.index] : undefined;
    if (step.kind !== "nest" || step.operands.length !== 1 || !source || constants.has(source)) return [];
    const output = step.output.kind === "output" ? node.outputs[step.output.index] : undefined;
    const access = copiedAccess(step.nest);
    return output && access && source.type.dtype === output.type.dtype && isWhole(step.nest, output)
      ? [{ source, output, access }]
      : [];
  });
}

/** Where a nest that only copies reads the element that it writes at its own iteration; undefined for other nests. */
function copiedAccess({ body, combine, finish, output, operands }: LoopNest): readonly AffineIndex[] | undefined {
  const access = operands[0]?.access;
  if (body.kind !== "input" || combine || finish || access === undefined || access === "indexed") return undefined;
  if ("computed" in output.access) return undefined;
  const isIdentity = output.access.every(
    ({ offset, terms: [term, ...more] }, axis) =>
      offset === 0 && more.length === 0 && term?.axis === axis && term.coefficient === 1,
  );
  return isIdentity ? access : undefined;
}

const isWhole = ({ extents }: LoopNest, { type: { shape } }: Value): boolean =>
  extents.length === shape.length && extents.every((extent, axis) => sameDim(extent, shape[axis] as Dim));

/** The view of a part of what `view` shows. */
export function partView(view: View, access: readonly AffineIndex[], shape: readonly Dim[]): View {
  const strides: Dim[] = shape.map(() => 0);
  let { offset } = view;
  access.forEach((index, coordinate) => {
    const step = view.strides[coordinate] as Dim;
    offset = addDims(offset, multiplyDims(index.offset, step));
    for (const { axis, coefficient } of index.terms)
      strides[axis] = addDims(strides[axis] as Dim, multiplyDims(coefficient, step));
  });
  return { ...view, offset, shape, strides };
}

export interface PartContext {
  readonly graph: Graph;
  readonly selected: readonly SelectedNode[];
  /** Whether the bytes of `value` are its own and nothing else writes them. */
  isFree(value: Value): boolean;
  /** The value whose buffer holds `value`. */
  rootOf(value: Value): Value;
  /** Whether several nodes write `value`. */
  isVariable(value: Value): boolean;
  /** Reshapes that lie in `value`. */
  reshapesOf(value: Value): readonly Value[];
  /** The view of a value as decided so far. */
  viewOf(value: Value): View;
}

/** Bytes that may stay alive for a part of them. */
const mostHeldBytes = 1 << 20;
/** Elements without neighbours in memory that a nest may as well collect itself. */
const mostScattered = 512;
/** Neighbouring elements that are worth a vector loop. */
const leastRun = 16;

/** Calls `take` for every part that is to be a window of its source, sources first. */
export function chooseParts(context: PartContext, take: (part: Part) => void): void {
  const { graph, selected } = context;
  const readers = new Map<Value, SelectedNode[]>();
  const lastUse = new Map<Value, number>();
  selected.forEach((entry, at) => {
    for (const value of new Set(entry.node.inputs)) {
      if (!value) continue;
      readers.set(value, [...(readers.get(value) ?? []), entry]);
      lastUse.set(context.rootOf(value), at);
    }
  });
  for (const { value } of graph.outputs) lastUse.set(context.rootOf(value), selected.length);
  for (const entry of selected) {
    for (const part of partsOf(entry, graph.constants)) {
      if (!isPossible(part)) continue;
      const { source, output } = part;
      const view = partView(context.viewOf(source), part.access, output.type.shape);
      if (typeof view.offset !== "number" || !suits(output, view) || !isWorthHolding(part)) continue;
      const root = context.rootOf(source);
      lastUse.set(root, Math.max(lastUse.get(root) ?? 0, lastUse.get(output) ?? 0));
      take(part);
    }
  }

  function isPossible({ source, output }: Part): boolean {
    const root = context.rootOf(source);
    return context.isFree(output) && root !== output && !context.isVariable(root);
  }

  /** Whether all readers of `value`, and of its reshapes, can read it as it lies in `view`. */
  function suits(value: Value, view: View): boolean {
    const bound = upperBound(productOf(view.shape), graph.symbols);
    const runs = runOf(view) >= leastRun || bound <= mostScattered;
    for (const entry of readers.get(value) ?? [])
      if (!isDense(view) && !(runs && takes(entry, value, view))) return false;
    return context.reshapesOf(value).every((other) => {
      const shown = reshapedView(view, other.type.dtype, other.type.shape);
      return shown !== undefined && suits(other, shown);
    });
  }

  /** Whether the part is small, or its source is there for as long anyway. */
  function isWorthHolding({ source, output }: Part): boolean {
    const root = context.rootOf(source);
    const { dtype, shape } = root.type;
    return (
      (lastUse.get(root) ?? 0) >= (lastUse.get(output) ?? 0) ||
      upperBound(denseBytes(dtype, shape), graph.symbols) <= mostHeldBytes
    );
  }

  /** Whether the node reads `value` where it lies, whatever its strides. */
  function takes(entry: SelectedNode, value: Value, view: View): boolean {
    if (entry.kind === "host") return false;
    if (entry.kind === "view") return true;
    return entry.steps.every((step) => step.kind === "nest" || !reads(step, entry, value) || takesRows(step, view));
  }
}

const reads = (step: SelectedStep, { node }: SelectedNode, value: Value): boolean =>
  step.operands.some((operand) => operand?.kind === "input" && node.inputs[operand.index] === value);

const takesRows = (step: Extract<SelectedStep, { kind: "family" }>, { dtype, shape, strides }: View): boolean =>
  step.family.strided &&
  (shape.at(-1) === 1 || strides.at(-1) === byteSize[dtype]) &&
  strides.every((stride) => typeof stride !== "number" || stride >= 0);

/** Elements that stand next to each other along the innermost axes. */
function runOf({ dtype, shape, strides }: View): number {
  let run = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const extent = shape[axis] as Dim;
    if (extent === 1) continue;
    if (strides[axis] !== run * byteSize[dtype]) return run;
    if (typeof extent !== "number") return Number.POSITIVE_INFINITY;
    run *= extent;
  }
  return run;
}
