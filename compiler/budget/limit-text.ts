/** Limits and amounts in words, as diagnostics and reports say them. */
import { type EnergyTier, millijoulesText } from "./energy.ts";
import type { Limited } from "./outcome.ts";

export const limitName: Readonly<Record<Limited, string>> = {
  size: "package size",
  memory: "memory",
  latency: "latency",
  energy: "energy",
  quality: "quality",
  sliceDrop: "drop of the worst slice",
  minMetric: "metric",
  maxMetric: "metric",
};

/** Digits that outputs of float32 can be alike in. */
const mostDigits = 9;

/** Two digits of what is missing to 1, which are the ones that matter. */
const qualityText = (quality: number): string => {
  const missing = Math.abs(1 - quality);
  return missing === 0 ? "1" : quality.toFixed(Math.min(mostDigits, Math.max(2, 1 - Math.floor(Math.log10(missing)))));
};

const digits = (value: number): string => String(Number(value.toPrecision(4)));

/** Bytes exactly: a limit of this many bytes can be kept. Energy has the tier of what it was computed from; a limit that somebody set has none. */
export function amountText(quantity: Limited, amount: number, tier?: EnergyTier): string {
  switch (quantity) {
    case "size":
    case "memory":
      return `${Math.ceil(amount)} bytes`;
    case "latency":
      return `${digits(amount)} ms`;
    case "energy":
      return tier === undefined ? `${digits(amount)} mJ` : millijoulesText(amount, tier);
    case "quality":
      return qualityText(amount);
    case "sliceDrop":
      return `${digits(amount)} points`;
    case "minMetric":
    case "maxMetric":
      return digits(amount);
  }
}

/** Four digits that a limit of this much can be kept with: not below `amount`. */
function roundedUp(amount: number): number {
  const near = Number(amount.toPrecision(4));
  return near >= amount ? near : Number((amount * (1 + 5e-4)).toPrecision(4));
}

/** As qualityText, not above `quality`. */
function roundedDown(quality: number): string {
  const text = qualityText(quality);
  const places = text.split(".")[1]?.length ?? 0;
  return Number(text) <= quality ? text : (Number(text) - 10 ** -places).toFixed(places);
}

/** A limit that `limit` keeps: upper ones are never rounded down, nor lower ones up. */
export const limitText = (quantity: Limited, limit: number, tier?: EnergyTier): string => {
  if (quantity === "latency") return `at most ${roundedUp(limit)} ms`;
  if (quantity === "energy") return `at most ${roundedUp(limit)} mJ${tier === undefined ? "" : ` (tier ${tier})`}`;
  if (quantity === "quality") return `at least ${roundedDown(limit)}`;
  return `${quantity === "minMetric" ? "at least" : "at most"} ${amountText(quantity, limit, tier)}`;
};
