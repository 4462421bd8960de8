/** leafcutter.Pool: the canonical two-dimensional pool over [N, H, W, C] with explicit padding and output extents. */
import { inputOf, isExpression, listOf, numberOf, refuse, textOf } from "./call.ts";
import { channelsFirst, channelsLast } from "./channels-last.ts";
import { evaluateElementwise } from "./expression.ts";
import { averageCollector, type Collector, maximumCollector, normCollector, pooled } from "./pool.ts";
import type { Reference, ReferenceCall } from "./reference.ts";
import { slidingWindow, tripled } from "./spatial.ts";

function collectorOf(call: ReferenceCall): Collector {
  const mode = textOf(call, "mode", "max");
  switch (mode) {
    case "max":
      return maximumCollector();
    case "average":
      return averageCollector(numberOf(call, "countIncludePad", 0) === 1);
    case "lp":
      return normCollector(numberOf(call, "p", 2));
    default:
      return refuse("attribute mode is not known", "max, average or lp", mode);
  }
}

export const leafcutterPool: Reference = (call) => {
  const x = channelsFirst(inputOf(call, 0));
  const kernel = listOf(call, "kernelShape") ?? refuse("attribute kernelShape is missing");
  const window = slidingWindow(call, x.shape.slice(2), kernel);
  const extents = listOf(call, "outputShape");
  const y = channelsLast(pooled(x, extents ? { ...window, output: tripled(extents, 1) } : window, collectorOf(call)));
  const epilogue = call.attributes.epilogue;
  return [isExpression(epilogue) ? evaluateElementwise(epilogue, [y, ...call.inputs.slice(1)]) : y];
};
