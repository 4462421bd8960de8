/**
 * From a decoded picture to the tensor that a model takes: resize, crop, order of channels, scale, mean and standard
 * deviation, layout; declared by the user as JSON. Computed in double precision, so every platform gives the same tensor.
 */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import { type DType, isFloat } from "../../../runtime/format/dtype.ts";
import { type Tensor, tensorOf } from "../../../runtime/format/tensor.ts";
import type { Picture } from "./picture.ts";
import { resizePicture } from "./resize.ts";

/** value = (byte * scale - mean[channel]) / std[channel]. */
export interface Preprocessing {
  /** Height and width of the tensor. */
  readonly size: readonly [number, number];
  /** "shorter" keeps the proportions and cuts the middle out; "stretch" does not. */
  readonly resize: "shorter" | "stretch";
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly scale: number;
  readonly layout: "NCHW" | "NHWC";
  readonly channels: "RGB" | "BGR" | "grey";
}

/** What an input looks like; extents that are not numbers count as free. */
export interface ImagePort {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly unknown[];
}

/** What the input itself says: its height, width and layout, bytes as 0..1 for floats, no mean. undefined for no image. */
export function defaultPreprocessing({ dtype, shape }: ImagePort): Preprocessing | undefined {
  if (shape.length !== 4) return undefined;
  const [, second, third, fourth] = shape;
  const isColour = (extent: unknown): extent is 1 | 3 => extent === 1 || extent === 3;
  const first = isColour(second);
  const channels = first ? second : fourth;
  const [height, width] = first ? [third, fourth] : [second, third];
  if (!isColour(channels) || typeof height !== "number" || typeof width !== "number") return undefined;
  return {
    size: [height, width],
    resize: "stretch",
    mean: new Array<number>(channels).fill(0),
    std: new Array<number>(channels).fill(1),
    scale: isFloat(dtype) ? 1 / 255 : 1,
    layout: first ? "NCHW" : "NHWC",
    channels: channels === 1 ? "grey" : "RGB",
  };
}

/** Conventions of training, by name; the size and layout are the input's own. */
export const presets: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  /** torchvision's and timm's: the middle of the picture, mean and deviation of ImageNet. */
  imagenet: { resize: "shorter", scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  /** -1 to 1, as TensorFlow's MobileNet and Inception take them. */
  tensorflow: { scale: 1 / 255, mean: 0.5, std: 0.5 },
  /** 0 to 1. */
  unit: { scale: 1 / 255, mean: 0, std: 1 },
  /** 0 to 255. */
  bytes: { scale: 1, mean: 0, std: 1 },
};

export const preprocessFields =
  "size, resize (shorter, stretch), mean, std, scale, layout (NCHW, NHWC), channels (RGB, BGR, grey)";

const fields = ["preset", "size", "resize", "crop", "mean", "std", "scale", "layout", "channels"] as const;

/**
 * The declaration in `text` (a preset's name, or JSON, which may name a preset to change), what it leaves out taken from the input. Throws option-invalid that names the field.
 * `crop` may say "center" or "none": "shorter" cuts the middle out, "stretch" has nothing to cut.
 */
