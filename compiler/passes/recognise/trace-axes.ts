/**
 * Follows the axes of a matrix operand through Transposes, Reshapes and repetitions. An axis is a list of parts; parts
 * keep their identity while Reshapes split and join them, so that at every step it is known where batches, rows and
 * columns stand in memory. Axes of extent 1 have no parts.
 */
import { type Dim, divideDims, moduloDims, sameDim } from "../../graph/dimension.ts";
import type { Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import { permutationOf } from "../permutation.ts";

export interface AxisPart {
  readonly extent: Dim;
}

/** A value whose axes consist of the parts of batches, rows and columns. */
export interface TracedAxes {
  readonly value: Value;
  readonly axes: readonly (readonly AxisPart[])[];
  /** Of the batch index, row-major; those in `repeated` are not in the axes: every index along them finds the same data. */
  readonly batch: readonly AxisPart[];
  readonly repeated: ReadonlySet<AxisPart>;
  readonly rows: readonly AxisPart[];
  readonly columns: readonly AxisPart[];
  /** What the value was multiplied by on the way. */
  readonly factor: number;
}

const partOf = (extent: Dim): readonly AxisPart[] => (sameDim(extent, 1) ? [] : [{ extent }]);

/** The axes of a matrix operand that is broadcast to `batch`; undefined when it cannot be. */
export function matrixAxes(value: Value, batch: readonly Dim[], transposed: boolean): TracedAxes | undefined {
  const { shape } = value.type;
  const missing = batch.length + 2 - shape.length;
  if (missing < 0) return undefined;
  const repeated = new Set<AxisPart>();
  const parts: AxisPart[] = [];
  const axes: (readonly AxisPart[])[] = [];
  for (const [index, extent] of batch.entries()) {
    const own = shape[index - missing];
    const [part] = partOf(extent);
    const present = own !== undefined && sameDim(own, extent);
    if (own !== undefined && !present && !sameDim(own, 1)) return undefined;
    if (part) parts.push(part);
    if (part && !present) repeated.add(part);
    if (own !== undefined) axes.push(present && part ? [part] : []);
  }
  const [first, last] = [partOf(shape.at(-2) as Dim), partOf(shape.at(-1) as Dim)];
  const [rows, columns] = transposed ? [last, first] : [first, last];
  return { value, axes: [...axes, first, last], batch: parts, repeated, rows, columns, factor: 1 };
}

/** One part replaced by several, wherever it stands. */
function replaced(traced: TracedAxes, part: AxisPart, by: readonly AxisPart[]): TracedAxes {
  const within = (list: readonly AxisPart[]): readonly AxisPart[] => list.flatMap((one) => (one === part ? by : [one]));
  const repeated = new Set([...traced.repeated].flatMap((one) => (one === part ? by : [one])));
  return {
    ...traced,
    axes: traced.axes.map(within),
    batch: within(traced.batch),
    repeated,
    rows: within(traced.rows),
    columns: within(traced.columns),
  };
}

/** `part` as an outer and an inner part of extent `inner`; undefined when that does not divide it. */
export function splitPart(traced: TracedAxes, part: AxisPart, inner: Dim): TracedAxes | undefined {
  if (!sameDim(moduloDims(part.extent, inner), 0)) return undefined;
  return replaced(traced, part, [{ extent: divideDims(part.extent, inner) }, { extent: inner }]);
}

/** The same elements in row-major order under another shape. */
function underShape(traced: TracedAxes, value: Value): TracedAxes | undefined {
  const axes: AxisPart[][] = [];
  let current = traced;
  const queue = (): readonly AxisPart[] => current.axes.flat();
  let taken = 0;
  for (const extent of value.type.shape) {
    const axis: AxisPart[] = [];
    let left: Dim = extent;
    while (!sameDim(left, 1)) {
      const part = queue()[taken];
      if (!part) return undefined;
      if (sameDim(moduloDims(left, part.extent), 0)) {
        left = divideDims(left, part.extent);
        axis.push(part);
        taken++;
        continue;
      }
      const split = splitPart(current, part, divideDims(part.extent, left));
      const outer = split?.axes.flat()[taken];
      if (!split || !outer || !sameDim(outer.extent, left)) return undefined;
      current = split;
      axis.push(outer);
      taken++;
      left = 1;
    }
    axes.push(axis);
  }
  return taken === queue().length ? { ...current, value, axes } : undefined;
}

/** The operand behind the node that produced the value; undefined where the axes cannot be followed. */
function stepBack(traced: TracedAxes, node: Node, context: RewriteContext): TracedAxes | undefined {
  const [source, other] = node.inputs;
  if (!source) return undefined;
  switch (node.op) {
    case "Transpose": {
      const axes: (readonly AxisPart[])[] = [];
      for (const [index, axis] of permutationOf(node).entries()) axes[axis] = traced.axes[index] ?? [];
      return { ...traced, value: source, axes };
    }
    case "Reshape":
      return underShape(traced, source);
    case "Mul": {
      for (const [value, factor] of [
        [source, other],
        [other, source],
      ] as const) {
        const tensor = factor && context.constant(factor);
        const sameRank = value?.type.shape.length === traced.axes.length;
        if (value && sameRank && tensor?.dtype === "float32" && tensor.data.length === 1)
          return { ...traced, value, factor: traced.factor * Number(tensor.data[0]) };
      }
      return undefined;
    }
    case "Expand":
      return withoutRepetition(traced, source);
    default:
      return undefined;
  }
}

/** Before an Expand of batch axes. */
function withoutRepetition(traced: TracedAxes, source: Value): TracedAxes | undefined {
  const missing = traced.axes.length - source.type.shape.length;
  const repeated = new Set(traced.repeated);
  const axes: (readonly AxisPart[])[] = [];
  for (const [index, parts] of traced.axes.entries()) {
    const extent = source.type.shape[index - missing];
    const isRepeated = extent === undefined || (sameDim(extent, 1) && parts.length > 0);
    if (isRepeated && !parts.every((part) => traced.batch.includes(part))) return undefined;
    if (isRepeated) for (const part of parts) repeated.add(part);
    if (extent !== undefined) axes.push(isRepeated ? [] : parts);
  }
  return { ...traced, value: source, axes, repeated };
}

/** The operand itself and what it was made from, nearest first. */
export function traceBack(start: TracedAxes, context: RewriteContext): readonly TracedAxes[] {
  const found = [start];
  for (let current: TracedAxes | undefined = start; current; ) {
    const producer = context.producer(current.value);
    current = producer && producer.outputs.length === 1 ? stepBack(current, producer, context) : undefined;
    if (current) found.push(current);
  }
  return found;
}

/** The result itself and what its only readers make of it, nearest first. */
export function traceForward(start: TracedAxes, context: RewriteContext): readonly TracedAxes[] {
  const found = [start];
  for (let current: TracedAxes | undefined = start; current; ) {
    const consumers: readonly Node[] = context.consumers(current.value);
    const [reader] = consumers;
    const result = reader?.outputs[0];
    if (!reader || !result || consumers.length !== 1 || context.isOutput(current.value)) return found;
    const { axes }: TracedAxes = current;
    if (reader.op === "Reshape") current = underShape(current, result);
    else if (reader.op === "Transpose")
      current = { ...current, value: result, axes: permutationOf(reader).map((axis) => axes[axis] ?? []) };
    else return found;
    if (current) found.push(current);
  }
  return found;
}
