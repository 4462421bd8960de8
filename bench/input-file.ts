/**
 * A file as the input of a model: .npy, .pb (ONNX TensorProto), .json (nested numbers), or an image, decoded and
 * resized to the input's own height and width as float32 values in 0..1 (or bytes for integer inputs).
 */
import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import { readNpy } from "../compiler/import/npy.ts";
import { readTensorProto } from "../compiler/import/onnx/tensor.ts";
import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import { isFloat } from "../runtime/format/dtype.ts";
import { type Tensor, tensorOf } from "../runtime/format/tensor.ts";
import type { PortDescription } from "../runtime/index.ts";

const images = new Set([".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".tif", ".tiff"]);

function refuse(path: string, message: string, expected?: string, received?: string): LeafcutterError {
  return new LeafcutterError({
    code: "option-invalid",
    where: path,
    message,
    ...(expected === undefined ? {} : { expected }),
    ...(received === undefined ? {} : { received }),
    advice: "Give the input as --input name=FILE with FILE a .npy, .pb, .json or image file.",
  });
}

/** Reads `path` for `port`. Throws option-invalid for a file of another kind, file-missing when it cannot be read. */
export async function readInputFile(path: string, port: PortDescription): Promise<Tensor> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch {
    throw new LeafcutterError({ code: "file-missing", where: path, message: "the input file cannot be read" });
  }
  const extension = extname(path).toLowerCase();
  if (extension === ".npy") return readNpy(bytes, path);
  if (extension === ".pb") return readTensorProto(bytes, path);
  if (extension === ".json") return tensorFromJson(path, new TextDecoder().decode(bytes), port);
  if (images.has(extension)) return tensorFromImage(path, bytes, port);
  throw refuse(
    path,
    "the file's ending says nothing about its content",
    ".npy, .pb, .json or an image",
    extension || "no ending",
  );
}

function tensorFromJson(path: string, text: string, port: PortDescription): Tensor {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw refuse(path, "the file is not JSON", "nested arrays of numbers", cause instanceof Error ? cause.message : "");
  }
  const shape: number[] = [];
  for (let inner = value; Array.isArray(inner); inner = inner[0] as unknown) shape.push(inner.length);
  const flat: number[] = [];
  const visit = (item: unknown, depth: number): void => {
    if (Array.isArray(item) && item.length === shape[depth])
      for (const child of item as unknown[]) visit(child, depth + 1);
    else if (depth === shape.length && (typeof item === "number" || typeof item === "boolean")) flat.push(Number(item));
    else
      throw refuse(path, "the arrays are ragged or hold something else", `numbers in the shape [${shape.join(", ")}]`);
  };
  visit(value, 0);
  // One flat list fits a port whose extents are all known.
  const known = port.shape.every((extent): extent is number => typeof extent === "number");
  const product = known ? port.shape.reduce<number>((count, extent) => count * (extent as number), 1) : -1;
  const isFlat = shape.length === 1 && port.shape.length !== 1 && flat.length === product;
  return tensorOf(port.dtype, isFlat ? (port.shape as readonly number[]) : shape, flat);
}

async function tensorFromImage(path: string, bytes: Uint8Array, port: PortDescription): Promise<Tensor> {
  const { default: sharp } = await import("sharp");
  const { shape } = port;
  const numbers = shape.map((extent) => (typeof extent === "number" ? extent : 1));
  const [, second = 0, third = 0, fourth = 0] = numbers;
  const isColour = (extent: number): boolean => extent === 1 || extent === 3;
  const first = numbers.length === 4 && isColour(second);
  if (!first && !(numbers.length === 4 && isColour(fourth))) {
    throw refuse(
      path,
      `input ${port.name} does not take an image`,
      "[batch, channels, height, width] or [batch, height, width, channels] with 1 or 3 channels",
      `[${shape.join(", ")}]`,
    );
  }
  const [channels, height, width] = first ? [second, third, fourth] : [fourth, second, third];
  const picture = sharp(bytes).resize(width, height, { fit: "fill" }).removeAlpha();
  const raw = await (channels === 1 ? picture.greyscale() : picture.toColourspace("srgb")).raw().toBuffer();
  const scale = isFloat(port.dtype) ? 255 : 1;
  const values = new Float64Array(channels * height * width);
  for (let pixel = 0; pixel < height * width; pixel++) {
    for (let channel = 0; channel < channels; channel++) {
      const value = (raw[pixel * channels + channel] ?? 0) / scale;
      values[first ? channel * height * width + pixel : pixel * channels + channel] = value;
    }
  }
  return tensorOf(port.dtype, [1, ...numbers.slice(1)], values);
}
