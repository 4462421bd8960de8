/**
 * Integer arithmetic on symbolic dims as ONNX does it on shapes, and what can be decided about two of them when
 * all that is known of a symbol is that it is not negative.
 */
import { extentBounds, type SymbolBound } from "../../../runtime/format/extent.ts";
import {
  type Dim,
  divideDims,
  maximumDim,
  minimumDim,
  moduloDims,
  subtractDims,
  symbolsOf,
} from "../../graph/dimension.ts";

const largest = 2 ** 31;

/** Smallest and largest value of left - right. */
function difference(left: Dim, right: Dim): readonly [number, number] {
  const dim = subtractDims(left, right);
  const symbols = new Map<string, SymbolBound>(
    symbolsOf(dim).map((name) => [name, { name, lower: 0, upper: largest }]),
  );
  return extentBounds(dim, symbols);
}

const decide = (yes: boolean, no: boolean): Dim | undefined => (yes ? 1 : no ? 0 : undefined);

export function isLess(left: Dim, right: Dim): Dim | undefined {
  const [low, high] = difference(left, right);
  return decide(high < 0, low >= 0);
}

export function isLessOrEqual(left: Dim, right: Dim): Dim | undefined {
  const [low, high] = difference(left, right);
  return decide(high <= 0, low > 0);
}

export function isEqual(left: Dim, right: Dim): Dim | undefined {
  const [low, high] = difference(left, right);
  return decide(low === 0 && high === 0, low > 0 || high < 0);
}

/** Truncating division. A symbolic dividend counts as not negative, so that truncation is rounding down. */
export function quotient(left: Dim, right: Dim): Dim | undefined {
  if (right === 0) return undefined;
  if (typeof left === "number" && typeof right === "number") return Math.trunc(left / right);
  return typeof right === "number" && right < 0 ? undefined : divideDims(left, right);
}

export function modulus(left: Dim, right: Dim): Dim | undefined {
  if (right === 0) return undefined;
  return typeof right === "number" && right < 0 && typeof left !== "number" ? undefined : moduloDims(left, right);
}

export function smaller(left: Dim, right: Dim): Dim {
  const less = isLessOrEqual(left, right);
  return less === 1 ? left : less === 0 ? right : minimumDim(left, right);
}

export function larger(left: Dim, right: Dim): Dim {
  const less = isLessOrEqual(left, right);
  return less === 1 ? right : less === 0 ? left : maximumDim(left, right);
}

export function absolute(dim: Dim): Dim | undefined {
  const negative = isLess(dim, 0);
  return negative === undefined ? undefined : negative === 1 ? subtractDims(0, dim) : dim;
}
