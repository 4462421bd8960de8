/**
 * Integer expressions over symbolic dimensions, as they stand in a program: a number, the name of a
 * symbol, or an operation on two extents. Division rounds down. Evaluated by the runtime whenever the
 * bound symbols change; bounded by interval arithmetic when a program is planned or validated.
 */
export type ExtentOperation = "+" | "*" | "/" | "%" | "min" | "max";

export type Extent = number | string | readonly [ExtentOperation, Extent, Extent];

/** A symbolic dimension: every value from `lower` to `upper`, both included. */
export interface SymbolBound {
  readonly name: string;
  readonly lower: number;
  readonly upper: number;
}

function apply(operation: ExtentOperation, left: number, right: number): number {
  switch (operation) {
    case "+":
      return left + right;
    case "*":
      return left * right;
    case "/":
      return Math.floor(left / right);
    case "%":
      return left - Math.floor(left / right) * right;
    case "min":
      return Math.min(left, right);
    case "max":
      return Math.max(left, right);
  }
}

/** The value of an extent. Throws RangeError for a symbol that is not bound. */
export function evaluateExtent(extent: Extent, bindings: ReadonlyMap<string, number>): number {
  if (typeof extent === "number") return extent;
  if (typeof extent === "string") {
    const value = bindings.get(extent);
    if (value === undefined) throw new RangeError(`symbol ${extent} is not bound`);
    return value;
  }
  return apply(extent[0], evaluateExtent(extent[1], bindings), evaluateExtent(extent[2], bindings));
}

/** Smallest and largest value an extent can take (interval arithmetic: safe, not always tight). */
export function extentBounds(extent: Extent, symbols: ReadonlyMap<string, SymbolBound>): readonly [number, number] {
  if (typeof extent === "number") return [extent, extent];
  if (typeof extent === "string") {
    const symbol = symbols.get(extent);
    if (!symbol) throw new RangeError(`symbol ${extent} has no bound`);
    return [symbol.lower, symbol.upper];
  }
  const [operation, left, right] = extent;
  const [leftLow, leftHigh] = extentBounds(left, symbols);
  const [rightLow, rightHigh] = extentBounds(right, symbols);
  if (operation === "%") return [0, Math.max(0, rightHigh - 1)];
  const corners = [
    apply(operation, leftLow, rightLow),
    apply(operation, leftLow, rightHigh),
    apply(operation, leftHigh, rightLow),
    apply(operation, leftHigh, rightHigh),
  ];
  return [Math.min(...corners), Math.max(...corners)];
}
