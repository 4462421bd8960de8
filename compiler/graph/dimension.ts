/**
 * Canonical algebra of dimensions. A `Dim` is an Extent in normal form: a sum of products of symbols
 * and opaque terms (divisions, remainders, minima, maxima), ordered, so that two equal polynomials are
 * structurally equal and `sameDim` is a comparison of text.
 */
import {
  type Extent,
  type ExtentOperation,
  evaluateExtent,
  extentBounds,
  type SymbolBound,
} from "../../runtime/format/extent.ts";

/** A dimension or another integer known once symbols are bound; always built by the functions below. */
export type Dim = Extent;

/** monomial (sorted factor keys joined by "*") -> its factors and integer coefficient */
type Polynomial = Map<string, { readonly factors: readonly Dim[]; readonly coefficient: number }>;

const keyOf = (dim: Dim): string => (typeof dim === "string" ? dim : JSON.stringify(dim));

function addTerm(into: Polynomial, factors: readonly Dim[], coefficient: number): void {
  const sorted = [...factors].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  const key = sorted.map(keyOf).join("*");
  const total = (into.get(key)?.coefficient ?? 0) + coefficient;
  if (total === 0) into.delete(key);
  else into.set(key, { factors: sorted, coefficient: total });
}

function polynomial(dim: Dim): Polynomial {
  const result: Polynomial = new Map();
  if (typeof dim === "number") addTerm(result, [], dim);
  else if (typeof dim === "string") addTerm(result, [dim], 1);
  else if (dim[0] === "+") {
    for (const side of [dim[1], dim[2]])
      for (const { factors, coefficient } of polynomial(side).values()) addTerm(result, factors, coefficient);
  } else if (dim[0] === "*") {
    for (const left of polynomial(dim[1]).values())
      for (const right of polynomial(dim[2]).values())
        addTerm(result, [...left.factors, ...right.factors], left.coefficient * right.coefficient);
  } else addTerm(result, [dim], 1);
  return result;
}

function rebuild(terms: Polynomial): Dim {
  const sorted = [...terms.entries()].sort(([a], [b]) => (a === "" ? 1 : b === "" ? -1 : a < b ? -1 : 1));
  let sum: Dim | undefined;
  for (const [, { factors, coefficient }] of sorted) {
    let product: Dim | undefined = factors.length === 0 ? coefficient : undefined;
    for (const factor of factors) product = product === undefined ? factor : ["*", product, factor];
    if (factors.length > 0 && coefficient !== 1) product = ["*", product as Dim, coefficient];
    sum = sum === undefined ? product : ["+", sum, product as Dim];
  }
  return sum ?? 0;
}

export function addDims(...dims: readonly Dim[]): Dim {
  if (dims.every((dim) => typeof dim === "number")) return dims.reduce<number>((sum, dim) => sum + (dim as number), 0);
  const total: Polynomial = new Map();
  for (const dim of dims)
    for (const { factors, coefficient } of polynomial(dim).values()) addTerm(total, factors, coefficient);
  return rebuild(total);
}

export function multiplyDims(...dims: readonly Dim[]): Dim {
  return dims.reduce<Dim>((product, dim) => {
    if (typeof product === "number" && typeof dim === "number") return product * dim;
    return rebuild(polynomial(["*", product, dim]));
  }, 1);
}

export const subtractDims = (left: Dim, right: Dim): Dim => addDims(left, multiplyDims(right, -1));

/** floor(left / right). Exact when every coefficient of `left` is a multiple of a constant `right`, or `right` divides each monomial. */
export function divideDims(left: Dim, right: Dim): Dim {
  if (typeof left === "number" && typeof right === "number") return right === 0 ? 0 : Math.floor(left / right);
  if (right === 1) return left;
  if (sameDim(left, right)) return 1;
  const exact = divideExactly(left, right);
  return exact ?? ["/", left, right];
}

