/** Values of the command line's options, parsed. Each throws commander's InvalidArgumentError with what was expected. */
import { InvalidArgumentError } from "commander";
import type { DimBinding } from "../import/onnx/dimensions.ts";
import type { InputValues } from "../import/onnx/fixed-input.ts";
import type { StateNames } from "../plan/states.ts";

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

const units: Readonly<Record<string, number>> = { "": 1, b: 1, kb: 1e3, mb: 1e6, gb: 1e9 };

/** `--max-size 500kB`, in bytes. */
export function parseSize(text: string): number {
  const match = /^([\d.]+)\s*([a-z]*)$/i.exec(text);
  const unit = units[(match?.[2] ?? "?").toLowerCase()];
  const value = Number(match?.[1]);
  if (unit === undefined || !Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError("Expected a size such as 500kB, 1MB or 1500000 (MB = 10^6 bytes).");
  return Math.floor(value * unit);
}

/** `--threads N`. */
export function parseThreads(text: string): number {
  const threads = Number(text);
  if (!Number.isInteger(threads) || threads < 1) throw new InvalidArgumentError("Expected a number of threads.");
  return threads;
}

/** `1,2` -> each number of threads once. */
export const parseThreadList = (text: string): readonly number[] => [...new Set(text.split(",").map(parseThreads))];

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
