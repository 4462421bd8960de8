/** Activations of the default domain as compositions of scalar operations. */
import { isFloat } from "../../../runtime/format/dtype.ts";
import { binary, constant, type Expression, input, select, unary } from "../../../runtime/format/expression.ts";
import * as reference from "../../../runtime/reference/activation.ts";
import type { Reference } from "../../../runtime/reference/reference.ts";
import { floatOf, stringOf } from "../../graph/attribute.ts";
import type { Node } from "../../graph/graph.ts";
import { exactTolerance, type Operator } from "../operator.ts";
import { broadcastDims } from "./broadcast.ts";
import { defineElementwise, type Literal, presentInputs, requireClass, type TypeClass } from "./define.ts";

const x = input(0);
const add = (left: Expression, right: Expression): Expression => binary("add", left, right);
const subtract = (left: Expression, right: Expression): Expression => binary("subtract", left, right);
const multiply = (left: Expression, right: Expression): Expression => binary("multiply", left, right);

/** x * (1 + erf(x / sqrt 2)) / 2. */
export const geluByErf = (value: Expression, literal: Literal): Expression =>
  multiply(multiply(literal(0.5), value), add(literal(1), unary("erf", multiply(value, literal(Math.SQRT1_2)))));

/** x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2, the cubic as x * (1 + 0.044715 x^2). */
export function geluByTanh(value: Expression, literal: Literal): Expression {
  const cubic = multiply(value, add(literal(1), multiply(literal(0.044715), multiply(value, value))));
  const tanh = unary("tanh", multiply(literal(Math.sqrt(2 / Math.PI)), cubic));
  return multiply(multiply(literal(0.5), value), add(literal(1), tanh));
}

/** x / (1 + e^(-alpha x)). */
export const swishOf = (value: Expression, alpha: number, literal: Literal): Expression =>
  multiply(value, unary("sigmoid", alpha === 1 ? value : multiply(literal(alpha), value)));

const hardSigmoidOf = (alpha: number, beta: number, literal: Literal): Expression =>
  binary("maximum", literal(0), binary("minimum", literal(1), add(multiply(literal(alpha), x), literal(beta))));

const exponentialMinusOne = (value: Expression, literal: Literal): Expression =>
  subtract(unary("exp", value), literal(1));

type Formula = (literal: Literal, node: Node) => Expression;

const activation = (op: string, types: TypeClass, meaning: Reference, formula: Formula): Operator =>
  defineElementwise({
    op,
    arity: [1, 1],
    types,
    reference: meaning,
    expression: ({ node }, literal) => formula(literal, node),
  });

/** The slope broadcasts to the input's shape, which is the output's. */
const prelu: Operator = {
  ...defineElementwise({
    op: "PRelu",
    arity: [2, 2],
    types: "numeric",
    reference: reference.prelu,
    expression: (_, literal) => select(binary("less", x, literal(0)), multiply(x, input(1)), x),
    tolerance: exactTolerance,
  }),
  infer: (context) => {
    presentInputs(context, [2, 2]);
    const dtype = requireClass(context, 0, "numeric");
    const { shape } = context.type(0);
    const slope = context.type(1).shape;
    const result = broadcastDims(context, [shape, slope]);
    if (result.length !== shape.length || shape.some((dim, axis) => dim === 1 && result[axis] !== 1)) {
      context.fail("the slope does not broadcast to the input's shape", JSON.stringify(shape), JSON.stringify(slope));
    }
    return [{ dtype, shape }];
  },
};