export function parsePreprocessing(text: string, port: ImagePort): Preprocessing {
  const fail = (message: string, expected: string, received: string): never => {
    throw new LeafcutterError({
      code: "option-invalid",
      where: "--preprocess",
      message,
      expected,
      received,
      advice: `Write ${Object.keys(presets).join(", ")}, or e.g. {"size":[224,224],"resize":"shorter","mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]}.`,
    });
  };
  let declared: unknown;
  try {
    declared = Object.hasOwn(presets, text.trim()) ? { preset: text.trim() } : JSON.parse(text);
  } catch (cause) {
    fail("the preprocessing is not JSON", "an object", cause instanceof Error ? cause.message : "something else");
  }
  if (typeof declared !== "object" || declared === null || Array.isArray(declared))
    return fail("the preprocessing is not an object", "an object", JSON.stringify(declared));
  const { preset, ...own } = declared as Readonly<Record<string, unknown>>;
  if (preset !== undefined && !(typeof preset === "string" && Object.hasOwn(presets, preset)))
    fail("the preset is not known", Object.keys(presets).join(", "), JSON.stringify(preset));
  const given: Readonly<Record<string, unknown>> = { ...presets[String(preset)], ...own };
  for (const key of Object.keys(given))
    if (!fields.some((field) => field === key)) fail("a field is not known", fields.join(", "), key);
  const base = defaultPreprocessing(port);
  const oneOf = <T extends string>(key: string, values: readonly T[], fallback: T): T => {
    const value = given[key];
    if (value === undefined) return fallback;
    return values.find((known) => known === value) ?? fail(`${key} is not known`, values.join(", "), String(value));
  };
  const numbers = (key: string, length: number, fallback: readonly number[] | undefined): readonly number[] => {
    const value = given[key] ?? fallback;
    // Of a preset for colours, a grey input takes the mean.
    if (Array.isArray(value) && length === 1 && value === presets[String(preset)]?.[key])
      return [(value as number[]).reduce((sum, item) => sum + item, 0) / value.length];
    if (typeof value === "number" && Number.isFinite(value)) return new Array<number>(length).fill(value);
    if (Array.isArray(value) && value.length === length && value.every((item) => Number.isFinite(item)))
      return value as number[];
    return fail(`${key} is wrong`, `${length} numbers`, JSON.stringify(given[key]) ?? "nothing");
  };
  const [height = 0, width = 0] = numbers("size", 2, base?.size);
  if (!(Number.isInteger(height) && Number.isInteger(width) && height > 0 && width > 0))
    fail("size is wrong", "height and width in pixels", JSON.stringify(given.size));
  const channels = oneOf("channels", ["RGB", "BGR", "grey"], base?.channels ?? "RGB");
  const count = channels === "grey" ? 1 : 3;
  const std = numbers("std", count, new Array<number>(count).fill(1));
  if (std.includes(0)) fail("std is wrong", "numbers other than 0", JSON.stringify(given.std));
  const resize = oneOf("resize", ["shorter", "stretch"], base?.resize ?? "stretch");
  oneOf("crop", resize === "shorter" ? ["center"] : ["none"], resize === "shorter" ? "center" : "none");
  const scale = given.scale ?? base?.scale ?? 1 / 255;
  if (typeof scale !== "number" || !Number.isFinite(scale)) fail("scale is wrong", "a number", JSON.stringify(scale));
  return {
    size: [height, width],
    resize,
    mean: numbers("mean", count, new Array<number>(count).fill(0)),
    std,
    scale: scale as number,
    layout: oneOf("layout", ["NCHW", "NHWC"], base?.layout ?? "NCHW"),
    channels,
  };
}

/** The tensor of one picture, with a batch of 1. */
export function preprocess(picture: Picture, settings: Preprocessing, dtype: DType = "float32"): Tensor {
  const { size, resize, mean, std, scale, layout, channels } = settings;
  const [height, width] = size;
  const count = channels === "grey" ? 1 : 3;
  const pixels = resizePicture(picture, width, height, resize);
  const values = new Float64Array(count * height * width);
  for (let pixel = 0; pixel < height * width; pixel++) {
    for (let channel = 0; channel < count; channel++) {
      const value =
        (channelOf(pixels, picture.channels, pixel, channel, channels) * scale - (mean[channel] ?? 0)) /
        (std[channel] ?? 1);
      values[layout === "NCHW" ? channel * height * width + pixel : pixel * count + channel] = value;
    }
  }
  const rounded = isFloat(dtype) ? values : values.map(Math.round);
  return tensorOf(dtype, layout === "NCHW" ? [1, count, height, width] : [1, height, width, count], rounded);
}

/** Weights of ITU-R BT.601, from colour to grey. */
const luminance = [0.299, 0.587, 0.114] as const;

function channelOf(
  pixels: Uint8Array,
  stored: 1 | 3,
  pixel: number,
  channel: number,
  order: Preprocessing["channels"],
): number {
  if (stored === 1) return pixels[pixel] as number;
  if (order === "grey")
    return luminance.reduce((sum, weight, index) => sum + weight * (pixels[pixel * 3 + index] as number), 0);
  return pixels[pixel * 3 + (order === "BGR" ? 2 - channel : channel)] as number;
}
