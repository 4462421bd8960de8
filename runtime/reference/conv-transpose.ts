/** ConvTranspose: X [N, C, spatial…], W [C, M/group, kernel…], bias [M]; every input element adds its scaled kernel to the output. */
import { elementCount } from "../format/tensor.ts";
import { inputOf, numberOf } from "./call.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import type { Reference } from "./reference.ts";
import { outputExtents, transposedWindow } from "./spatial.ts";

export const convTranspose: Reference = (call) => {
  const x = inputOf(call, 0);
  const w = inputOf(call, 1);
  const [batch = 1, channels = 1, ...spatial] = x.shape;
  const [, perGroup = 1, ...kernel] = w.shape;
  const group = numberOf(call, "group", 1);
  const filters = perGroup * group;
  const window = transposedWindow(call, spatial, kernel);
  const { stride, dilation, before } = window;
  const [inputDepth, inputHeight, inputWidth] = window.input;
  const [kernelDepth, kernelHeight, kernelWidth] = window.kernel;
  const [outputDepth, outputHeight, outputWidth] = window.output;
  const values = numbersOf(x);
  const weights = numbersOf(w);
  const shape = [batch, filters, ...outputExtents(window)];
  const result = new Float64Array(elementCount(shape));
  if (call.inputs[2]) {
    const bias = numbersOf(call.inputs[2]);
    const size = outputDepth * outputHeight * outputWidth;
    for (let i = 0; i < result.length; i++) result[i] = bias[Math.floor(i / size) % filters]!;
  }
  let at = 0;
  for (let n = 0; n < batch; n++)
    for (let c = 0; c < channels; c++) {
      const firstFilter = Math.floor(c / (channels / group)) * perGroup;
      for (let d = 0; d < inputDepth; d++)
        for (let h = 0; h < inputHeight; h++)
          for (let v = 0; v < inputWidth; v++) {
            const value = values[at++]!;
            for (let m = 0; m < perGroup; m++)
              for (let kd = 0; kd < kernelDepth; kd++) {
                const od = d * stride[0] - before[0] + kd * dilation[0];
                if (od < 0 || od >= outputDepth) continue;
                for (let kh = 0; kh < kernelHeight; kh++) {
                  const oh = h * stride[1] - before[1] + kh * dilation[1];
                  if (oh < 0 || oh >= outputHeight) continue;
                  const row = (((n * filters + firstFilter + m) * outputDepth + od) * outputHeight + oh) * outputWidth;
                  const weightRow = (((c * perGroup + m) * kernelDepth + kd) * kernelHeight + kh) * kernelWidth;
                  for (let kw = 0; kw < kernelWidth; kw++) {
                    const ow = v * stride[2] - before[2] + kw * dilation[2];
                    if (ow >= 0 && ow < outputWidth) result[row + ow]! += value * weights[weightRow + kw]!;
                  }
                }
              }
          }
    }
  return [tensorOfNumbers(x.dtype, shape, result)];
};
