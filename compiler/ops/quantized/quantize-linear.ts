/**
 * QuantizeLinear and DequantizeLinear. With one scale for the whole tensor the first two are elementwise;
 * per axis and in blocks they are nests.
 */
import { type DType, isFloat } from "../../../runtime/format/dtype.ts";
import { axis, binary, cast, type Expression, input, load } from "../../../runtime/format/expression.ts";
import { dtypeOfNumber } from "../../../runtime/reference/data-type.ts";
import * as reference from "../../../runtime/reference/quantize.ts";
import {
  type QuantizedType,
  quantizedTypeOf,
  quantizedTypeOfNumber,
} from "../../../runtime/reference/quantized-type.ts";
import { integerOf } from "../../graph/attribute.ts";
import { ceilDivideDims, type Dim, formatDim, productOf, sameDim } from "../../graph/dimension.ts";
import { type AffineIndex, along, identityAccess, type LoopOperand } from "../../loop/loop.ts";
import { integer, over } from "../contraction/integer-expression.ts";
import { firstOutput, hasGeneratedCode, inputOperand, stepsOf } from "../contraction/operands.ts";
import { lowerElementwise } from "../elementwise/lower.ts";
import { exactTolerance, type LoweredStep, type Lowering, type Operator, type OperatorContext } from "../operator.ts";
import { asFloat, dequantized, quantized } from "./quantize-expression.ts";

type Granularity =
  | { readonly kind: "tensor" }
  | { readonly kind: "axis"; readonly axis: number }
  | { readonly kind: "block"; readonly axis: number; readonly blockSize: number };

/** How scale and zero point belong to the data; fails where they do not fit. */
function granularityOf(context: OperatorContext): Granularity {
  const { shape } = context.type(0);
  const scale = context.type(1).shape;
  const show = (dims: readonly Dim[]): string => `[${dims.map(formatDim).join(", ")}]`;
  if (context.has(2)) {
    const zero = context.type(2).shape;
    const scalars = sameDim(productOf(zero), 1) && sameDim(productOf(scale), 1);
    if (!scalars && (zero.length !== scale.length || zero.some((extent, at) => !fits(extent, scale[at]!))))
      context.fail("the zero point has another shape than the scale", show(scale), show(zero));
  }
  if (scale.length < 2 && scale.every((extent) => extent === 1)) return { kind: "tensor" };
  const given = integerOf(context.node, "axis", 1);
  const axis = given < 0 ? given + shape.length : given;
  if (axis < 0 || axis >= shape.length)
    context.fail("attribute axis is out of range", `-${shape.length}..${shape.length - 1}`, String(given));
  const blockSize = integerOf(context.node, "block_size", 0);
  if (blockSize < 0) context.fail("attribute block_size is negative", "at least 0", String(blockSize));
  const expected =
    blockSize === 0
      ? [shape[axis]!]
      : shape.map((extent, at) => (at === axis ? ceilDivideDims(extent, blockSize) : extent));
  if (scale.length !== expected.length || scale.some((extent, at) => !fits(extent, expected[at]!)))
    context.fail("the scale does not fit the data", show(expected), show(scale));
  return blockSize === 0 ? { kind: "axis", axis } : { kind: "block", axis, blockSize };
}

const fits = (one: Dim, other: Dim): boolean => typeof one !== "number" || typeof other !== "number" || one === other;

/** Whether the scale has to lose an axis for the result to have the shape of the data. */
const isElementwise = (context: OperatorContext): boolean =>
  granularityOf(context).kind === "tensor" &&
  [1, 2].every((index) => !context.has(index) || context.type(index).shape.length <= context.type(0).shape.length);

type Formula = (x: Expression, scale: Expression, zero: Expression | undefined) => Expression;

const ofInputs = (context: OperatorContext, formula: Formula): Expression =>
  formula(input(0), input(1), context.has(2) ? input(2) : undefined);

/** One nest over the data, with scale and zero point where they belong. */
function nestOf(context: OperatorContext, formula: Formula, dtype: DType): LoweredStep {
  const { shape } = context.type(0);
  const granularity = granularityOf(context);
  const coordinates = granularity.kind === "block" ? blockCoordinates(shape.length, granularity) : undefined;
  const access: readonly AffineIndex[] = granularity.kind === "axis" ? [along(granularity.axis)] : [];
  const parameter = (index: number): LoopOperand => {
    const { dtype, shape } = context.type(index);
    const own = granularity.kind === "tensor" ? shape.map(() => ({ offset: 0, terms: [] })) : access;
    return { dtype, access: coordinates ? "indexed" : own };
  };
  const read = (index: number): Expression => (coordinates ? load(index, coordinates) : input(index));
  const indices = context.has(2) ? [1, 2] : [1];
  return {
    kind: "nest",
    nest: {
      extents: shape,
      reductions: 0,
      operands: [{ dtype: context.type(0).dtype, access: identityAccess(shape.length) }, ...indices.map(parameter)],
      parameters: [],
      body: formula(input(0), read(1), context.has(2) ? read(2) : undefined),
      output: { dtype, access: identityAccess(shape.length) },
    },
    operands: [0, ...indices].map(inputOperand),
    output: firstOutput,
  };
}

