/**
 * A loop nest bound to views: affine coordinates become strides, axes of extent 1 disappear, neighbouring axes
 * merge where every operand allows, and the axis that can be vectorised moves to the inside.
 */
import { byteSize } from "../../../runtime/format/dtype.ts";
import {
  axis as axisLeaf,
  constant,
  type Expression,
  expressionType,
  mapExpression,
} from "../../../runtime/format/expression.ts";
import { addDims, ceilDivideDims, type Dim, multiplyDims, productOf, sameDim } from "../../graph/dimension.ts";
import type { AffineIndex, LoopNest } from "../../loop/loop.ts";
import type { Argument, BoundStep, ElementwiseWork, View } from "../contract.ts";
import { keyOf } from "../expression/memo.ts";
import { isEmittable } from "../expression/scalar.ts";
import {
  canVectorise,
  copiesRows,
  type LoopShape,
  runsWell,
  type ShapeOperand,
  type StrideClass,
  vectorAxisOf,
} from "./shape.ts";
import { transposition } from "./transpose.ts";
import { emitLoop } from "./wasm.ts";
import { loopWgsl } from "./wgsl.ts";

/** One operand (or the output) while axes are still being rearranged. */
interface Walk {
  readonly view: View;
  readonly offset: Dim;
  /** Byte stride per iteration axis; empty for indexed operands. */
  strides: Dim[];
  readonly indexed: boolean;
}

interface Space {
  extents: Dim[];
  parallel: number;
  /** Output first, then operands. */
  readonly walks: readonly Walk[];
  body: Expression;
  finish: Expression | undefined;
  computed: readonly Expression[] | undefined;
}

/** Whether every expression of the nest can be generated; other nests run as host steps. */
export function isBindable(nest: LoopNest): boolean {
  const types = nest.operands.map(({ dtype }) => dtype);
  const computed = "computed" in nest.output.access ? nest.output.access.computed : [];
  return (
    [nest.body, ...computed].every((expression) => isEmittable(expression, types)) &&
    (!nest.finish || isEmittable(nest.finish, [expressionType(nest.body, types), ...types]))
  );
}

/** `operands[k]` is bound to operand k of the nest. */
export function bindLoopNest(nest: LoopNest, operands: readonly View[], output: View): BoundStep {
  const computed = "computed" in nest.output.access ? nest.output.access.computed : undefined;
  const space: Space = {
    extents: [...nest.extents],
    parallel: nest.extents.length - nest.reductions,
    walks: [
      walkOf(output, computed ? "indexed" : (nest.output.access as readonly AffineIndex[]), nest.extents.length),
      ...nest.operands.map(({ access }, index) => walkOf(operands[index] as View, access, nest.extents.length)),
    ],
    body: nest.body,
    finish: nest.finish,
    computed,
  };
  dropUnitAxes(space);
  mergeAxes(space);
  const turned = asTransposition(nest, space);
  if (turned) return turned;
  if (!computed) chooseInnermost(space, (candidate) => shapeOf(nest, candidate));
  if (space.parallel === 0) insertUnitAxis(space);
  const shape = shapeOf(nest, space);
  const elements = productOf(space.extents);
  const bytes = addDims(...space.walks.map((walk) => bytesOf(space, walk)));
  return {
    kernel: {
      key: `loop ${keyOf(shape)}`,
      name: nameOf(nest),
      emitWasm: (context) => emitLoop(context, shape),
      emitWgsl: () => loopWgsl(shape),
    },
    arguments: argumentsOf(nest, space, shape),
    range: space.extents[0] as Dim,
    granule: granuleOf(shape),
    flops: multiplyDims(elements, countOperations(nest.body)),
    bytes,
    elementwise: workOf(shape, elements, space),
    invocations: productOf(space.extents.slice(0, space.parallel)),
  };
}

/** What the cost table is asked about: the body at every point, and what finishes every output. */
function workOf(shape: LoopShape, points: Dim, { extents, parallel }: Space): readonly ElementwiseWork[] {
  const outputs = productOf(extents.slice(0, parallel));
  const around = productOf(extents.slice(0, parallel - 1));
  if (copiesRows(shape)) {
    const words = multiplyDims(points, byteSize[shape.output.dtype]);
    return [{ points: ceilDivideDims(words, 4), rows: around, form: "copy", expression: shape.body }];
  }
  const form = canVectorise(shape) ? "vector" : "scalar";
  const rows = shape.reductions > 0 ? productOf(extents.slice(0, -1)) : around;
  const body = { points, rows, form, expression: shape.body } as const;
  return shape.finish ? [body, { points: outputs, rows: 0, form, expression: shape.finish }] : [body];
}

