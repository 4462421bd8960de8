/**
 * The activation functions of recurrent layers as expressions, by the names and formulas of the ONNX documentation of
 * LSTM. Factors go, in order, to the functions that have any; what is not given is the default of onnxruntime.
 */
import {
  binary,
  constant,
  type Expression,
  input,
  select,
  type UnaryOperation,
  unary,
} from "../../../runtime/format/expression.ts";
import { floatsOf } from "../../graph/attribute.ts";
import type { OperatorContext } from "../operator.ts";

interface Factors {
  readonly alpha: number;
  readonly beta: number;
}

interface Activation {
  /** Defaults of the factors that the function has. */
  readonly alpha?: number;
  readonly beta?: number;
  expression(factors: Factors): Expression;
}

const x = input(0);
const zero = constant(0);
const times = (factor: number, value: Expression): Expression => binary("multiply", constant(factor), value);
const plus = (value: Expression, addend: number): Expression => binary("add", value, constant(addend));
const whenAtLeast = (bound: number, whenTrue: Expression, whenFalse: Expression): Expression =>
  select(binary("greaterOrEqual", x, constant(bound)), whenTrue, whenFalse);
const plain = (operation: UnaryOperation): Activation => ({ expression: () => unary(operation, x) });

const activations: Readonly<Record<string, Activation>> = {
  relu: { expression: () => binary("maximum", x, zero) },
  tanh: plain("tanh"),
  sigmoid: plain("sigmoid"),
  softplus: plain("softplus"),
  softsign: { expression: () => binary("divide", x, plus(unary("abs", x), 1)) },
  affine: { alpha: 1, beta: 0, expression: ({ alpha, beta }) => plus(times(alpha, x), beta) },
  leakyrelu: { alpha: 0.01, expression: ({ alpha }) => whenAtLeast(0, x, times(alpha, x)) },
  thresholdedrelu: { alpha: 1, expression: ({ alpha }) => whenAtLeast(alpha, x, zero) },
  scaledtanh: { alpha: 1, beta: 1, expression: ({ alpha, beta }) => times(alpha, unary("tanh", times(beta, x))) },
  hardsigmoid: {
    alpha: 0.2,
    beta: 0.5,
    expression: ({ alpha, beta }) =>
      binary("minimum", binary("maximum", plus(times(alpha, x), beta), zero), constant(1)),
  },
  elu: { alpha: 1, expression: ({ alpha }) => whenAtLeast(0, x, times(alpha, plus(unary("exp", x), -1))) },
};

/** The functions of every direction one after another; `defaults` are those of one direction. */
export function activationsOf(
  context: OperatorContext,
  directions: number,
  defaults: readonly string[],
): readonly Expression[] {
  const given = context.node.attributes.activations;
  const names: readonly string[] = given?.kind === "strings" ? given.value : [];
  const all = names.length > 0 ? names : Array.from({ length: directions }, () => defaults).flat();
  if (all.length !== directions * defaults.length)
    context.fail("attribute activations has the wrong length", `${directions * defaults.length}`, `${all.length}`);
  const alphas = [...(floatsOf(context.node, "activation_alpha") ?? [])];
  const betas = [...(floatsOf(context.node, "activation_beta") ?? [])];
  return all.map((name) => {
    const activation = activations[name.toLowerCase()] ?? context.fail(`activation ${name} is not known`);
    const alpha = activation.alpha === undefined ? 0 : (alphas.shift() ?? activation.alpha);
    const beta = activation.beta === undefined ? 0 : (betas.shift() ?? activation.beta);
    return activation.expression({ alpha, beta });
  });
}
