/** Activations, each by its formula in the ONNX operator documentation (or that of the com.microsoft domain). */
import { isBigInteger } from "../format/dtype.ts";
import { broadcastIndex } from "./broadcast.ts";
import { inputOf, numberOf, refuse, textOf } from "./call.ts";
import { readerOf, type Scalar } from "./element.ts";
import { mapNumbers, mapTensor, unaryNumbers, unaryReference, zipTensors } from "./elementwise.ts";
import type { Reference, ReferenceCall } from "./reference.ts";
import { erf } from "./special.ts";

const logistic = (x: number): number => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
const logOnePlusExp = (x: number): number => (x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x)));

/** One input, formula with attributes. */
const activation =
  (formula: (call: ReferenceCall) => (x: number) => number): Reference =>
  (call) => [mapNumbers(inputOf(call, 0), formula(call))];

export const relu = unaryReference({
  float: (x) => Math.max(x, 0),
  integer: (x) => Math.max(x, 0),
  big: (x) => (x > 0n ? x : 0n),
});

export const sigmoid = unaryNumbers(logistic);
export const softplus = unaryNumbers(logOnePlusExp);
export const softsign = unaryNumbers((x) => x / (1 + Math.abs(x)));
export const mish = unaryNumbers((x) => x * Math.tanh(logOnePlusExp(x)));
export const hardSwish = unaryNumbers((x) => x * Math.max(0, Math.min(1, x / 6 + 0.5)));

export const hardSigmoid = activation((call) => {
  const alpha = numberOf(call, "alpha", 0.2);
  const beta = numberOf(call, "beta", 0.5);
  return (x) => Math.max(0, Math.min(1, alpha * x + beta));
});

export const leakyRelu = activation((call) => {
  const alpha = numberOf(call, "alpha", 0.01);
  return (x) => (x < 0 ? alpha * x : x);
});

export const elu = activation((call) => {
  const alpha = numberOf(call, "alpha", 1);
  return (x) => (x < 0 ? alpha * Math.expm1(x) : x);
});

export const selu = activation((call) => {
  const alpha = numberOf(call, "alpha", 1.6732631921768188);
  const gamma = numberOf(call, "gamma", 1.0507010221481323);
  return (x) => (x <= 0 ? gamma * alpha * Math.expm1(x) : gamma * x);
});

export const celu = activation((call) => {
  const alpha = numberOf(call, "alpha", 1);
  return (x) => Math.max(0, x) + Math.min(0, alpha * Math.expm1(x / alpha));
});

export const thresholdedRelu = activation((call) => {
  const alpha = numberOf(call, "alpha", 1);
  return (x) => (x > alpha ? x : 0);
});

export const swish = activation((call) => {
  const alpha = numberOf(call, "alpha", 1);
  return (x) => x * logistic(alpha * x);
});

export const quickGelu = activation((call) => {
  const alpha = numberOf(call, "alpha", 1.702);
  return (x) => x * logistic(alpha * x);
});

export const shrink = activation((call) => {
  const bias = numberOf(call, "bias", 0);
  const threshold = numberOf(call, "lambd", 0.5);
  return (x) => (x < -threshold ? x + bias : x > threshold ? x - bias : 0);
});

const geluByErf = (x: number): number => (x / 2) * (1 + erf(x * Math.SQRT1_2));
const geluByTanh = (x: number): number => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

export const gelu = activation((call) => (textOf(call, "approximate", "none") === "tanh" ? geluByTanh : geluByErf));

const biased =
  (formula: (x: number) => number): Reference =>
  (call) => {
    const x = inputOf(call, 0);
    const bias = call.inputs[1];
    return [bias ? zipTensors(x, bias, { float: (a, b) => formula(a + b) }) : mapNumbers(x, formula)];
  };

/** `bias` is optional for the tanh form. */
export const fastGelu = biased(geluByTanh);
export const biasGelu = biased(geluByErf);

/** The slope broadcasts to the shape of the input, not the other way. */
export const prelu: Reference = (call) => {
  const [x, slope] = [inputOf(call, 0), inputOf(call, 1)];
  const index = broadcastIndex(slope.shape, x.shape);
  const slopes = readerOf(slope);
  let at = 0;
  const scaled = <T extends Scalar>(value: T, multiply: (a: T, b: T) => T): T => {
    const factor = slopes(index(at++)) as T;
    return value < 0 ? multiply(value, factor) : value;
  };
  const numbers = (value: number): number => scaled(value, (a, b) => a * b);
  return [mapTensor(x, { float: numbers, integer: numbers, big: (value) => scaled(value, (a, b) => a * b) })];
};

/** Bounds: attributes `min` and `max` before version 11, scalar inputs since. The upper bound wins where they cross. */
export const clip: Reference = (call) => {
  const x = inputOf(call, 0);
  const bound = (index: number, name: string): Scalar | undefined => {
    if (call.version < 11) {
      const value = call.attributes[name];
      return value === undefined || typeof value === "number" ? value : refuse(`attribute ${name} is not a number`);
    }
    const tensor = call.inputs[index];
    return tensor && tensor.data.length > 0 ? readerOf(tensor)(0) : undefined;
  };
  const low = bound(1, "min") ?? (isBigInteger(x.dtype) ? -(1n << 63n) : -Infinity);
  const high = bound(2, "max") ?? (isBigInteger(x.dtype) ? 1n << 64n : Infinity);
  const numbers = (value: number): number => Math.min(Math.max(value, low as number), high as number);
  return [
    mapTensor(x, {
      float: numbers,
      integer: numbers,
      big: (value) => {
        const raised = value < low ? (low as bigint) : value;
        return raised > high ? (high as bigint) : raised;
      },
    }),
  ];
};
