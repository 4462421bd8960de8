/**
 * Weight panels: `width` output channels side by side. float32: bias [width], then weights [k][width]. float16: bias in
 * float32, weights as halves. int8: bias and scales in float32, weights as bytes. Panels are padded to 16 bytes and the
 * channels that a ragged last panel lacks are zeros. Narrow panels are widened to float32 in scratch before use. Weights in
 * blocks have panels of their own (block-layout.ts).
 */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import { numberToFloat16 } from "../../../runtime/format/half.ts";
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression, FunctionReference, Local } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";
import { f32x4, i16x8, i32x4, v128 } from "../../assemble/vector.ts";
import { addDims, type Dim, multiplyDims } from "../../graph/dimension.ts";
import type { Packed, WasmKernelContext } from "../contract.ts";
import type { PlainStorage } from "../problem.ts";
import { type PanelReader, plainReader } from "./multiply.ts";

export const elementBytes: Readonly<Record<PlainStorage, number>> = { float32: 4, float16: 2, int8: 1 };

/** Bytes of bias and scales in front of a panel's weights. */
export const panelFront = (storage: PlainStorage, width: number): number => width * (storage === "int8" ? 8 : 4);

/** Bytes of one panel of `depth` steps. */
export function panelBytes(storage: PlainStorage, width: number, depth: number): number {
  return panelFront(storage, width) + Math.ceil((depth * width * elementBytes[storage]) / 16) * 16;
}

/** Bytes of a panel widened to float32. */
export const widePanelBytes = (width: number, depth: Dim): Dim => multiplyDims(4 * width, addDims(depth, 1));

/** What one panel holds; channels beyond `columns` are zeros. */
export interface PanelSource {
  readonly panels: number;
  readonly width: number;
  readonly depth: number;
  readonly storage: PlainStorage;
  /** Output channel of a panel's column, or undefined behind the last one. */
  channel(panel: number, column: number): number | undefined;
  weight(channel: number, k: number): number;
  bias(channel: number): number;
  /** int8 only. */
  scale(channel: number): number;
  /** Another order of the weights: the place of one among those of its panel, and a panel's bytes. */
  readonly order?: { readonly bytes: number; place(k: number, column: number): number } | undefined;
}

const largestHalf = 65504;

const notAHalf = (channel: number, value: number): LeafcutterError =>
  new LeafcutterError({
    code: "internal",
    where: `output channel ${channel} of weights stored as float16`,
    message: "a weight is no finite float16 number",
    expected: `at most ${largestHalf} in magnitude`,
    received: String(value),
    advice: "Report this model; the budget stage must leave this constant as float32.",
  });

/** Throws a LeafcutterError when a weight is not finite in its storage. */
export function packPanels(source: PanelSource): Packed {
  const { panels, width, depth, storage, order } = source;
  const unit = order?.bytes ?? panelBytes(storage, width, depth);
  const bytes = new Uint8Array(panels * unit);
  const view = new DataView(bytes.buffer);
  for (let panel = 0; panel < panels; panel++) {
    const start = panel * unit;
    const weights = start + panelFront(storage, width);
    for (let column = 0; column < width; column++) {
      const channel = source.channel(panel, column);
      if (channel === undefined) continue;
      view.setFloat32(start + column * 4, source.bias(channel), true);
      const scale = storage === "int8" ? source.scale(channel) : 1;
      if (storage === "int8") view.setFloat32(start + (width + column) * 4, scale, true);
      for (let k = 0; k < depth; k++) {
        const value = source.weight(channel, k);
        if (storage === "float16" && !(Math.abs(value) <= largestHalf)) throw notAHalf(channel, value);
        const index = order ? order.place(k, column) : k * width + column;
        if (storage === "float32") view.setFloat32(weights + index * 4, value, true);
        else if (storage === "float16") view.setUint16(weights + index * 2, numberToFloat16(value), true);
        else view.setInt8(weights + index, scale === 0 ? 0 : Math.round(value / scale));
      }
    }
  }
  return { bytes, unit };
}

