/**
 * The activation functions of recurrent layers, by the names and formulas of the ONNX documentation of LSTM. Factors are
 * handed out in the order of the functions, to those that have any; what is not given is the default of onnxruntime.
 */
import { listOf, refuse } from "./call.ts";
import type { ReferenceCall } from "./reference.ts";

type Activation = (x: number) => number;
type Formula = (alpha: number, beta: number) => Activation;

const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

interface Definition {
  readonly formula: Formula;
  readonly alpha?: number;
  readonly beta?: number;
}

const definitions: Readonly<Record<string, Definition>> = {
  relu: { formula: () => (x) => Math.max(0, x) },
  tanh: { formula: () => Math.tanh },
  sigmoid: { formula: () => logistic },
  affine: { formula: (alpha, beta) => (x) => alpha * x + beta, alpha: 1, beta: 0 },
  leakyrelu: { formula: (alpha) => (x) => (x >= 0 ? x : alpha * x), alpha: 0.01 },
  thresholdedrelu: { formula: (alpha) => (x) => (x >= alpha ? x : 0), alpha: 1 },
  scaledtanh: { formula: (alpha, beta) => (x) => alpha * Math.tanh(beta * x), alpha: 1, beta: 1 },
  hardsigmoid: {
    formula: (alpha, beta) => (x) => Math.min(Math.max(alpha * x + beta, 0), 1),
    alpha: 0.2,
    beta: 0.5,
  },
  elu: { formula: (alpha) => (x) => (x >= 0 ? x : alpha * Math.expm1(x)), alpha: 1 },
  softsign: { formula: () => (x) => x / (1 + Math.abs(x)) },
  softplus: { formula: () => (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))) },
};

/** The functions of all directions one after another; `defaults` are those of one direction. */
export function activationsOf(
  call: ReferenceCall,
  directions: number,
  defaults: readonly string[],
): readonly Activation[] {
  const given = call.attributes.activations;
  const names = Array.isArray(given) && given.length > 0 ? (given as readonly string[]) : undefined;
  const all = names ?? Array.from({ length: directions }, () => defaults).flat();
  const wanted = directions * defaults.length;
  if (all.length !== wanted) refuse("attribute activations has the wrong length", String(wanted), String(all.length));
  const alphas = [...(listOf(call, "activation_alpha") ?? [])];
  const betas = [...(listOf(call, "activation_beta") ?? [])];
  return all.map((name) => {
    const definition = definitions[name.toLowerCase()];
    if (!definition) return refuse("attribute activations names an unknown function", undefined, name);
    const alpha = definition.alpha === undefined ? 0 : (alphas.shift() ?? definition.alpha);
    const beta = definition.beta === undefined ? 0 : (betas.shift() ?? definition.beta);
    return definition.formula(alpha, beta);
  });
}
