/** Values of the command line's options, parsed. Each throws commander's InvalidArgumentError with what was expected. */
import { InvalidArgumentError } from "commander";
import { type Objective, objectives } from "../budget/quantities.ts";
import type { DimBinding } from "../import/onnx/dimensions.ts";
import type { InputValues } from "../import/onnx/fixed-input.ts";
import type { StateNames } from "../plan/states.ts";
import { parseRangeMethod, type RangeMethod } from "../quantize/histogram.ts";
import { parseScheme, type Scheme } from "../quantize/scheme.ts";

export type Dims = Readonly<Record<string, DimBinding>>;

/** `--dim name=N`, `name=A..B`, `name=past + 1`. */
export function parseDim(text: string, previous: Dims = {}): Dims {
  const [, name = "", low, high, spelled = ""] = /^(.+)=(?:(\d+)(?:\.\.(\d+))?|\s*([A-Za-z_(].*))$/.exec(text) ?? [];
  if (name === "") throw new InvalidArgumentError("Expected name=N, name=A..B, input:axis=N or name=other + N.");
  if (low === undefined) return { ...previous, [name]: spelled };
  return { ...previous, [name]: high === undefined ? Number(low) : { lower: Number(low), upper: Number(high) } };
}

/** `--value input=N,N`. */
export function parseValue(text: string, previous: InputValues = {}): InputValues {
  const at = text.lastIndexOf("=");
  const words = text
    .slice(at + 1)
    .split(",")
    .map((word) => word.trim());
  const numbers =
    words.join("") === "" ? [] : words.map((word) => ({ true: 1, false: 0 })[word] ?? Number(word || "?"));
  if (at <= 0 || !numbers.every(Number.isFinite)) throw new InvalidArgumentError("Expected input=N,N,N or input=true.");
  return { ...previous, [text.slice(0, at)]: numbers };
}

interface Unit {
  /** Of the base unit, by lower-case name. */
  readonly factors: Readonly<Record<string, number>>;
  readonly example: string;
}

const bytes: Unit = {
  factors: { "": 1, b: 1, kb: 1e3, mb: 1e6, gb: 1e9 },
  example: "a size such as 500kB, 1MB or 1500000 (MB = 10^6 bytes)",
};
const time: Unit = { factors: { us: 1e-3, µs: 1e-3, ms: 1, s: 1e3 }, example: "a time such as 20ms, 0.5s or 800us" };
const energy: Unit = {
  factors: { uj: 1e-3, µj: 1e-3, mj: 1, j: 1e3 },
  example: "an energy such as 5mJ, 0.2J or 900uJ",
};

function parseAmount(text: string, { factors, example }: Unit): number {
  const match = /^([\d.]+)\s*([a-zµ]*)$/i.exec(text.trim());
  const factor = factors[(match?.[2] ?? "?").toLowerCase()];
  const value = Number(match?.[1]);
  if (factor === undefined || !Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError(`Expected ${example}.`);
  return value * factor;
}

/** `--max-size 500kB`, in bytes. */
export const parseSize = (text: string): number => Math.floor(parseAmount(text, bytes));

/** `--max-latency 20ms`, in milliseconds. */
export const parseTime = (text: string): number => parseAmount(text, time);

/** `--max-energy 5mJ`, in millijoules. */
export const parseEnergy = (text: string): number => parseAmount(text, energy);

/** `--min-quality 0.99` or `99%`. */
export function parseQuality(text: string): number {
  const [, digits, percent] = /^([\d.]+)\s*(%?)$/.exec(text.trim()) ?? [];
  const value = Number(digits) / (percent ? 100 : 1);
  if (!(value > 0 && value <= 1))
    throw new InvalidArgumentError("Expected a quality above 0, at most 1, such as 0.99.");
  return value;
}

/** `--max-slice-drop 1`, in points. */
export function parsePoints(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && value <= 100))
    throw new InvalidArgumentError("Expected points (hundredths), 0 to 100, such as 1.");
  return value;
}

/** `--objective latency`. */
export function parseObjective(text: string): Objective {
  const found = objectives.find((objective) => objective === text);
  if (!found) throw new InvalidArgumentError(`Expected ${objectives.join(", ")}.`);
  return found;
}

/** `--precision int8`. */
export function parsePrecision(text: string): Scheme {
  const scheme = parseScheme(text);
  if (!scheme)
    throw new InvalidArgumentError(
      "Expected float16, int8-weights, int8, 'int8 7-bit', int8-dynamic, int4, int4/64, 'int4/32 symmetric' or nf4/32.",
    );
  return scheme;
}

/** `--min-metric -0.5`. */
export function parseNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("Expected a number.");
  return value;
}

/** `--ranges percentile:99.9`. */
export function parseRanges(text: string): RangeMethod {
  const method = parseRangeMethod(text);
  if (!method)
    throw new InvalidArgumentError(
      "Expected mse, minmax, entropy, percentile or percentile:99.9 (above 50, at most 100).",
    );
  return method;
}

/** `--threads N`. */
export function parseThreads(text: string): number {
  const threads = Number(text);
  if (!Number.isInteger(threads) || threads < 1) throw new InvalidArgumentError("Expected a number of threads.");
  return threads;
}

/** `1,2` -> each number of threads once. */
export const parseThreadList = (text: string): readonly number[] => [...new Set(text.split(",").map(parseThreads))];

/** `0.5,0.25`: shares above 0, at most 1. */
export const parseShares = (text: string): readonly number[] =>
  text.split(",").map((part) => {
    const share = Number(part);
    if (!(share > 0 && share <= 1)) throw new InvalidArgumentError("Expected shares above 0 and at most 1: 0.5,0.25.");
    return share;
  });

/** All values of a repeatable option. */
export function collect(text: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, text];
}

/** `--state in=out`. */
export function parseState(text: string, previous: StateNames = {}): StateNames {
  const at = text.indexOf("=");
  if (at <= 0 || at === text.length - 1)
    throw new InvalidArgumentError("Expected input=output, or past.*=present.* for many.");
  return { ...previous, [text.slice(0, at)]: text.slice(at + 1) };
}