/** Lanes of a vector. */
const lanes = 4;

/** Scattered elements keep their order; what is computed as a vector stays one. */
function granuleOf(shape: LoopShape): number {
  if (shape.computed) return 0;
  return vectorAxisOf(shape) === 0 ? lanes : 1;
}

/** Bytes that one operand reads or writes: once per iteration of the axes it moves along. */
const bytesOf = ({ extents }: Space, { view, strides, indexed }: Walk): Dim =>
  multiplyDims(byteSize[view.dtype], ...extents.filter((_, axis) => indexed || strides[axis] !== 0));

/** The nest as a transposition when it copies bytes or four-byte elements between different innermost axes. */
function asTransposition(nest: LoopNest, { extents, walks, body, finish, computed }: Space): BoundStep | undefined {
  const [output, input] = walks as readonly [Walk, Walk | undefined];
  if (!input || walks.length > 2 || input.indexed || computed || finish || nest.reductions > 0) return undefined;
  const { dtype } = output.view;
  if (body.kind !== "input" || dtype !== input.view.dtype) return undefined;
  const size = byteSize[dtype];
  if (size !== 1 && size !== 4) return undefined;
  const axes = extents.map((extent, axis) => ({
    extent,
    input: input.strides[axis] as Dim,
    output: output.strides[axis] as Dim,
  }));
  const turned = transposition(axes, size);
  if (!turned) return undefined;
  const elements = productOf(extents);
  return {
    ...turned,
    arguments: [
      { kind: "address", buffer: output.view.buffer, offset: output.offset, access: "write" },
      { kind: "address", buffer: input.view.buffer, offset: input.offset, access: "read" },
      ...turned.arguments,
    ],
    flops: 0,
    bytes: multiplyDims(elements, 2 * size),
    elementwise: [{ points: elements, rows: 0, form: "transpose", expression: body }],
    invocations: elements,
  };
}

function walkOf(view: View, access: readonly AffineIndex[] | "indexed", axes: number): Walk {
  if (access === "indexed") return { view, offset: view.offset, strides: [], indexed: true };
  const strides: Dim[] = Array.from({ length: axes }, () => 0);
  let offset = view.offset;
  access.forEach((index, coordinate) => {
    const step = view.strides[coordinate] as Dim;
    offset = addDims(offset, multiplyDims(index.offset, step));
    for (const { axis, coefficient } of index.terms)
      strides[axis] = addDims(strides[axis] as Dim, multiplyDims(coefficient, step));
  });
  return { view, offset, strides, indexed: false };
}

const affineWalks = (space: Space): readonly Walk[] => space.walks.filter((walk) => !walk.indexed);

/** Renumbers axes: `place(old)` is the new number, or undefined for an axis that is always 0. */
function renumber(space: Space, place: (axis: number) => number | undefined): void {
  const change = (expression: Expression): Expression => {
    if (expression.kind !== "axis") return expression;
    const next = place(expression.axis);
    return next === undefined ? constant(0, "int32") : axisLeaf(next);
  };
  space.body = mapExpression(space.body, change);
  if (space.finish) space.finish = mapExpression(space.finish, change);
  space.computed = space.computed?.map((expression) => mapExpression(expression, change));
}

function removeAxis(space: Space, axis: number): void {
  space.extents.splice(axis, 1);
  for (const walk of affineWalks(space)) walk.strides.splice(axis, 1);
  if (axis < space.parallel) space.parallel--;
  renumber(space, (old) => (old === axis ? undefined : old > axis ? old - 1 : old));
}

function dropUnitAxes(space: Space): void {
  for (let axis = space.extents.length - 1; axis >= 0; axis--) if (space.extents[axis] === 1) removeAxis(space, axis);
}

function insertUnitAxis(space: Space): void {
  space.extents.unshift(1);
  for (const walk of affineWalks(space)) walk.strides.unshift(0);
  space.parallel++;
  renumber(space, (old) => old + 1);
}

function usedAxes(space: Space): ReadonlySet<number> {
  const used = new Set<number>();
  const note = (expression: Expression): Expression => {
    if (expression.kind === "axis") used.add(expression.axis);
    return expression;
  };
  for (const expression of [space.body, ...(space.finish ? [space.finish] : []), ...(space.computed ?? [])])
    mapExpression(expression, note);
  return used;
}