function divideExactly(left: Dim, right: Dim): Dim | undefined {
  const divisors = [...polynomial(right).values()];
  const divisor = divisors[0];
  if (divisors.length !== 1 || !divisor) return undefined;
  const quotient: Polynomial = new Map();
  for (const term of polynomial(left).values()) {
    if (term.coefficient % divisor.coefficient !== 0) return undefined;
    const remaining = [...term.factors];
    for (const factor of divisor.factors) {
      const index = remaining.findIndex((candidate) => sameDim(candidate, factor));
      if (index < 0) return undefined;
      remaining.splice(index, 1);
    }
    addTerm(quotient, remaining, term.coefficient / divisor.coefficient);
  }
  return rebuild(quotient);
}

/** left - floor(left / right) * right. */
export function moduloDims(left: Dim, right: Dim): Dim {
  if (typeof left === "number" && typeof right === "number") return left - Math.floor(left / right) * right;
  return divideExactly(left, right) !== undefined ? 0 : ["%", left, right];
}

/** ceil(left / right) for a positive right. */
export const ceilDivideDims = (left: Dim, right: Dim): Dim =>
  typeof left !== "number" && divideExactly(left, right) !== undefined
    ? divideDims(left, right)
    : divideDims(addDims(left, right, -1), right);

function extreme(operation: ExtentOperation & ("min" | "max"), left: Dim, right: Dim): Dim {
  if (typeof left === "number" && typeof right === "number")
    return operation === "min" ? Math.min(left, right) : Math.max(left, right);
  if (sameDim(left, right)) return left;
  return keyOf(left) < keyOf(right) ? [operation, left, right] : [operation, right, left];
}

export const minimumDim = (left: Dim, right: Dim): Dim => extreme("min", left, right);
export const maximumDim = (left: Dim, right: Dim): Dim => extreme("max", left, right);

/** Product of all dims; 1 for none. */
export const productOf = (dims: readonly Dim[]): Dim => multiplyDims(...dims);

/** True when two dims are the same polynomial. Different text does not prove that the values differ. */
export const sameDim = (left: Dim, right: Dim): boolean => left === right || keyOf(left) === keyOf(right);

export const sameShape = (left: readonly Dim[], right: readonly Dim[]): boolean =>
  left.length === right.length && left.every((dim, axis) => sameDim(dim, right[axis] as Dim));

/** The same dim with symbols replaced. */
export function substituteDim(dim: Dim, replace: (symbol: string) => Dim | undefined): Dim {
  if (typeof dim === "number") return dim;
  if (typeof dim === "string") return replace(dim) ?? dim;
  const left = substituteDim(dim[1], replace);
  const right = substituteDim(dim[2], replace);
  switch (dim[0]) {
    case "+":
      return addDims(left, right);
    case "*":
      return multiplyDims(left, right);
    case "/":
      return divideDims(left, right);
    case "%":
      return moduloDims(left, right);
    case "min":
      return minimumDim(left, right);
    case "max":
      return maximumDim(left, right);
  }
}

/** Names of the symbols a dim depends on. */
export function symbolsOf(dim: Dim): readonly string[] {
  if (typeof dim === "number") return [];
  if (typeof dim === "string") return [dim];
  return [...new Set([...symbolsOf(dim[1]), ...symbolsOf(dim[2])])];
}

/** Largest value under the bounds of `symbols`. */
export const upperBound = (dim: Dim, symbols: ReadonlyMap<string, SymbolBound>): number =>
  extentBounds(dim, symbols)[1];

/** Smallest value under the bounds of `symbols`. */
export const lowerBound = (dim: Dim, symbols: ReadonlyMap<string, SymbolBound>): number =>
  extentBounds(dim, symbols)[0];

/** Value for one binding. */
export const evaluateDim = (dim: Dim, bindings: ReadonlyMap<string, number>): number => evaluateExtent(dim, bindings);

/** Text for people: `4*batch + 1`. */
export function formatDim(dim: Dim): string {
  if (typeof dim !== "object") return String(dim);
  const [operation, left, right] = dim;
  const inner = `${formatDim(left)}${operation === "min" || operation === "max" ? ", " : operation}${formatDim(right)}`;
  return operation === "min" || operation === "max" ? `${operation}(${inner})` : `(${inner})`;
}
