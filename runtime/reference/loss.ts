/** NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss: input [N, C, d…], int labels [N, d…], weights [C] or none. */
import { elementCount, type Tensor } from "../format/tensor.ts";
import { inputOf, numberOf, refuse, textOf } from "./call.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import type { Reference, ReferenceCall } from "./reference.ts";
import { logSoftmax } from "./softmax.ts";

function loss(call: ReferenceCall, logProbabilities: Tensor): Tensor {
  const labels = inputOf(call, 1);
  const classes = logProbabilities.shape[1] ?? 1;
  const positions = elementCount(logProbabilities.shape.slice(2));
  const values = numbersOf(logProbabilities);
  const targets = numbersOf(labels);
  const weights = call.inputs[2] && numbersOf(call.inputs[2]);
  const ignored = call.attributes.ignore_index === undefined ? undefined : numberOf(call, "ignore_index", 0);
  const losses = new Float64Array(targets.length);
  let total = 0;
  let totalWeight = 0;
  for (let i = 0; i < targets.length; i++) {
    const target = targets[i]!;
    if (target === ignored) continue;
    if (target < 0 || target >= classes) refuse("a label is not a class", `0..${classes - 1}`, String(target));
    const weight = weights ? weights[target]! : 1;
    const n = Math.floor(i / positions);
    losses[i] = -values[(n * classes + target) * positions + (i % positions)]! * weight;
    total += losses[i]!;
    totalWeight += weight;
  }
  const reduction = textOf(call, "reduction", "mean");
  if (reduction === "none") return tensorOfNumbers(logProbabilities.dtype, labels.shape, losses);
  return tensorOfNumbers(logProbabilities.dtype, [], [reduction === "sum" ? total : total / totalWeight]);
}

export const negativeLogLikelihoodLoss: Reference = (call) => [loss(call, inputOf(call, 0))];

/** Output 1 is the log-softmax over the classes. */
export const softmaxCrossEntropyLoss: Reference = (call) => {
  const scores = inputOf(call, 0);
  const [logProbabilities] = logSoftmax({ inputs: [scores], attributes: { axis: 1 }, version: 13, outputCount: 1 });
  return [loss(call, logProbabilities!), logProbabilities!].slice(0, call.outputCount);
};