/** Merges axis and axis+1 when every operand steps over the pair as over one. */
function mergeAxes(space: Space): void {
  for (let axis = space.extents.length - 2; axis >= 0; axis--) {
    if (axis + 1 === space.parallel) continue;
    const used = usedAxes(space);
    if (used.has(axis) || used.has(axis + 1)) continue;
    const inner = space.extents[axis + 1] as Dim;
    const mergeable = affineWalks(space).every(({ strides }) =>
      sameDim(strides[axis] as Dim, multiplyDims(strides[axis + 1] as Dim, inner)),
    );
    if (!mergeable) continue;
    space.extents[axis + 1] = multiplyDims(space.extents[axis] as Dim, inner);
    removeAxis(space, axis);
  }
}

/** Moves the parallel axis that runs best on the inside to the last parallel place. */
function chooseInnermost(space: Space, shape: (space: Space) => LoopShape): void {
  if (space.parallel < 2 || runsWell(shape(space))) return;
  const candidates = Array.from({ length: space.parallel - 1 }, (_, axis) => axis).reverse();
  for (const axis of candidates) {
    const moved = moveInside(space, axis);
    if (runsWell(shape(moved))) {
      Object.assign(space, moved);
      return;
    }
  }
  // No axis vectorises: the longest of the last two keeps loop overhead small.
  const last = space.extents[space.parallel - 1];
  const before = space.extents[space.parallel - 2];
  if (typeof last === "number" && typeof before === "number" && last < 8 && before > last)
    Object.assign(space, moveInside(space, space.parallel - 2));
}

function moveInside(space: Space, axis: number): Space {
  const last = space.parallel - 1;
  const place = (old: number): number => (old === axis ? last : old > axis && old <= last ? old - 1 : old);
  const permute = (list: readonly Dim[]): Dim[] => {
    const result: Dim[] = [];
    list.forEach((item, old) => {
      result[place(old)] = item;
    });
    return result;
  };
  const moved: Space = {
    ...space,
    extents: permute(space.extents),
    walks: space.walks.map((walk) => ({ ...walk, strides: walk.indexed ? [] : permute(walk.strides) })),
  };
  renumber(moved, place);
  return moved;
}

const classOf = (stride: Dim, size: number): StrideClass => (stride === 0 ? "zero" : stride === size ? "unit" : "any");

function shapeOf(nest: LoopNest, space: Space): LoopShape {
  const operandOf = (walk: Walk): ShapeOperand => {
    const size = byteSize[walk.view.dtype];
    return {
      dtype: walk.view.dtype,
      strides: walk.strides.map((stride) => classOf(stride, size)),
      coordinates: walk.indexed ? walk.view.strides.map((stride) => classOf(stride, size)) : undefined,
    };
  };
  const [output, ...operands] = space.walks.map(operandOf);
  return {
    axes: space.extents.length,
    reductions: space.extents.length - space.parallel,
    operands,
    output: output as ShapeOperand,
    computed: space.computed,
    parameters: nest.parameters.length,
    body: space.body,
    combine: nest.combine,
    finish: space.finish,
  };
}

/** Words: addresses (output first), extents, strides of class "any" walk by walk, parameters. */
function argumentsOf(nest: LoopNest, space: Space, shape: LoopShape): readonly Argument[] {
  const list: Argument[] = space.walks.map((walk, index) => ({
    kind: "address",
    buffer: walk.view.buffer,
    offset: walk.offset,
    access: index === 0 ? "write" : "read",
  }));
  for (const extent of space.extents) list.push({ kind: "integer", value: extent });
  [shape.output, ...shape.operands].forEach((operand, index) => {
    const walk = space.walks[index] as Walk;
    const strides = walk.indexed ? walk.view.strides : walk.strides;
    (operand.coordinates ?? operand.strides).forEach((strideClass, axis) => {
      if (strideClass === "any") list.push({ kind: "integer", value: strides[axis] as Dim });
    });
  });
  for (const parameter of nest.parameters) list.push({ kind: "integer", value: parameter });
  return list;
}

function countOperations(expression: Expression): number {
  let count = 0;
  mapExpression(expression, (node) => {
    if (node.kind === "unary" || node.kind === "binary") count++;
    return node;
  });
  return count;
}

function nameOf(nest: LoopNest): string {
  if (nest.combine) return `reduce ${nest.combine}`;
  if (nest.body.kind === "input") return "copy";
  if (nest.body.kind === "load") return "gather";
  return countOperations(nest.body) === 1 && nest.body.kind !== "cast" && "operation" in nest.body
    ? nest.body.operation
    : "elementwise";
}
