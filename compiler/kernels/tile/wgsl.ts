/**
 * What the products of the families share in WGSL: an invocation computes four neighbouring output channels of one
 * pixel, which lie side by side in one weight panel (tile/panel.ts), and finishes them one by one.
 */
import type { Expression } from "../../../runtime/format/expression.ts";
import { floatWgsl } from "../expression/wgsl-float.ts";
import type { WeightStorage } from "../problem.ts";
import type { Wgsl, WgslBody } from "../wgsl/body.ts";
import type { WgslFunctionName } from "../wgsl/functions.ts";
import type { OperandChannels } from "./finish.ts";

/** Output channels of an invocation. */
export const quad = 4;

const readers: Readonly<Record<WeightStorage, WgslFunctionName>> = {
  float32: "quadFloat32",
  float16: "quadFloat16",
  int8: "quadInt8",
};
const elementBytes: Readonly<Record<WeightStorage, number>> = { float32: 4, float16: 2, int8: 1 };

/** Four columns of a panel. */
export interface PanelQuad {
  readonly bias: Wgsl;
  /** Address of the weights of k = 0; a variable that the caller moves on by `step` bytes per k. */
  readonly cursor: Wgsl;
  readonly step: number;
  /** The four weights at the cursor, scaled. */
  readonly weights: Wgsl;
}

/** Columns column..column+3 of the panel of `width` columns at address `panel`. */
export function panelQuad(body: WgslBody, storage: WeightStorage, width: number, panel: Wgsl, column: Wgsl): PanelQuad {
  const bytes = elementBytes[storage];
  const front = width * (storage === "int8" ? 8 : 4);
  const bias = body.let(body.call("quadFloat32", `${panel} + ${column} * 4u`));
  const cursor = body.variable(`${panel} + ${front}u + ${column} * ${bytes}u`);
  const stored = body.call(readers[storage], cursor);
  const scale =
    storage === "int8" ? body.let(body.call("quadFloat32", `${panel} + ${width * 4}u + ${column} * 4u`)) : undefined;
  return { bias, cursor, step: width * bytes, weights: scale === undefined ? stored : `${stored} * ${scale}` };
}

/**
 * Applies the epilogue to each of the first `valid` of the four sums and stores it at `target` + 4 * its place.
 * `operands[k](place)` is the address of operand k.
 */
export function finishQuad(
  body: WgslBody,
  sum: Wgsl,
  valid: Wgsl,
  target: Wgsl,
  epilogue: Expression | undefined,
  operands: readonly ((place: Wgsl) => Wgsl)[],
): void {
  body.loop(`min(${valid}, ${quad}u)`, (place) => {
    const inputs = [
      body.let(`${sum}[${place}]`),
      ...operands.map((address) => body.let(body.call("loadFloat32", address(place)))),
    ];
    const value = floatWgsl(body, epilogue, inputs);
    body.statement(`${body.call("storeFloat32", `${target} + ${place} * 4u`, value)};`);
  });
}

/** Coordinates of an output pixel. */
export interface Pixel {
  readonly image: Wgsl;
  readonly y: Wgsl;
  readonly x: Wgsl;
}

/** Address of `offset` bytes into that pixel of the view whose words are `name` and its image, row and pixel strides. */
export function pixelPlace(
  body: WgslBody,
  word: (name: string) => Wgsl,
  name: string,
  { image, y, x }: Pixel,
  offset: Wgsl,
): Wgsl {
  const strides = `${image} * ${word(`${name}Image`)} + ${y} * ${word(`${name}Row`)} + ${x} * ${word(`${name}Pixel`)}`;
  return body.let(`${word(name)} + ${strides} + ${offset}`);
}

/** Addresses of the epilogue operands at channel `channel` of a pixel, for `finishQuad`. */
export function pixelOperands(
  body: WgslBody,
  word: (name: string) => Wgsl,
  kinds: readonly OperandChannels[],
  pixel: Pixel,
  channel: Wgsl,
): readonly ((place: Wgsl) => Wgsl)[] {
  return kinds.map((kind, k) => {
    const isContiguous = kind === "contiguous";
    const start = pixelPlace(body, word, `operand${k}`, pixel, isContiguous ? `${channel} * 4u` : "0u");
    return (place) => (isContiguous ? `${start} + ${place} * 4u` : start);
  });
}
