/** WGSL of a transposed convolution, gathered: one invocation per output pixel and four output channels of a group. */
import type { WgslKernel } from "../contract.ts";
import { hasFloatWgsl } from "../expression/wgsl-float.ts";
import { panelWidth } from "../tile/multiply.ts";
import { finishQuad, pixelOperands, pixelPlace, quad, weightQuad } from "../tile/wgsl.ts";
import { type Wgsl, WgslBody } from "../wgsl/body.ts";
import { namedWords } from "../wgsl/words.ts";
import type { ConvTransposeShape, TransposedAxis } from "./wasm.ts";

export function convTransposeWgsl(shape: ConvTransposeShape): WgslKernel | undefined {
  const { epilogue, operandChannels, vertical, horizontal } = shape;
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
  const { bias, cursor, step, weights } = weightQuad(
    body,
    shape,
    width,
    panel,
    body.let(`${filter} % ${width}u`),
    word("channels"),
  );
  const sum = body.variable(bias);
  const first = body.let(cursor);
  const channels = word("channels");
  const input = body.let(`${word("input")} + ${image} * ${word("inputImage")} + ${group} * ${word("groupBytes")}`);
  const [inputRow, inputPixel] = [word("inputRow"), word("inputPixel")];
  const reaching = (axis: TransposedAxis, position: Wgsl, statements: (tap: Wgsl, source: Wgsl) => void): void =>
    body.loop(`${axis.kernel}u`, (tap) => {
      const distance = body.let(`i32(${position}) + ${axis.pad} - i32(${tap}) * ${axis.dilation}`);
      body.block(`if (${distance} % ${axis.stride} == 0)`, () =>
        statements(tap, body.let(`u32(${distance} / ${axis.stride})`)),
      );
    });
  reaching(vertical, y, (row, sourceY) =>
    reaching(horizontal, x, (column, sourceX) => {
      const source = body.variable(`${input} + ${sourceY} * ${inputRow} + ${sourceX} * ${inputPixel}`);
      body.statement(`${cursor} = ${first} + (${row} * ${horizontal.kernel}u + ${column}) * ${channels} * ${step}u;`);
      body.loop(channels, () => {
        body.statement(`${sum} += ${body.call("loadFloat32", source)} * ${weights};`);
        body.statement(`${source} += 4u;`);
        body.statement(`${cursor} += ${step}u;`);
      });
    }),
  );
  const channel = body.let(`${group} * ${filters} + ${filter}`);
  const pixel = { image, y, x };
  const target = pixelPlace(body, word, "output", pixel, `${channel} * 4u`);
  const operands = pixelOperands(body, word, operandChannels, pixel, channel);
  finishQuad(body, sum, body.let(`${filters} - ${filter}`), target, epilogue, operands);
  return body.end();
}
