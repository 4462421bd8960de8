/** WGSL of a depthwise convolution: one invocation per pixel and panel of four output channels. */
import type { WgslKernel } from "../contract.ts";
import { hasFloatWgsl } from "../expression/wgsl-float.ts";
import { finishQuad, panelQuad, pixelOperands, pixelPlace, quad } from "../tile/wgsl.ts";
import { type Wgsl, WgslBody } from "../wgsl/body.ts";
import { namedWords } from "../wgsl/words.ts";
import { depthwiseWidth } from "./variants.ts";
import type { DepthwiseShape } from "./wasm.ts";

export function depthwiseWgsl(shape: DepthwiseShape): WgslKernel | undefined {
  const { epilogue, operandChannels, storage, multiplier } = shape;
  if (!hasFloatWgsl(epilogue, operandChannels.length + 1)) return undefined;
  const body = new WgslBody();
  const word = namedWords(body, shape.names);
  const channels = word("channels");
  const [image, y, x, block] = body.coordinates("index", [
    "1u",
    word("outputHeight"),
    word("outputWidth"),
    body.let(`(${channels} + ${quad - 1}u) / ${quad}u`),
  ]) as readonly [Wgsl, Wgsl, Wgsl, Wgsl];
  const channel = body.let(`${block} * ${quad}u`);
  const panel = body.let(`${word("weights")} + (${channel} / ${depthwiseWidth}u) * ${word("panelBytes")}`);
  const column = body.let(`${channel} % ${depthwiseWidth}u`);
  const { bias, cursor, step, weights } = panelQuad(body, storage, depthwiseWidth, panel, column);
  const sum = body.variable(bias);
  const row = body.variable(
    `${word("input")} + ${image} * ${word("inputImage")} + ${y} * ${word("inputRowStep")} + ${x} * ${word("inputStep")}`,
  );
  // Input channels of the four outputs; what a ragged last panel has too much is multiplied by zeros.
  const sources = [0, 1, 2, 3].map((place) =>
    body.let(`min(${channel} + ${place}u, ${channels} - 1u) / ${multiplier}u * 4u`),
  );
  body.loop(word("kernelHeight"), () => {
    const tap = body.variable(row);
    body.loop(word("kernelWidth"), () => {
      const values = sources.map((source) => body.call("loadFloat32", `${tap} + ${source}`));
      body.statement(`${sum} += vec4f(${values.join(", ")}) * ${weights};`);
      body.statement(`${tap} += ${word("tapStep")};`);
      body.statement(`${cursor} += ${step}u;`);
    });
    body.statement(`${row} += ${word("kernelRow")};`);
  });
  const pixel = { image, y, x };
  const target = pixelPlace(body, word, "output", pixel, `${channel} * 4u`);
  const operands = pixelOperands(body, word, operandChannels, pixel, channel);
  finishQuad(body, sum, body.let(`${channels} - ${channel}`), target, epilogue, operands);
  return body.end();
}
