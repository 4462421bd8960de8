/** WGSL of an integer depthwise convolution: one invocation per output element. */
import { byteSize } from "../../../runtime/format/dtype.ts";
import type { WgslKernel } from "../contract.ts";
import { emitWgslExpression, hasWgsl } from "../expression/wgsl.ts";
import { pixelPlace } from "../tile/wgsl.ts";
import { type Wgsl, WgslBody } from "../wgsl/body.ts";
import { loadElement, storeElement } from "../wgsl/element.ts";
import { namedWords } from "../wgsl/words.ts";
import { slotBytes } from "./pack.ts";
import type { IntegerDepthwiseShape } from "./shape.ts";
import { panelChannels } from "./variants.ts";

export function integerDepthwiseWgsl(shape: IntegerDepthwiseShape): WgslKernel | undefined {
  const { layout, epilogue, operands, inputType, outputType, multiplier } = shape;
  const types = ["int32" as const, ...operands.map(({ dtype }) => dtype)];
  if (epilogue && !hasWgsl(epilogue, types)) return undefined;
  const body = new WgslBody();
  const word = namedWords(body, shape.names);
  const channels = word("channels");
  const [image, y, x, channel] = body.coordinates("index", [
    "1u",
    word("outputHeight"),
    word("outputWidth"),
    channels,
  ]) as readonly [Wgsl, Wgsl, Wgsl, Wgsl];
  const [height, width] = [word("kernelHeight"), word("kernelWidth")];
  const weights = word("weights");
  let bias: Wgsl;
  let weightAt: (row: Wgsl, column: Wgsl) => Wgsl;
  if (layout === "plain") {
    bias = `${weights} + ${channel} * 4u`;
    const first = body.let(`${weights} + ${channels} * 4u + ${channel} * ${height} * ${width}`);
    weightAt = (row, column) => `${first} + ${row} * ${width} + ${column}`;
  } else {
    const block = body.let(`${channel} / ${panelChannels}u`);
    const place = body.let(`${channel} - min(${block} * ${panelChannels}u, ${channels} - ${panelChannels}u)`);
    const panel = body.let(`${weights} + ${block} * ${word("panelBytes")}`);
    bias = `${panel} + ${place} * 4u`;
    const first = body.let(`${panel} + ${4 * panelChannels}u + ${place} * 2u`);
    const paired = body.let(`${height} & ~1u`);
    weightAt = (row, column) => {
      const isPaired = body.let(`${row} < ${paired}`);
      const slot = body.let(`(${row} >> 1u) * ${width} + select(${column} >> 1u, ${column}, ${isPaired})`);
      const half = body.let(`select(${column}, ${row}, ${isPaired}) & 1u`);
      return `${first} + ${slot} * ${slotBytes}u + ${half}`;
    };
  }
  const sum = body.variable(body.call("loadInt32", bias));
  const start = `${image} * ${word("inputImage")} + ${y} * ${word("inputRowStep")} + ${x} * ${word("inputStep")}`;
  const source = body.let(`${word("input")} + ${start} + ${channel} / ${multiplier}u`);
  body.loop(height, (row) => {
    body.loop(width, (column) => {
      const at = `${source} + ${row} * ${word("kernelRow")} + ${column} * ${word("tapStep")}`;
      const value = body.let(`i32(${loadElement(body, inputType, at)})`);
      const weight = body.let(loadElement(body, "int8", weightAt(row, column)));
      body.statement(`${sum} += ${value} * ${weight};`);
    });
  });
  const pixel = { image, y, x };
  const inputs = [
    body.let(sum),
    ...operands.map(({ dtype, kind }, k) => {
      const offset = kind === "pixel" || kind === "tensor" ? "0u" : `${channel} * ${byteSize[dtype]}u`;
      return body.let(loadElement(body, dtype, pixelPlace(body, word, `operand${k}`, pixel, offset)));
    }),
  ];
  const result = epilogue
    ? emitWgslExpression(
        {
          body,
          operands: types,
          leaf: (leaf) => {
            const value = leaf.kind === "input" ? inputs[leaf.index] : undefined;
            if (value === undefined) throw new RangeError(`an epilogue of ${inputs.length} inputs`);
            return value;
          },
        },
        epilogue,
      )
    : (inputs[0] as Wgsl);
  const target = pixelPlace(body, word, "output", pixel, `${channel} * ${byteSize[outputType]}u`);
  storeElement(body, outputType, target, result);
  return body.end();
}
