/**
 * Resizing by a triangle filter over pixel centres: bilinear interpolation when the picture grows, and an average over
 * all pixels that a new one covers when it shrinks. Separable; computed in double precision and rounded to bytes, as
 * picture libraries do: a network that takes bytes then sees bytes.
 */
import type { Picture } from "./picture.ts";

/**
 * Pixels of a picture of `width` x `height`, channels side by side, in 0..255. "shorter": the part of these proportions in
 * the middle of the picture; "stretch": the whole picture.
 */
export function resizePicture(picture: Picture, width: number, height: number, fit: "shorter" | "stretch"): Uint8Array {
  const whole = [picture.width, picture.height] as const;
  const ratio = Math.min(picture.width / width, picture.height / height);
  const [usedWidth, usedHeight] = fit === "stretch" ? whole : [width * ratio, height * ratio];
  const columns = filterTaps(picture.width, (picture.width - usedWidth) / 2, usedWidth, width);
  const rows = filterTaps(picture.height, (picture.height - usedHeight) / 2, usedHeight, height);
  const { channels, data } = picture;
  const narrow = new Float64Array(picture.height * width * channels);
  for (let y = 0; y < picture.height; y++) {
    columns.forEach(({ first, weights }, x) => {
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (const [k, weight] of weights.entries())
          sum += weight * (data[(y * picture.width + first + k) * channels + channel] as number);
        narrow[(y * width + x) * channels + channel] = sum;
      }
    });
  }
  const result = new Float64Array(height * width * channels);
  const rowLength = width * channels;
  rows.forEach(({ first, weights }, y) => {
    for (const [k, weight] of weights.entries())
      for (let i = 0; i < rowLength; i++)
        result[y * rowLength + i] =
          (result[y * rowLength + i] as number) + weight * (narrow[(first + k) * rowLength + i] as number);
  });
  return Uint8Array.from(result, Math.round);
}

interface Taps {
  readonly first: number;
  /** They sum to 1. */
  readonly weights: readonly number[];
}

/** What each of `count` new pixels takes from the `extent` old ones; they cover `used` of them from `start` on. */
function filterTaps(extent: number, start: number, used: number, count: number): readonly Taps[] {
  const ratio = used / count;
  const radius = Math.max(1, ratio);
  return Array.from({ length: count }, (_, index) => {
    const centre = start + (index + 0.5) * ratio;
    const first = Math.max(0, Math.floor(centre - radius));
    const last = Math.min(extent - 1, Math.ceil(centre + radius) - 1);
    const weights: number[] = [];
    for (let i = first; i <= last; i++) weights.push(Math.max(0, 1 - Math.abs(i + 0.5 - centre) / radius));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { first, weights: weights.map((weight) => weight / total) };
  });
}
