/** Limits and amounts in words, as diagnostics and reports say them. */
import type { Limited } from "./outcome.ts";

export const limitName: Readonly<Record<Limited, string>> = {
  size: "package size",
  memory: "memory",
  latency: "latency",
  energy: "energy",
  quality: "quality",
  sliceDrop: "drop of the worst slice",
};

/** Two digits of what is missing to 1, which are the ones that matter. */
const qualityText = (quality: number): string => {
  const missing = Math.abs(1 - quality);
  return missing === 0 ? "1" : quality.toFixed(Math.max(2, 1 - Math.floor(Math.log10(missing))));
};

const digits = (value: number): string => String(Number(value.toPrecision(4)));

/** Bytes exactly: a limit of this many bytes can be kept. */
export function amountText(quantity: Limited, amount: number): string {
  switch (quantity) {
    case "size":
    case "memory":
      return `${Math.ceil(amount)} bytes`;
    case "latency":
      return `${digits(amount)} ms`;
    case "energy":
      return `${digits(amount)} mJ`;
    case "quality":
      return qualityText(amount);
    case "sliceDrop":
      return `${digits(amount)} points`;
  }
}

export const limitText = (quantity: Limited, limit: number): string =>
  `${quantity === "quality" ? "at least" : "at most"} ${amountText(quantity, limit)}`;
