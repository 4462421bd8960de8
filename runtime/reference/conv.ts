/** Conv: X [N, C, spatial…], W [M, C/group, kernel…], bias [M]; one to three spatial axes. */
import { elementCount } from "../format/tensor.ts";
import { inputOf, numberOf } from "./call.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import type { Reference } from "./reference.ts";
import { outputExtents, slidingWindow } from "./spatial.ts";

export const conv: Reference = (call) => {
  const x = inputOf(call, 0);
  const w = inputOf(call, 1);
  const [batch = 1, channels = 1, ...spatial] = x.shape;
  const [filters = 1, perGroup = 1, ...kernel] = w.shape;
  const group = numberOf(call, "group", 1);
  const window = slidingWindow(call, spatial, kernel);
  const { stride, dilation, before } = window;
  const [inputDepth, inputHeight, inputWidth] = window.input;
  const [kernelDepth, kernelHeight, kernelWidth] = window.kernel;
  const [outputDepth, outputHeight, outputWidth] = window.output;
  const values = numbersOf(x);
  const weights = numbersOf(w);
  const bias = call.inputs[2] ? numbersOf(call.inputs[2]) : undefined;
  const shape = [batch, filters, ...outputExtents(window)];
  const result = new Float64Array(elementCount(shape));
  let at = 0;
  for (let n = 0; n < batch; n++)
    for (let m = 0; m < filters; m++) {
      const firstChannel = Math.floor(m / (filters / group)) * perGroup;
      for (let od = 0; od < outputDepth; od++)
        for (let oh = 0; oh < outputHeight; oh++)
          for (let ow = 0; ow < outputWidth; ow++) {
            let sum = bias ? bias[m]! : 0;
            for (let c = 0; c < perGroup; c++)
              for (let kd = 0; kd < kernelDepth; kd++) {
                const d = od * stride[0] - before[0] + kd * dilation[0];
                if (d < 0 || d >= inputDepth) continue;
                for (let kh = 0; kh < kernelHeight; kh++) {
                  const h = oh * stride[1] - before[1] + kh * dilation[1];
                  if (h < 0 || h >= inputHeight) continue;
                  const row = (((n * channels + firstChannel + c) * inputDepth + d) * inputHeight + h) * inputWidth;
                  const weightRow = (((m * perGroup + c) * kernelDepth + kd) * kernelHeight + kh) * kernelWidth;
                  for (let kw = 0; kw < kernelWidth; kw++) {
                    const v = ow * stride[2] - before[2] + kw * dilation[2];
                    if (v >= 0 && v < inputWidth) sum += values[row + v]! * weights[weightRow + kw]!;
                  }
                }
              }
            result[at++] = sum;
          }
    }
  return [tensorOfNumbers(x.dtype, shape, result)];
};