/** Function (panel, scratch, depth) that widens a panel of `width` columns (a multiple of 4) to float32. */
export function widenPanel(
  context: WasmKernelContext,
  storage: "float16" | "int8",
  width: number,
): FunctionReference<readonly ["i32", "i32", "i32"], readonly []> {
  const key = `widen ${storage} ${width}`;
  return context.shared(key, () =>
    context.module.function(
      key.replaceAll(" ", "_"),
      { params: ["i32", "i32", "i32"], results: [] },
      (body, panel, to, depth) => {
        const vectors = width / 4;
        for (let j = 0; j < vectors; j++) body.v128Store(to, v128.load(panel, { offset: j * 16 }), { offset: j * 16 });
        const scales =
          storage === "int8"
            ? Array.from({ length: vectors }, (_, j) =>
                body.local("v128", v128.load(panel, { offset: (vectors + j) * 16 })),
              )
            : [];
        body.set(panel, i32.add(panel, (storage === "int8" ? 8 : 4) * width));
        body.set(to, i32.add(to, 4 * width));
        body.forRange(0, depth, 1, () => {
          for (let j = 0; j < vectors; j++) {
            const scale = scales[j];
            const value = scale
              ? f32x4.mul(
                  f32x4.convertI32x4S(
                    i32x4.extendLowI16x8S(i16x8.extendLowI8x16S(v128.load32Zero(panel, { offset: j * 4 }))),
                  ),
                  scale,
                )
              : halfLanes(i32x4.shl(v128.load16x4U(panel, { offset: j * 8 }), 16));
            body.v128Store(to, value, { offset: j * 16 });
          }
          body.set(panel, i32.add(panel, width * elementBytes[storage]));
          body.set(to, i32.add(to, width * 4));
        });
      },
    ),
  ) as FunctionReference<readonly ["i32", "i32", "i32"], readonly []>;
}

/** The panel as the tile loops read it: itself, or its widened copy in `scratch`. */
export function readyPanel(
  context: WasmKernelContext,
  storage: PlainStorage,
  width: number,
  body: BodyBuilder,
  panel: Local<"i32">,
  scratch: Local<"i32"> | undefined,
  depth: Local<"i32">,
): Local<"i32"> {
  if (storage === "float32" || !scratch) return panel;
  body.call(widenPanel(context, storage, width), panel, scratch, depth);
  return scratch;
}

/**
 * Finite halves in the upper 16 bits of each lane as float32: exponent and mantissa in place, then the exponents' bias
 * made up by an exact product (subnormals included; infinities and NaN are not weights, see `packPanels`).
 */
export function halfLanes(upper: Expression<"v128">): Expression<"v128"> {
  const mask = 0x8fffffff | 0;
  const placed = v128.and(i32x4.shrS(upper, 3), i32x4.const(mask, mask, mask, mask));
  const bias = 2 ** 112;
  return f32x4.mul(placed, f32x4.const(bias, bias, bias, bias));
}

/** int8 weights of eight columns in registers, without their scale: for panels that are read only once. */
export const byteReader = (body: BodyBuilder): PanelReader => ({
  stepBytes: 8,
  read: (weights, offset) => {
    const words = body.local("v128", v128.load8x8S(weights, { offset }));
    return [i32x4.extendLowI16x8S(words), i32x4.extendHighI16x8S(words)].map((lanes) => f32x4.convertI32x4S(lanes));
  },
});

/** Panels of `vectors` * 4 columns of any storage, widened in registers; int8 by `scales`, one vector per four columns. */
export function anyReader(storage: PlainStorage, vectors: number, scales: readonly Expression<"v128">[]): PanelReader {
  const places = Array.from({ length: vectors }, (_, j) => j);
  switch (storage) {
    case "float32":
      return plainReader(vectors);
    case "float16":
      return {
        stepBytes: vectors * 8,
        read: (weights, offset) =>
          places.map((j) => halfLanes(i32x4.shl(v128.load16x4U(weights, { offset: offset + j * 8 }), 16))),
      };
    case "int8":
      return {
        stepBytes: vectors * 4,
        read: (weights, offset) =>
          places.map((j) => {
            const bytes = v128.load32Zero(weights, { offset: offset + j * 4 });
            const values = f32x4.convertI32x4S(i32x4.extendLowI16x8S(i16x8.extendLowI8x16S(bytes)));
            return f32x4.mul(values, scales[j] ?? f32x4.splat(1));
          }),
      };
  }
}
