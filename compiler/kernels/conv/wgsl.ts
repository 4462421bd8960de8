/** WGSL of a dense or grouped convolution: one invocation per pixel and four output channels of a group. */
import type { WgslKernel } from "../contract.ts";
import { hasFloatWgsl } from "../expression/wgsl-float.ts";
import { panelWidth } from "../tile/multiply.ts";
import { finishQuad, pixelOperands, pixelPlace, quad, weightQuad } from "../tile/wgsl.ts";
import { type Wgsl, WgslBody } from "../wgsl/body.ts";
import { namedWords } from "../wgsl/words.ts";
import type { ConvShape } from "./shape.ts";

export function convWgsl(shape: ConvShape): WgslKernel | undefined {
  const { epilogue, operandChannels } = shape;
  if (!hasFloatWgsl(epilogue, operandChannels.length + 1)) return undefined;
  const body = new WgslBody();
  const word = namedWords(body, shape.names);
  const width = panelWidth(shape.tile);
  const filters = word("filtersPerGroup");
  const [image, y, x, group, block] = body.coordinates("index", [
    "1u",
    word("outputHeight"),
    word("outputWidth"),
    word("groups"),
    body.let(`(${filters} + ${quad - 1}u) / ${quad}u`),
  ]) as readonly [Wgsl, Wgsl, Wgsl, Wgsl, Wgsl];
  const filter = body.let(`${block} * ${quad}u`);
  const panels = `(${filters} + ${width - 1}u) / ${width}u`;
  const panel = body.let(
    `${word("weights")} + (${group} * (${panels}) + ${filter} / ${width}u) * ${word("panelBytes")}`,
  );
  const place = body.let(`${filter} % ${width}u`);
  const { bias, cursor, step, weights } = weightQuad(body, shape, width, panel, place, word("channels"));
  const sum = body.variable(bias);
  const source = body.variable(
    `${word("input")} + ${image} * ${word("inputImage")} + ${y} * ${word("inputRowStep")} + ${x} * ${word("inputStep")} + ${group} * ${word("groupBytes")}`,
  );
  body.loop(word("kernelHeight"), () => {
    body.loop(shape.contiguous ? "1u" : word("kernelWidth"), () => {
      body.loop(word("run"), () => {
        body.statement(`${sum} += ${body.call("loadFloat32", source)} * ${weights};`);
        body.statement(`${source} += 4u;`);
        body.statement(`${cursor} += ${step}u;`);
      });
      if (!shape.contiguous) body.statement(`${source} += ${word("tapJump")};`);
    });
    body.statement(`${source} += ${word("rowJump")};`);
  });
  const channel = body.let(`${group} * ${filters} + ${filter}`);
  const pixel = { image, y, x };
  const target = pixelPlace(body, word, "output", pixel, `${channel} * 4u`);
  const operands = pixelOperands(body, word, operandChannels, pixel, channel);
  finishQuad(body, sum, body.let(`${filters} - ${filter}`), target, epilogue, operands);
  return body.end();
}
