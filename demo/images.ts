/**
 * From what people draw or photograph to what the embedded networks take. An image here is planar bytes
 * [channels, height, width]; the functions without a canvas in their name are pure.
 */
import type { ImageFormat } from "./models.ts";

export type Pixels = Uint8Array;

export interface TestImage {
  readonly label: number;
  readonly pixels: Pixels;
}

/** Records of one label byte and channels x height x width bytes. */
export function readTestImages(bytes: Uint8Array, { width, height, channels }: ImageFormat): readonly TestImage[] {
  const size = 1 + channels * width * height;
  return Array.from({ length: Math.floor(bytes.length / size) }, (_, index) => {
    const record = bytes.subarray(index * size, (index + 1) * size);
    return { label: record[0] ?? 0, pixels: record.subarray(1) };
  });
}

/** Bytes to 0..1. */
export function toInput(pixels: Pixels): Float32Array {
  return Float32Array.from(pixels, (value) => value / 255);
}

interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** What has ink, as a box in pixels; undefined for an empty drawing. */
function inkBox(ink: Pixels, width: number): Box | undefined {
  let [left, top, right, bottom] = [width, Number.POSITIVE_INFINITY, -1, -1];
  for (let i = 0; i < ink.length; i++) {
    if ((ink[i] ?? 0) < 32) continue;
    const x = i % width;
    const y = (i - x) / width;
    left = Math.min(left, x);
    right = Math.max(right, x + 1);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y + 1);
  }
  return right < 0 ? undefined : { left, top, right, bottom };
}

/** Mean of `source` over the rectangle, which may reach over its edges: nothing is there. */
function areaMean(source: Pixels, width: number, height: number, box: Box): number {
  let sum = 0;
  for (let y = Math.max(0, Math.floor(box.top)); y < Math.min(height, Math.ceil(box.bottom)); y++) {
    const rowShare = Math.min(y + 1, box.bottom) - Math.max(y, box.top);
    for (let x = Math.max(0, Math.floor(box.left)); x < Math.min(width, Math.ceil(box.right)); x++) {
      const share = Math.min(x + 1, box.right) - Math.max(x, box.left);
      sum += (source[y * width + x] ?? 0) * share * rowShare;
    }
  }
  return sum / ((box.right - box.left) * (box.bottom - box.top));
}

/**
 * Centres ink as MNIST does: the box of the ink fits 20 x 20 with its proportions kept, and its centre of mass goes to
 * the middle of 28 x 28 (LeCun, Cortes, Burges: "The MNIST database of handwritten digits").
 */
export function centreInk(ink: Pixels, width: number, height: number, format: ImageFormat): Pixels {
  const result = new Uint8Array(format.width * format.height);
  const box = inkBox(ink, width);
  if (box === undefined) return result;
  const scale = Math.max(box.right - box.left, box.bottom - box.top) / (format.width - 8);
  let [mass, massX, massY] = [0, 0, 0];
  for (let y = box.top; y < box.bottom; y++) {
    for (let x = box.left; x < box.right; x++) {
      const value = ink[y * width + x] ?? 0;
      mass += value;
      massX += value * (x + 0.5);
      massY += value * (y + 0.5);
    }
  }
  const originX = massX / mass - (format.width / 2) * scale;
  const originY = massY / mass - (format.height / 2) * scale;
  for (let y = 0; y < format.height; y++) {
    for (let x = 0; x < format.width; x++) {
      const [left, top] = [originX + x * scale, originY + y * scale];
      const mean = areaMean(ink, width, height, { left, top, right: left + scale, bottom: top + scale });
      result[y * format.width + x] = Math.min(255, Math.round(mean));
    }
  }
  return result;
}

/** Brightness of RGBA pixels as ink on an empty ground: inverted where the ground (the border) is bright. */
export function inkOf(rgba: Uint8ClampedArray, width: number, height: number): Pixels {
  const grey = new Uint8Array(width * height);
  let [border, count] = [0, 0];
  for (let i = 0; i < grey.length; i++) {
    const [red = 0, green = 0, blue = 0] = rgba.subarray(4 * i, 4 * i + 3);
    const value = Math.round(0.299 * red + 0.587 * green + 0.114 * blue);
    grey[i] = value;
    const [x, y] = [i % width, Math.floor(i / width)];
    if (x === 0 || y === 0 || x === width - 1 || y === height - 1) {
      border += value;
      count += 1;
    }
  }
  const ground = border / count;
  const span = Math.max(1, ...grey.map((value) => Math.abs(value - ground)));
  return grey.map((value) => {
    const ink = Math.abs(value - ground) / span;
    return ink < 0.25 ? 0 : Math.round(255 * ink);
  });
}

/** RGBA to planes. */
function planesOf(rgba: Uint8ClampedArray, channels: number): Pixels {
  const size = rgba.length / 4;
  return Uint8Array.from({ length: channels * size }, (_, i) => rgba[4 * (i % size) + Math.floor(i / size)] ?? 0);
}

/** The middle square of a picture file in the size of `format`. Rejects when the file is not a picture. */
export async function pixelsOfPhoto(file: Blob, format: ImageFormat): Promise<Pixels> {
  const bitmap = await createImageBitmap(file);
  const side = Math.min(bitmap.width, bitmap.height);
  const [x, y] = [(bitmap.width - side) / 2, (bitmap.height - side) / 2];
  const size = format.channels === 1 ? 140 : format.width;
  // Halving steps: a single large reduction would skip pixels where the canvas filters poorly.
  let canvas = canvasOf(Math.max(size, Math.min(side, 1024)));
  contextOf(canvas).drawImage(bitmap, x, y, side, side, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  while (canvas.width > size) {
    const next = canvasOf(Math.max(size, Math.ceil(canvas.width / 2)));
    contextOf(next).drawImage(canvas, 0, 0, next.width, next.height);
    canvas = next;
  }
  const { data } = contextOf(canvas).getImageData(0, 0, size, size);
  return format.channels === 3 ? planesOf(data, 3) : centreInk(inkOf(data, size, size), size, size, format);
}

function canvasOf(size: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = size;
  canvas.height = size;
  return canvas;
}

function contextOf(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) throw new Error("this browser gives no 2D canvas");
  context.imageSmoothingQuality = "high";
  return context;
}

/** Paints an image on a canvas of its own size: ink as ink on paper of the given colours, colours as they are. */
export function paintOnCanvas(canvas: HTMLCanvasElement, pixels: Pixels, format: ImageFormat): void {
  const { width, height, channels } = format;
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  const size = width * height;
  for (let i = 0; i < size; i++) {
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * i + channel] = channels === 3 ? (pixels[channel * size + i] ?? 0) : 255 - (pixels[i] ?? 0);
    }
    image.data[4 * i + 3] = 255;
  }
  contextOf(canvas).putImageData(image, 0, 0);
}
