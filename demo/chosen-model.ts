/** The model at work: its files, and for an embedded one the images that go with it. */
import type { Sample } from "../compiler/compile.ts";
import { LeafcutterError } from "../runtime/index.ts";
import { readTestImages, type TestImage, toInput } from "./images.ts";
import type { EmbeddedModel, ImageFormat } from "./models.ts";

interface ModelFiles {
  /** By path; the model and external data beside it. */
  readonly files: ReadonlyMap<string, Blob>;
  readonly path: string;
  readonly name: string;
  /** Of all files together. */
  readonly bytes: number;
}

export type ChosenModel =
  | (ModelFiles & {
      readonly kind: "embedded";
      readonly embedded: EmbeddedModel;
      readonly images: readonly TestImage[];
      /** For the size budget to measure its error on. */
      readonly samples: readonly Sample[];
    })
  | (ModelFiles & { readonly kind: "own" });

async function download(url: URL): Promise<Blob> {
  const response = await fetch(url).catch((cause: unknown) => {
    throw new LeafcutterError({
      code: "network",
      message: "a file could not be fetched",
      where: url.href,
      received: String(cause),
    });
  });
  if (response.ok) return response.blob();
  throw new LeafcutterError({
    code: "network",
    message: "the server refused a file",
    where: url.href,
    received: `status ${response.status}`,
  });
}

async function imagesAt(url: URL, format: ImageFormat): Promise<readonly TestImage[]> {
  return readTestImages(new Uint8Array(await (await download(url)).arrayBuffer()), format);
}

/** An image as the input of an embedded network. */
export function imageSample(pixels: Uint8Array, { channels, height, width }: ImageFormat): Sample {
  return { image: { dtype: "float32", shape: [1, channels, height, width], data: toInput(pixels) } };
}

/** Fetches an embedded model and its images. */
export async function embeddedModel(embedded: EmbeddedModel): Promise<ChosenModel> {
  const { format, samples: samplesUrl } = embedded;
  const [blob, images, samples = []] = await Promise.all([
    download(embedded.model),
    imagesAt(embedded.testImages, format),
    ...(samplesUrl === undefined ? [] : [imagesAt(samplesUrl, format)]),
  ]);
  return {
    kind: "embedded",
    embedded,
    files: new Map([["model.onnx", blob]]),
    path: "model.onnx",
    name: embedded.id,
    bytes: blob.size,
    images,
    samples: samples.map(({ pixels }) => imageSample(pixels, format)),
  };
}

/** A model from the reader's disk: one .onnx file, and external data with it. */
export function ownModel(files: readonly File[]): ChosenModel {
  const model = files.find(({ name }) => /\.onnx$/i.test(name)) ?? (files.length === 1 ? files[0] : undefined);
  if (model === undefined) {
    throw new LeafcutterError({
      code: "option-invalid",
      message: "none of the files is an ONNX model",
      expected: "one file that ends in .onnx, with its external data files if it has any",
      received: files.map(({ name }) => name).join(", ") || "no files",
    });
  }
  return {
    kind: "own",
    files: new Map(files.map((file) => [file.name, file])),
    path: model.name,
    name: model.name.replace(/\.onnx$/i, ""),
    bytes: files.reduce((sum, { size }) => sum + size, 0),
  };
}
