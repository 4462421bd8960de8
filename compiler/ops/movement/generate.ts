/** Operators that make a tensor from parameters: ConstantOfShape, Range, EyeLike, and Trilu, which keeps a part of one. */
import { type DType, isBigInteger } from "../../../runtime/format/dtype.ts";
import {
  axis,
  binary,
  cast,
  constant,
  type Expression,
  input,
  load,
  select,
} from "../../../runtime/format/expression.ts";
import type { Tensor } from "../../../runtime/format/tensor.ts";
import { dtypeOfNumber } from "../../../runtime/reference/data-type.ts";
import { readerOf } from "../../../runtime/reference/element.ts";
import * as reference from "../../../runtime/reference/generate.ts";
import { integerOf, tensorOfAttribute } from "../../graph/attribute.ts";
import { addDims, ceilDivideDims, type Dim, maximumDim, multiplyDims, subtractDims } from "../../graph/dimension.ts";
import { longestShape } from "../../graph/facts.ts";
import { type AffineIndex, fixed, identityAccess } from "../../loop/loop.ts";
import { Parameters } from "../contraction/integer-expression.ts";
import { defineOperator, exactTolerance, type OperatorContext } from "../operator.ts";
import { dimsOf, inputOperand, isAtLeast, nestOver, nestStep, numberOfDim, only, steps } from "./copy.ts";

/** The first element as a constant; undefined for integers that a number does not hold. */
function constantOf(tensor: Tensor): Expression | undefined {
  const value = readerOf(tensor)(0);
  return typeof value === "bigint" && BigInt(Number(value)) !== value
    ? undefined
    : constant(Number(value), tensor.dtype);
}

const zero = (dtype: DType): Expression => constant(0, dtype);
const filledValue = (context: OperatorContext): Tensor | undefined => tensorOfAttribute(context.node, "value");

export const constantOfShape = defineOperator({
  op: "ConstantOfShape",
  infer: (context) => [
    {
      dtype: filledValue(context)?.dtype ?? "float32",
      shape: dimsOf(context, "shape", 0) ?? context.fail("the shape is missing"),
    },
  ],
  elements: (context) => {
    const { dtype, shape } = only(constantOfShape.infer(context));
    const value = filledValue(context);
    const [length = 1] = shape;
    if (!value || !/^u?int/.test(dtype) || shape.length > 1 || typeof length !== "number" || length > longestShape)
      return undefined;
    return Array.from({ length }, () => Number(value.data[0]));
  },
  reference: reference.constantOfShape,
  lower: (context) => {
    const type = only(constantOfShape.infer(context));
    const value = filledValue(context);
    const body = value ? constantOf(value) : zero(type.dtype);
    return body && steps(nestStep(nestOver(type, [], body), []));
  },
  tolerance: exactTolerance,
});

/** start, limit (inputs, or attributes where symbolic) and delta as dims (integers, possibly symbolic) or numbers. */
function rangeOf(context: OperatorContext): readonly [start: Dim, limit: Dim, delta: Dim] | undefined {
  const values = ["start", "limit", "delta"].map((name, index): Dim | undefined => {
    const known = context.integers(name, index)?.[0];
    if (known !== undefined) return known;
    const tensor = context.constant(index);
    return tensor && Number(readerOf(tensor)(0));
  });
  const [start, limit, delta] = values;
  return start === undefined || limit === undefined || delta === undefined ? undefined : [start, limit, delta];
}

function rangeLength(context: OperatorContext): Dim {
  const [start, limit, delta] =
    rangeOf(context) ??
    context.fail("start, limit and delta must be known when the model is compiled", "constants", "computed values");
  if (typeof start === "number" && typeof limit === "number" && typeof delta === "number")
    return reference.rangeLength(start, limit, delta);
  const step = numberOfDim(context, "the step of a symbolic range", delta);
  const distance = step > 0 ? subtractDims(limit, start) : subtractDims(start, limit);
  return ceilDivideDims(isAtLeast(distance, 0) ? distance : maximumDim(distance, 0), Math.abs(step));
}

export const range = defineOperator({
  op: "Range",
  infer: (context) => [{ dtype: context.type(2).dtype, shape: [rangeLength(context)] }],
  elements: (context) => {
    const values = rangeOf(context);
    const length = rangeLength(context);
    if (!values || !/^u?int/.test(context.type(2).dtype) || typeof length !== "number" || length > longestShape)
      return undefined;
    const [start, , delta] = values;
    return Array.from({ length }, (_, i) => addDims(start, multiplyDims(delta, i)));
  },
  reference: reference.range,
  lower: (context) => {
    const values = rangeOf(context);
    const type = only(range.infer(context));
    if (!values) return undefined;
    const [start, , delta] = values;
    const parameters = new Parameters();
    const known = (dim: Dim): Expression =>
      typeof dim === "number" ? constant(dim, type.dtype) : cast(type.dtype, parameters.of(dim));
    const index = cast(type.dtype, axis(0));
    const body = binary("add", known(start), binary("multiply", index, known(delta)));
    return steps(nestStep(nestOver(type, [], body, parameters.values), []));
  },
  tolerance: exactTolerance,
});

