/**
 * What the code of a loop kernel depends on, and nothing else: two nests of equal shape share one function.
 * Extents, addresses and general strides are arguments.
 */
import type { DType } from "../../../runtime/format/dtype.ts";
import { type Expression, expressionType } from "../../../runtime/format/expression.ts";
import type { LoopNest } from "../../loop/loop.ts";
import { isVectorisable } from "../expression/vector.ts";

/** Byte stride of an operand along one axis: nothing, one element, or an argument. */
export type StrideClass = "zero" | "unit" | "any";

export interface ShapeOperand {
  readonly dtype: DType;
  /** Per iteration axis. */
  readonly strides: readonly StrideClass[];
  /** For operands read through `load` (and computed outputs): classes of the strides per coordinate. */
  readonly coordinates: readonly StrideClass[] | undefined;
}

export interface LoopShape {
  /** Parallel axes, then reduced ones. */
  readonly axes: number;
  readonly reductions: number;
  readonly operands: readonly ShapeOperand[];
  readonly output: ShapeOperand;
  readonly computed: readonly Expression[] | undefined;
  readonly parameters: number;
  readonly body: Expression;
  readonly combine: LoopNest["combine"] | undefined;
  readonly finish: Expression | undefined;
}

/** The axis whose iterations may run four at a time: the last parallel one. */
export const vectorAxisOf = (shape: LoopShape): number => shape.axes - shape.reductions - 1;

/** Element types for the body, and for `finish` (the reduced value first). */
export const bodyTypes = (shape: LoopShape): readonly DType[] => shape.operands.map(({ dtype }) => dtype);
export const finishTypes = (shape: LoopShape): readonly DType[] => [
  expressionType(shape.body, bodyTypes(shape)),
  ...bodyTypes(shape),
];

/** Whether an expression has the same value for neighbouring iterations of `axis`; in `finish`, operand 0 varies. */
export function isUniform(shape: LoopShape, expression: Expression, axis: number, inFinish = false): boolean {
  const recur = (child: Expression): boolean => isUniform(shape, child, axis, inFinish);
  switch (expression.kind) {
    case "input": {
      const index = inFinish ? expression.index - 1 : expression.index;
      return index >= 0 && shape.operands[index]?.strides[axis] === "zero";
    }
    case "load":
      return expression.at.every(recur);
    case "axis":
      return expression.axis !== axis;
    case "parameter":
    case "constant":
      return true;
    case "unary":
    case "cast":
      return recur(expression.value);
    case "binary":
      return recur(expression.left) && recur(expression.right);
    case "select":
      return recur(expression.condition) && recur(expression.whenTrue) && recur(expression.whenFalse);
  }
}

/**
 * A load whose coordinates do not vary over `axis` but for the last one, which is the axis itself plus something
 * uniform over a contiguous coordinate: four neighbours in memory. Gives the coordinates of the first.
 */
export function contiguousLoad(
  shape: LoopShape,
  expression: Extract<Expression, { kind: "load" }>,
  axis: number,
): readonly Expression[] | undefined {
  const last = expression.at.at(-1);
  const leading = expression.at.slice(0, -1);
  if (!last || shape.operands[expression.operand]?.coordinates?.at(-1) !== "unit") return undefined;
  if (!leading.every((coordinate) => isUniform(shape, coordinate, axis))) return undefined;
  const isAxis = (node: Expression): boolean => node.kind === "axis" && node.axis === axis;
  const advances =
    isAxis(last) ||
    (last.kind === "binary" &&
      last.operation === "add" &&
      ((isAxis(last.left) && isUniform(shape, last.right, axis)) ||
        (isAxis(last.right) && isUniform(shape, last.left, axis))));
  return advances ? expression.at : undefined;
}

/** Whether the nest can run four iterations of its vector axis at once. */
export function canVectorise(shape: LoopShape): boolean {
  const axis = vectorAxisOf(shape);
  if (axis < 0 || shape.computed || shape.output.strides[axis] !== "unit") return false;
  if (!vectorOutputs.has(shape.output.dtype)) return false;
  const types = bodyTypes(shape);
  if (!isVectorisableAt(shape, shape.body, types, axis, false)) return false;
  return !shape.finish || isVectorisableAt(shape, shape.finish, finishTypes(shape), axis, true);
}

/** Whether the nest copies elements that are neighbours on both sides along its vector axis, whatever their type. */
export function copiesRows(shape: LoopShape): boolean {
  const { operands, output, body, finish, reductions, computed } = shape;
  const axis = vectorAxisOf(shape);
  const [source] = operands;
  return (
    body.kind === "input" &&
    body.index === 0 &&
    operands.length === 1 &&
    reductions === 0 &&
    !finish &&
    !computed &&
    source?.dtype === output.dtype &&
    source.strides[axis] === "unit" &&
    output.strides[axis] === "unit"
  );
}

/** Whether the vector axis needs no better one. */
export const runsWell = (shape: LoopShape): boolean => canVectorise(shape) || copiesRows(shape);

const vectorOutputs: ReadonlySet<DType> = new Set<DType>(["float32", "int32", "bool", "int8", "uint8"]);

function isVectorisableAt(
  shape: LoopShape,
  expression: Expression,
  types: readonly DType[],
  axis: number,
  inFinish: boolean,
): boolean {
  if (expression.kind !== "constant" && isUniform(shape, expression, axis, inFinish)) {
    return ["float32", "int32", "bool", "float16", "int8", "uint8"].includes(expressionType(expression, types));
  }
  switch (expression.kind) {
    case "input": {
      const operand = shape.operands[inFinish ? expression.index - 1 : expression.index];
      return (!operand || operand.strides[axis] === "unit") && isVectorisable(expression, types);
    }
    case "load":
      return contiguousLoad(shape, expression, axis) !== undefined && isVectorisable(expression, types);
    case "axis":
    case "parameter":
      return true;
    case "constant":
      return isVectorisable(expression, types);
    default: {
      const children: readonly Expression[] =
        expression.kind === "binary"
          ? [expression.left, expression.right]
          : expression.kind === "select"
            ? [expression.condition, expression.whenTrue, expression.whenFalse]
            : [expression.value];
      const shallow = isVectorisable(withLeaves(expression, types), [...types]);
      return shallow && children.every((child) => isVectorisableAt(shape, child, types, axis, inFinish));
    }
  }
}

/**
 * The operation alone, its operands replaced by constants of their types. Narrow types are only converted, never
 * computed with, in lanes: those do not wrap or round.
 */
function withLeaves(expression: Expression, types: readonly DType[]): Expression {
  const leaf = (child: Expression): Expression => ({
    kind: "constant",
    dtype: expressionType(child, types),
    value: 0,
  });
  switch (expression.kind) {
    case "unary":
      return { ...expression, value: leaf(expression.value) };
    case "cast": {
      const from = expressionType(expression.value, types);
      const held: DType = from === "int8" || from === "uint8" ? "int32" : from === "float16" ? "float32" : from;
      return { ...expression, value: { kind: "constant", dtype: held, value: 0 } };
    }
    case "binary":
      return { ...expression, left: leaf(expression.left), right: leaf(expression.right) };
    case "select":
      return {
        ...expression,
        condition: leaf(expression.condition),
        whenTrue: leaf(expression.whenTrue),
        whenFalse: leaf(expression.whenFalse),
      };
    default:
      return expression;
  }
}