/** Bounds are attributes before version 11, scalar inputs since. */
const clip: Operator = {
  ...defineElementwise({
    op: "Clip",
    arity: [1, 3],
    types: "numeric",
    reference: reference.clip,
    expression: (context, literal, dtype) => {
      const { node } = context;
      const bound = (index: number, name: string, unbounded: number): Expression | undefined => {
        if (node.version < 11) {
          const value = floatOf(node, name, unbounded);
          return value === unbounded ? undefined : literal(value);
        }
        if (!context.has(index)) return undefined;
        const known = context.constant(index);
        // An exporter's empty tensor stands for an absent bound.
        if (known?.data.length === 0) return undefined;
        return known && (dtype === "float32" || dtype === "int32")
          ? constant(Number(known.data[0]), dtype)
          : input(index);
      };
      const low = bound(1, "min", -Infinity);
      const high = bound(2, "max", Infinity);
      const raised = low ? binary("maximum", x, low) : x;
      return high ? binary("minimum", raised, high) : raised;
    },
    tolerance: exactTolerance,
  }),
  infer: (context) => {
    presentInputs(context, [1, 3]);
    return [{ dtype: requireClass(context, 0, "numeric"), shape: context.type(0).shape }];
  },
};

/** The thresholds are floats; compared as such when the elements are integers, which then run as a host step. */
const shrink: Operator = defineElementwise({
  op: "Shrink",
  arity: [1, 1],
  types: "numeric",
  reference: reference.shrink,
  expression: ({ node }, literal, dtype) => {
    if (!isFloat(dtype)) return undefined;
    const threshold = floatOf(node, "lambd", 0.5);
    const bias = literal(floatOf(node, "bias", 0));
    const above = select(binary("greater", x, literal(threshold)), subtract(x, bias), literal(0));
    return select(binary("less", x, literal(-threshold)), add(x, bias), above);
  },
});

export const activationOperators: readonly Operator[] = [
  activation("Relu", "signed", reference.relu, (literal) => binary("maximum", x, literal(0))),
  activation("LeakyRelu", "float", reference.leakyRelu, (literal, node) =>
    select(binary("less", x, literal(0)), multiply(literal(floatOf(node, "alpha", 0.01)), x), x),
  ),
  prelu,
  activation("Sigmoid", "float", reference.sigmoid, () => unary("sigmoid", x)),
  activation("HardSigmoid", "float", reference.hardSigmoid, (literal, node) =>
    hardSigmoidOf(floatOf(node, "alpha", 0.2), floatOf(node, "beta", 0.5), literal),
  ),
  activation("HardSwish", "float", reference.hardSwish, (literal) => multiply(x, hardSigmoidOf(1 / 6, 0.5, literal))),
  activation("Softplus", "float", reference.softplus, () => unary("softplus", x)),
  activation("Softsign", "float", reference.softsign, (literal) =>
    binary("divide", x, add(literal(1), unary("abs", x))),
  ),
  activation("Elu", "float", reference.elu, (literal, node) =>
    select(
      binary("less", x, literal(0)),
      multiply(literal(floatOf(node, "alpha", 1)), exponentialMinusOne(x, literal)),
      x,
    ),
  ),
  activation("Selu", "float", reference.selu, (literal, node) => {
    const alpha = floatOf(node, "alpha", 1.6732631921768188);
    const gamma = floatOf(node, "gamma", 1.0507010221481323);
    return select(
      binary("lessOrEqual", x, literal(0)),
      multiply(literal(gamma * alpha), exponentialMinusOne(x, literal)),
      multiply(literal(gamma), x),
    );
  }),
  activation("Celu", "float", reference.celu, (literal, node) => {
    const alpha = floatOf(node, "alpha", 1);
    const exponential = multiply(literal(alpha), exponentialMinusOne(multiply(x, literal(1 / alpha)), literal));
    return add(binary("maximum", literal(0), x), binary("minimum", literal(0), exponential));
  }),
  activation("ThresholdedRelu", "float", reference.thresholdedRelu, (literal, node) =>
    select(binary("greater", x, literal(floatOf(node, "alpha", 1))), x, literal(0)),
  ),
  activation("Gelu", "float", reference.gelu, (literal, node) =>
    stringOf(node, "approximate", "none") === "tanh" ? geluByTanh(x, literal) : geluByErf(x, literal),
  ),
  activation("Mish", "float", reference.mish, () => multiply(x, unary("tanh", unary("softplus", x)))),
  activation("Swish", "float", reference.swish, (literal, node) => swishOf(x, floatOf(node, "alpha", 1), literal)),
  shrink,
  clip,
];