/** int32 distance of the column from the row's diagonal element. */
const diagonal = (rank: number): Expression => binary("subtract", axis(rank - 1), axis(rank - 2));

export const eyeLike = defineOperator({
  op: "EyeLike",
  infer: (context) => {
    const { dtype, shape } = context.type(0);
    if (shape.length !== 2) context.fail("the input is not a matrix", "rank 2", `rank ${shape.length}`);
    const number = integerOf(context.node, "dtype", 0);
    return [
      {
        dtype:
          number === 0
            ? dtype
            : (dtypeOfNumber(number) ?? context.fail("the element type is not supported", undefined, String(number))),
        shape,
      },
    ];
  },
  reference: reference.eyeLike,
  lower: (context) => {
    const type = only(eyeLike.infer(context));
    const offset = constant(integerOf(context.node, "k", 0), "int32");
    const body = select(binary("equal", diagonal(2), offset), constant(1, type.dtype), zero(type.dtype));
    return steps(nestStep(nestOver(type, [], body), []));
  },
  tolerance: exactTolerance,
});

export const trilu = defineOperator({
  op: "Trilu",
  infer: (context) => {
    const type = context.type(0);
    if (type.shape.length < 2) context.fail("the input is not a matrix", "rank 2 or more", `rank ${type.shape.length}`);
    return [type];
  },
  reference: reference.trilu,
  lower: (context) => {
    const type = context.type(0);
    const rank = type.shape.length;
    const isUpper = integerOf(context.node, "upper", 1) !== 0;
    const known = context.elements(1)?.[0];
    const shift = context.has(1) ? context.type(1) : undefined;
    const scalar: readonly AffineIndex[] = shift?.shape.map(() => fixed(0)) ?? [];
    const isRead = shift !== undefined && typeof known !== "number";
    const limit = 2 ** 30;
    const offset = isRead
      ? cast(
          "int32",
          shift && isBigInteger(shift.dtype)
            ? binary("maximum", constant(-limit, "int64"), binary("minimum", constant(limit, "int64"), input(1)))
            : input(1),
        )
      : constant(typeof known === "number" ? Math.max(-limit, Math.min(limit, known)) : 0, "int32");
    const keeps = binary(isUpper ? "greaterOrEqual" : "lessOrEqual", diagonal(rank), offset);
    const operands = [
      { dtype: type.dtype, access: identityAccess(rank) },
      ...(isRead && shift ? [{ dtype: shift.dtype, access: scalar }] : []),
    ];
    const nest = nestOver(type, operands, select(keeps, input(0), zero(type.dtype)));
    return steps(nestStep(nest, [inputOperand(0), ...(isRead ? [inputOperand(1)] : [])]));
  },
  tolerance: exactTolerance,
});

/** Depth as a dim, from input 1. */
const depthOf = (context: OperatorContext): Dim =>
  context.elements(1)?.[0] ??
  (context.constant(1)
    ? Number(readerOf(context.constant(1) as Tensor)(0))
    : context.fail("the depth must be known when the model is compiled", "a constant", "a computed value"));

const oneHotAxis = (context: OperatorContext): number => {
  const rank = context.type(0).shape.length + 1;
  const named = integerOf(context.node, "axis", -1);
  const own = named < 0 ? named + rank : named;
  return own >= 0 && own < rank
    ? own
    : context.fail("the axis is out of range", `-${rank}..${rank - 1}`, String(named));
};

export const oneHot = defineOperator({
  op: "OneHot",
  infer: (context) => {
    const { shape } = context.type(0);
    const own = oneHotAxis(context);
    return [{ dtype: context.type(2).dtype, shape: [...shape.slice(0, own), depthOf(context), ...shape.slice(own)] }];
  },
  reference: reference.oneHot,
  lower: (context) => {
    const type = only(oneHot.infer(context));
    const indices = context.type(0);
    const own = oneHotAxis(context);
    const parameters = new Parameters();
    const depth = parameters.of(depthOf(context));
    const index = indices.dtype === "int32" ? input(0) : cast("int32", input(0));
    const wrapped = select(binary("less", index, constant(0, "int32")), binary("add", index, depth), index);
    const pick = (place: number): Expression => load(1, [constant(place, "int32")]);
    const operands = [
      { dtype: indices.dtype, access: identityAccess(type.shape.length).filter((_, i) => i !== own) },
      { dtype: type.dtype, access: "indexed" as const },
    ];
    const body = select(binary("equal", wrapped, axis(own)), pick(1), pick(0));
    return steps(nestStep(nestOver(type, operands, body, parameters.values), [inputOperand(0), inputOperand(2)]));
  },
  tolerance: exactTolerance,
});
