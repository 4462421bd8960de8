/** The networks that come with the page, and how an image becomes their input. */

export interface ImageFormat {
  readonly width: number;
  readonly height: number;
  /** 1: ink on an empty ground. 3: red, green, blue. The input is [1, channels, height, width] in 0..1. */
  readonly channels: 1 | 3;
}

export interface EmbeddedModel {
  readonly id: "digits" | "cifar10";
  readonly title: string;
  readonly about: string;
  readonly model: URL;
  /** Records of a label byte and channels x height x width bytes. */
  readonly testImages: URL;
  /** The same, for the size budget to measure its error on. */
  readonly samples?: URL;
  readonly format: ImageFormat;
  readonly classes: readonly string[];
}

export const embeddedModels: readonly EmbeddedModel[] = [
  {
    id: "digits",
    title: "Digits",
    about: "Reads a digit that you draw. Depthwise separable, 9,034 parameters.",
    model: new URL("./models/digits/model.onnx", import.meta.url),
    testImages: new URL("./models/digits/test-500.bin", import.meta.url),
    format: { width: 28, height: 28, channels: 1 },
    classes: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
  },
  {
    id: "cifar10",
    title: "CIFAR-10",
    about: "Names what is in a small photo. Residual network, 759,870 parameters.",
    model: new URL("./models/cifar10/model.onnx", import.meta.url),
    testImages: new URL("./models/cifar10/test-500.bin", import.meta.url),
    samples: new URL("./models/cifar10/calibration-100.bin", import.meta.url),
    format: { width: 32, height: 32, channels: 3 },
    classes: ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
  },
];
