/**
 * Pad. A constant border is a fill and a copy of what the (possibly negative) pads leave of the input; edge, reflect and
 * wrap compute the source coordinate, which stays inside whatever the pads are.
 */
import type { DType } from "../../../runtime/format/dtype.ts";
import {
  axis as axisIndex,
  binary,
  constant,
  type Expression,
  input,
  load,
} from "../../../runtime/format/expression.ts";
import { readerOf } from "../../../runtime/reference/element.ts";
import { pad as reference } from "../../../runtime/reference/pad.ts";
import { floatOf, stringOf } from "../../graph/attribute.ts";
import { addDims, type Dim, maximumDim, minimumDim, multiplyDims } from "../../graph/dimension.ts";
import type { TensorType } from "../../graph/graph.ts";
import { along, fixed } from "../../loop/loop.ts";
import { Parameters } from "../contraction/integer-expression.ts";
import { defineOperator, exactTolerance, type LoweredStep, type Lowering, type OperatorContext } from "../operator.ts";
import {
  axisOf,
  copyNest,
  dimsOf,
  inputOperand,
  isAtLeast,
  nestOver,
  nestStep,
  numbersOf,
  only,
  steps,
  view,
} from "./copy.ts";
import { clampIndex, lastOf } from "./index-expression.ts";

/** Elements put before and after an axis; negative ones are taken away. */
export interface Border {
  readonly before: Dim;
  readonly after: Dim;
}

function bordersOf(context: OperatorContext): readonly Border[] {
  const { shape } = context.type(0);
  const pads = dimsOf(context, "pads", 1) ?? context.fail("the pads are missing");
  const axes =
    numbersOf(context, "axes", 3)?.map((axis) => axisOf(context, axis, shape.length)) ?? shape.map((_, axis) => axis);
  if (pads.length !== 2 * axes.length)
    context.fail("pads does not match the axes", `${2 * axes.length} values`, String(pads.length));
  return shape.map((_, axis): Border => {
    const i = axes.indexOf(axis);
    return i < 0 ? { before: 0, after: 0 } : { before: pads[i] as Dim, after: pads[i + axes.length] as Dim };
  });
}

const positive = (dim: Dim): Dim => (isAtLeast(dim, 0) ? dim : isAtLeast(0, dim) ? 0 : maximumDim(dim, 0));
const negative = (dim: Dim): Dim => (isAtLeast(dim, 0) ? 0 : isAtLeast(0, dim) ? dim : minimumDim(dim, 0));

/** A step that fills the whole output with the border's value. */
function fill(context: OperatorContext, type: TensorType): LoweredStep {
  const known = context.constant(2);
  if (!context.has(2) || known) {
    const value = known ? Number(readerOf(known)(0)) : floatOf(context.node, "value", 0);
    return nestStep(nestOver(type, [], constant(value, type.dtype)), []);
  }
  const given = context.type(2);
  const access = given.shape.map(() => fixed(0));
  return nestStep(nestOver(type, [{ dtype: given.dtype, access }], input(0)), [inputOperand(2)]);
}

/** Copies what is left of the input to its place in the output. */
function copyInside(dtype: DType, shape: readonly Dim[], borders: readonly Border[]): LoweredStep {
  const extents = shape.map((extent, axis) => {
    const { before, after } = borders[axis] as Border;
    return positive(addDims(extent, negative(before), negative(after)));
  });
  const source = borders.map(({ before }, axis) => along(axis, 1, multiplyDims(negative(before), -1)));
  const target = borders.map(({ before }, axis) => along(axis, 1, positive(before)));
  return nestStep(copyNest(dtype, extents, source, target));
}

/** The input inside a border that the step `filling` writes, unless there is none to see. */
export function withBorder(
  dtype: DType,
  shape: readonly Dim[],
  borders: readonly Border[],
  filling: LoweredStep,
): Lowering {
  const copy = copyInside(dtype, shape, borders);
  const isCut = borders.every(({ before, after }) => isAtLeast(0, before) && isAtLeast(0, after));
  return isCut ? steps(copy) : steps(filling, copy);
}

const zero = constant(0, "int32");

/** The source coordinate along one axis, from the distance to its first element. */
function sourceIndex(mode: string, distance: Expression, extent: Expression): Expression | undefined {
  const last = lastOf(extent);
  switch (mode) {
    case "edge":
      return clampIndex(distance, zero, last);
    case "wrap":
      return binary("modulo", distance, extent);
    case "reflect": {
      // Back and forth: a period goes up to the last element and returns. Modulo 0, for one element, is 0.
      const period = binary("multiply", constant(2, "int32"), last);
      const phase = binary("modulo", distance, period);
      return binary("minimum", phase, binary("subtract", period, phase));
    }
    default:
      return undefined;
  }
}

export const pad = defineOperator({
  op: "Pad",
  infer: (context) => {
    const { dtype, shape } = context.type(0);
    const borders = bordersOf(context);
    const padded = shape.map((extent, axis) => {
      const { before, after } = borders[axis] as Border;
      const total = addDims(extent, before, after);
      if (typeof total === "number" && total < 0)
        context.fail("negative pads take more than there is", "at least 0", String(total));
      return total;
    });
    return [{ dtype, shape: padded }];
  },
  reference,
  lower: (context) => {
    const { dtype, shape } = context.type(0);
    const type = only(pad.infer(context));
    const borders = bordersOf(context);
    const mode = stringOf(context.node, "mode", "constant");
    if (borders.every(({ before, after }) => before === 0 && after === 0)) return view;
    if (mode === "constant") return withBorder(dtype, shape, borders, fill(context, type));
    const parameters = new Parameters();
    const at = borders.map(({ before, after }, axis) => {
      if (before === 0 && after === 0) return axisIndex(axis);
      const distance = before === 0 ? axisIndex(axis) : binary("subtract", axisIndex(axis), parameters.of(before));
      return (
        sourceIndex(mode, distance, parameters.of(shape[axis] as Dim)) ??
        context.fail("the mode is not known", "constant, edge, reflect or wrap", mode)
      );
    });
    return steps(nestStep(nestOver(type, [{ dtype, access: "indexed" }], load(0, at), parameters.values)));
  },
  tolerance: exactTolerance,
});
