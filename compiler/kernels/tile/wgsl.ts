/**
 * What the products of the families share in WGSL: an invocation computes four neighbouring output channels of one
 * pixel, which lie side by side in one weight panel (tile/panel.ts), and finishes them one by one.
 */
import type { Expression } from "../../../runtime/format/expression.ts";
import { symmetricZero } from "../../graph/blocks.ts";
import { floatWgsl } from "../expression/wgsl-float.ts";
import type { PlainStorage, StoredWeights } from "../problem.ts";
import type { Wgsl, WgslBody } from "../wgsl/body.ts";
import type { WgslFunctionName } from "../wgsl/functions.ts";
import { blockFront, blockLayout, weightForm } from "./block-layout.ts";
import type { OperandChannels } from "./finish.ts";
import { elementBytes, panelFront } from "./panel.ts";

/** Output channels of an invocation. */
export const quad = 4;

const readers: Readonly<Record<PlainStorage, WgslFunctionName>> = {
  float32: "quadFloat32",
  float16: "quadFloat16",
  int8: "quadInt8",
};

/** Four columns of a panel. */
export interface PanelQuad {
  readonly bias: Wgsl;
  /** Address of the weights of k = 0 (k itself where they lie in blocks); a variable that the caller moves on by `step` per k. */
  readonly cursor: Wgsl;
  readonly step: number;
  /** The four weights at the cursor, scaled. */
  readonly weights: Wgsl;
}

/** Columns column..column+3 of the panel of `width` columns at address `panel`; `run`: the steps along which blocks lie. */
export function weightQuad(
  body: WgslBody,
  weights: StoredWeights,
  width: number,
  panel: Wgsl,
  column: Wgsl,
  run: Wgsl,
): PanelQuad {
  const form = weightForm(weights);
  if (typeof form === "string") return panelQuad(body, form, width, panel, column);
  const { kind, size, zeros, scaleType } = form;
  const layout = blockLayout(form, width);
  const bias = body.let(form.bias ? body.call("quadFloat32", `${panel} + ${column} * 4u`) : "vec4f()");
  const cursor = body.variable("0u");
  const first = body.let(`${panel} + ${blockFront(form, width)}u`);
  const address = body.call("blockOf", first, cursor, run, `${size}u`, `${layout.head}u`, `${layout.stepBytes}u`);
  const bits = body.call(
    "quadBits",
    `${address} + ${layout.head}u + ${cursor} % ${run} % ${size}u * ${layout.stepBytes}u + ${column} / 2u`,
  );
  const scaleAt = `${address} + ${column} * ${layout.scaleBytes}u`;
  const scale = body.call(scaleType === "float16" ? "quadFloat16" : "quadFloat32", scaleAt);
  const zero = zeros
    ? body.call("quadNibbles", body.call("quadBits", `${address} + ${layout.zeros}u + ${column} / 2u`))
    : `vec4f(${symmetricZero}f)`;
  const value = kind === "nf4" ? body.call("quadCodes", bits) : `(${body.call("quadNibbles", bits)} - ${zero})`;
  return { bias, cursor, step: 1, weights: `${value} * ${scale}` };
}

/** As weightQuad for weights that are stored one by one. */
export function panelQuad(body: WgslBody, storage: PlainStorage, width: number, panel: Wgsl, column: Wgsl): PanelQuad {
  const bytes = elementBytes[storage];
  const front = panelFront(storage, width);
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
