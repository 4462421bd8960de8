/** Quantities as people read them: three significant digits and a unit. */

function threeDigits(value: number): string {
  const rounded = Number(value.toPrecision(3));
  if (rounded === 0) return "0";
  const digits = 2 - Math.floor(Math.log10(Math.abs(rounded)));
  return rounded.toFixed(Math.max(0, Math.min(digits, 3)));
}

/** Decimal units: 1 MB = 10^6 bytes. */
export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 999_500) return `${threeDigits(bytes / 1000)} kB`;
  return `${threeDigits(bytes / 1e6)} MB`;
}

export function millisecondsText(milliseconds: number): string {
  if (milliseconds >= 1000) return `${threeDigits(milliseconds / 1000)} s`;
  if (milliseconds >= 1) return `${threeDigits(milliseconds)} ms`;
  const microseconds = milliseconds * 1000;
  return `${microseconds.toFixed(microseconds < 9.95 ? 1 : 0)} µs`;
}

export function percentText(share: number): string {
  return `${(100 * share).toFixed(share < 0.0995 || share > 0.9995 ? 1 : 0)} %`;
}

/** A ratio such as 2.4, always with one decimal below 10. */
export function ratioText(ratio: number): string {
  return `${ratio.toFixed(ratio < 10 ? 2 : 1)}×`;
}

/** Value at `share` (0..1) of an ascending list, by the nearest rank. */
export function quantile(ascending: ArrayLike<number>, share: number): number {
  const index = Math.min(ascending.length - 1, Math.max(0, Math.ceil(share * ascending.length) - 1));
  return ascending[index] ?? Number.NaN;
}

export function ascending(values: readonly number[]): Float64Array {
  return Float64Array.from(values).sort();
}
