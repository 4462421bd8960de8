/** Cast, CastLike, BitCast, Identity, Dropout, and `leafcutter.Elementwise`, into which passes fuse all the others. */
import { byteSize, isFloat } from "../../../runtime/format/dtype.ts";
import {
  binary,
  cast as castTo,
  constant,
  type Expression,
  expressionType,
  input,
} from "../../../runtime/format/expression.ts";
import * as reference from "../../../runtime/reference/convert.ts";
import { dtypeOfNumber } from "../../../runtime/reference/data-type.ts";
import { type QuantizedType, smallTypeOfNumber } from "../../../runtime/reference/quantized-type.ts";
import { expressionOf, integerOf } from "../../graph/attribute.ts";
import type { Dim } from "../../graph/dimension.ts";
import { identityAccess } from "../../loop/loop.ts";
import { closeTolerance, exactTolerance, type Lowering, type Operator, type OperatorContext } from "../operator.ts";
import { broadcastDims } from "./broadcast.ts";
import { presentInputs } from "./define.ts";
import { operandTypes } from "./lower.ts";

const targetOf = (context: OperatorContext) => {
  const number = integerOf(context.node, "to", 0);
  return (
    dtypeOfNumber(number) ??
    context.fail("cannot cast to this element type", "an integer or real type, or bool", `number ${number}`)
  );
};

/** Integers stay what they are between integer types; bools are 0 or 1 already. */
const kept = (context: OperatorContext, target: string): readonly Dim[] | undefined =>
  /^u?int/.test(target) && !isFloat(context.type(0).dtype) ? context.elements(0) : undefined;

/** The target when it has two or four bits. */
const smallTarget = (context: OperatorContext) => smallTypeOfNumber(integerOf(context.node, "to", 0));

/** The low bits of the whole part. */
function castToSmall({ dtype, low, high }: QuantizedType): Expression {
  const whole = castTo("int32", input(0));
  if (low === 0) return castTo(dtype, binary("bitAnd", whole, constant(high, "int32")));
  const unused = constant(Math.clz32(high) - 1, "int32");
  return castTo(dtype, binary("shiftRight", binary("shiftLeft", whole, unused), unused));
}

const cast: Operator = {
  op: "Cast",
  infer: (context) => {
    presentInputs(context, [1, 1]);
    return [{ dtype: smallTarget(context)?.dtype ?? targetOf(context), shape: context.type(0).shape }];
  },
  elements: (context) => (smallTarget(context) ? undefined : kept(context, targetOf(context))),
  reference: reference.cast,
  expression: (context) => {
    const small = smallTarget(context);
    return small ? castToSmall(small) : castTo(targetOf(context), input(0));
  },
  tolerance: exactTolerance,
};

/** Reinterprets the bytes; only between types of one size. */
const bitCast: Operator = {
  op: "BitCast",
  infer: (context) => {
    presentInputs(context, [1, 1]);
    const { dtype, shape } = context.type(0);
    const to = targetOf(context);
    if (byteSize[to] !== byteSize[dtype]) context.fail("the element types differ in size", dtype, to);
    return [{ dtype: to, shape }];
  },
  reference: reference.bitCast,
  lower: (): Lowering => ({ kind: "view" }),
  tolerance: exactTolerance,
};

/** Only the element type of input 1 matters; its shape does not broadcast, so other shapes leave the form to a host step. */
const castLike: Operator = {
  op: "CastLike",
  infer: (context) => {
    presentInputs(context, [2, 2]);
    return [{ dtype: context.type(1).dtype, shape: context.type(0).shape }];
  },
  elements: (context) => kept(context, context.type(1).dtype),
  reference: reference.castLike,
  lower: (context) => {
    const { shape, dtype } = context.type(0);
    const to = context.type(1).dtype;
    const access = identityAccess(shape.length);
    const nest = {
      extents: shape,
      reductions: 0,
      operands: [{ dtype, access }],
      parameters: [],
      body: castTo(to, input(0)),
      output: { dtype: to, access },
    };
    return {
      kind: "steps",
      steps: [{ kind: "nest", nest, operands: [{ kind: "input", index: 0 }], output: { kind: "output", index: 0 } }],
      temporaries: [],
    };
  },
  tolerance: exactTolerance,
};

const identity: Operator = {
  op: "Identity",
  infer: (context) => {
    presentInputs(context, [1, 1]);
    return [context.type(0)];
  },
  elements: (context) => context.elements(0),
  reference: reference.identity,
  expression: () => input(0),
  lower: (): Lowering => ({ kind: "view" }),
  tolerance: exactTolerance,
};

/** Inference mode. The mask is bool since version 10, of the input's type before. */
const dropout: Operator = {
  op: "Dropout",
  infer: (context) => {
    presentInputs(context, [1, 3]);
    const training = context.constant(2);
    const ratio = context.has(1) ? context.constant(1) : undefined;
    if (context.has(2) && !training)
      context.fail("training_mode must be known when the model is compiled", "a constant", "a computed value");
    if (training?.data[0] && !(ratio && Number(ratio.data[0]) === 0)) {
      context.fail("Dropout in training mode is random", "training_mode false");
    }
    const { dtype, shape } = context.type(0);
    const mask = { dtype: context.node.version < 10 ? dtype : ("bool" as const), shape };
    return context.node.outputs.length > 1 ? [{ dtype, shape }, mask] : [{ dtype, shape }];
  },
  reference: reference.dropout,
  expression: (context) => (context.node.outputs.length > 1 ? undefined : input(0)),
  lower: (context) => {
    const { dtype, shape } = context.type(0);
    if (context.node.outputs.length < 2) return { kind: "view" };
    const mask = context.node.version < 10 ? dtype : "bool";
    const access = identityAccess(shape.length);
    const copy = { extents: shape, reductions: 0, parameters: [] };
    return {
      kind: "steps",
      steps: [
        {
          kind: "nest",
          nest: { ...copy, operands: [{ dtype, access }], body: input(0), output: { dtype, access } },
          operands: [{ kind: "input", index: 0 }],
          output: { kind: "output", index: 0 },
        },
        {
          kind: "nest",
          nest: { ...copy, operands: [], body: constant(1, mask), output: { dtype: mask, access } },
          operands: [],
          output: { kind: "output", index: 1 },
        },
      ],
      temporaries: [],
    };
  },
  tolerance: exactTolerance,
};

const formulaOf = (context: OperatorContext) =>
  expressionOf(context.node, "expression") ?? context.fail("attribute expression is missing");

const elementwise: Operator = {
  op: "leafcutter.Elementwise",
  infer: (context) => {
    const shapes = context.node.inputs.flatMap((value) => (value ? [value.type.shape] : []));
    return [
      { dtype: expressionType(formulaOf(context), operandTypes(context)), shape: broadcastDims(context, shapes) },
    ];
  },
  reference: reference.elementwise,
  expression: formulaOf,
  tolerance: closeTolerance,
};

export const conversionOperators: readonly Operator[] = [cast, castLike, bitCast, identity, dropout, elementwise];