const blockCoordinates = (rank: number, block: Extract<Granularity, { kind: "block" }>): readonly Expression[] =>
  Array.from({ length: rank }, (_, at) => (at === block.axis ? over(axis(at), integer(block.blockSize)) : axis(at)));

const lower = (context: OperatorContext, formula: Formula, dtype: DType): Lowering | undefined => {
  if (!hasGeneratedCode(context.type(0).dtype) || !hasGeneratedCode(context.type(1).dtype) || !hasGeneratedCode(dtype))
    return undefined;
  return isElementwise(context)
    ? lowerElementwise(context, ofInputs(context, formula))
    : stepsOf(nestOf(context, formula, dtype));
};

function targetOf(context: OperatorContext): QuantizedType {
  const number = integerOf(context.node, "output_dtype", 0);
  const dtype = context.has(2) ? context.type(2).dtype : "uint8";
  const type = number === 0 ? quantizedTypeOf(dtype) : quantizedTypeOfNumber(number);
  if (!type)
    return context.fail(
      "cannot quantise to this element type",
      "an integer type of at most 16 bits",
      number === 0 ? dtype : `number ${number}`,
    );
  if (context.has(2) && type.dtype !== dtype)
    context.fail("attribute output_dtype is not the type of the zero point", dtype, type.dtype);
  // Our own attribute: fewer bits than the type has.
  return integerOf(context.node, "bits", 8) === 7 ? { ...type, high: Math.min(type.high, 127) } : type;
}

function quantizeFormula(context: OperatorContext): Formula {
  const target = targetOf(context);
  const [data, own] = [context.type(0).dtype, context.type(1).dtype];
  const precision = dtypeOfNumber(integerOf(context.node, "precision", 0)) ?? (isFloat(own) ? own : "float32");
  const precise = (value: Expression, from: DType): Expression => (from === precision ? value : cast(precision, value));
  return (x, scale, zero) =>
    quantized(asFloat(binary("divide", precise(x, data), precise(scale, own)), precision), zero, target);
}

const quantize = (op: string): Operator => ({
  op,
  infer: (context) => {
    granularityOf(context);
    const { dtype, shape } = context.type(0);
    if (!isFloat(dtype) && dtype !== "int32") context.fail("cannot quantise this element type", "a float type", dtype);
    return [{ dtype: targetOf(context).dtype, shape }];
  },
  reference: reference.quantizeLinear,
  expression: (context) => (isElementwise(context) ? ofInputs(context, quantizeFormula(context)) : undefined),
  lower: (context) => lower(context, quantizeFormula(context), targetOf(context).dtype),
  tolerance: exactTolerance,
});

function dequantizedType(context: OperatorContext): DType {
  const number = integerOf(context.node, "output_dtype", 0);
  const dtype = number === 0 ? context.type(1).dtype : dtypeOfNumber(number);
  if (!dtype || !isFloat(dtype)) return context.fail("cannot dequantise to this element type", "a float type");
  return dtype;
}

const dequantizeFormula = (context: OperatorContext): Formula => {
  const [own, dtype] = [context.type(1).dtype, dequantizedType(context)];
  return (x, scale, zero) => {
    const value = dequantized(x, asFloat(scale, own), zero);
    return dtype === "float32" ? value : cast(dtype, value);
  };
};

const dequantize = (op: string): Operator => ({
  op,
  infer: (context) => {
    granularityOf(context);
    const { dtype, shape } = context.type(0);
    if (!quantizedTypeOf(dtype) && dtype !== "int32")
      context.fail("cannot dequantise this element type", "int8, uint8, int16, uint16 or int32", dtype);
    if (context.has(2) && context.type(2).dtype !== dtype)
      context.fail("the zero point has another type than the data", dtype, context.type(2).dtype);
    return [{ dtype: dequantizedType(context), shape }];
  },
  reference: reference.dequantizeLinear,
  expression: (context) => (isElementwise(context) ? ofInputs(context, dequantizeFormula(context)) : undefined),
  lower: (context) => lower(context, dequantizeFormula(context), dequantizedType(context)),
  tolerance: exactTolerance,
});

export const quantizeLinearOperators: readonly Operator[] = [
  quantize("QuantizeLinear"),
  quantize("com.microsoft.QuantizeLinear"),
  dequantize("DequantizeLinear"),
  dequantize("com.microsoft.DequantizeLinear"),
];
