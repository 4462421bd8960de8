/**
 * Arithmetic on expressions that multiply by constants: of numbers, and of vectors with one number per channel. Part of
 * merge-scales.ts. Factors are carried in double precision until the result is emitted.
 */
import type { DType } from "../../../runtime/format/dtype.ts";
import { binary, constant, type Expression, expressionType, input, unary } from "../../../runtime/format/expression.ts";
import { rangeOf } from "../quantisation.ts";

type Factor = number | Float64Array;

const product = (left: Factor, right: Factor): Factor => combined(left, right, (a, b) => a * b);
const total = (left: Factor, right: Factor): Factor => combined(left, right, (a, b) => a + b);

function combined(left: Factor, right: Factor, operation: (a: number, b: number) => number): Factor {
  if (typeof left === "number" && typeof right === "number") return operation(left, right);
  const { length } = typeof left === "number" ? (right as Float64Array) : left;
  const at = (factor: Factor, index: number): number =>
    typeof factor === "number" ? factor : (factor[index] as number);
  return Float64Array.from({ length }, (_, index) => operation(at(left, index), at(right, index)));
}

const everyOf = (factor: Factor, test: (value: number) => boolean): boolean =>
  typeof factor === "number" ? test(factor) : factor.every(test);

/** The inputs of an expression; more of them are added as they are needed. */
export class Scales {
  readonly #types: DType[];
  readonly #vectors: (Float64Array | undefined)[];

  constructor(types: readonly DType[], vectors: readonly (Float64Array | undefined)[]) {
    this.#types = [...types];
    this.#vectors = [...vectors];
  }

  /** The numbers behind input `index`, when they are known. */
  vector(index: number): Float64Array | undefined {
    return this.#vectors[index];
  }

  typeOf(expression: Expression): DType {
    return expressionType(expression, this.#types);
  }

  /** The numbers that an expression stands for. */
  factorOf(expression: Expression): Factor | undefined {
    if (expression.kind === "constant" && expression.dtype === "float32") return expression.value;
    return expression.kind === "input" ? this.vector(expression.index) : undefined;
  }

  expressionOf(factor: Factor): Expression {
    if (typeof factor === "number") return constant(factor);
    const known = this.#vectors.findIndex(
      (vector) => vector?.length === factor.length && vector.every((value, index) => value === factor[index]),
    );
    if (known >= 0) return input(known);
    this.#types.push("float32");
    return input(this.#vectors.push(factor) - 1);
  }
}

/** The expression with merged factors, bounds and shifts. Shared parts stay shared. */
export function simplified(expression: Expression, scales: Scales): Expression {
  const merged = rebuilt(expression, (part) => {
    if (part.kind === "cast") return withoutRoundTrip(part.dtype, part.value, scales) ?? part;
    const result = part.kind === "binary" ? arithmetic(part, scales) : part;
    return saturation(result, scales) ?? result;
  });
  return rebuilt(merged, (part) =>
    part.kind === "constant" && part.dtype === "float32" ? { ...part, value: Math.fround(part.value) } : part,
  );
}

/** Every part replaced by `change`, bottom-up. */
function rebuilt(expression: Expression, change: (part: Expression) => Expression): Expression {
  const known = new Map<Expression, Expression>();
  const recur = (part: Expression): Expression => {
    const result = known.get(part) ?? change(inner(part));
    known.set(part, result);
    return result;
  };
  const inner = (part: Expression): Expression => {
    switch (part.kind) {
      case "unary":
      case "cast":
        return { ...part, value: recur(part.value) };
      case "binary":
        return { ...part, left: recur(part.left), right: recur(part.right) };
      case "select":
        return {
          ...part,
          condition: recur(part.condition),
          whenTrue: recur(part.whenTrue),
          whenFalse: recur(part.whenFalse),
        };
      default:
        return part;
    }
  };
  return recur(expression);
}

type Binary = Extract<Expression, { readonly kind: "binary" }>;

function arithmetic(part: Binary, scales: Scales): Expression {
  const [left, right] = [scales.factorOf(part.left), scales.factorOf(part.right)];
  if (scales.typeOf(part) !== "float32") return part;
  switch (part.operation) {
    case "multiply": {
      const [value, factor] = right !== undefined ? [part.left, right] : [part.right, left];
      return factor !== undefined && absorbs(value, scales) && !isPlain(value, scales)
        ? scaled(value, factor, scales)
        : part;
    }
    case "add":
    case "subtract": {
      if (right === undefined) return part;
      const addend = part.operation === "add" ? right : product(right, -1);
      if (everyOf(addend, (value) => value === 0)) return part.left;
      const clipped = clipOf(part.left);
      if (clipped && typeof addend === "number")
        return clip(shifted(clipped.value, addend, scales), clipped.low + addend, clipped.high + addend);
      return shifted(part.left, addend, scales);
    }
    default:
      return part;
  }
}

/** A number or vector: nothing that a factor could be merged into. */
const isPlain = (value: Expression, scales: Scales): boolean => scales.factorOf(value) !== undefined;

/** value + addend, with the addend of the value itself. */
function shifted(value: Expression, addend: Factor, scales: Scales): Expression {
  if (value.kind === "binary" && (value.operation === "add" || value.operation === "subtract")) {
    const own = scales.factorOf(value.right);
    if (own !== undefined) {
      const sum = total(value.operation === "add" ? own : product(own, -1), addend);
      return everyOf(sum, (each) => each === 0) ? value.left : binary("add", value.left, scales.expressionOf(sum));
    }
  }
  return binary("add", value, scales.expressionOf(addend));
}

/** Whether a multiplication of the value can be a multiplication of the constants in it. */
function absorbs(value: Expression, scales: Scales): boolean {
  if (scales.factorOf(value) !== undefined) return true;
  if (value.kind !== "binary") return false;
  switch (value.operation) {
    case "multiply":
      return scales.factorOf(value.left) !== undefined || scales.factorOf(value.right) !== undefined;
    case "add":
    case "subtract":
      return absorbs(value.left, scales) && absorbs(value.right, scales);
    default:
      return false;
  }
}

/** value * factor. */
function scaled(value: Expression, factor: Factor, scales: Scales): Expression {
  if (everyOf(factor, (each) => each === 1)) return value;
  const own = scales.factorOf(value);
  if (own !== undefined) return scales.expressionOf(product(own, factor));
  if (value.kind === "binary" && absorbs(value, scales)) {
    if (value.operation !== "multiply")
      return { ...value, left: scaled(value.left, factor, scales), right: scaled(value.right, factor, scales) };
    const right = scales.factorOf(value.right);
    const [rest, mine] =
      right !== undefined ? [value.left, right] : [value.right, scales.factorOf(value.left) as Factor];
    return scaled(rest, product(mine, factor), scales);
  }
  return binary("multiply", value, scales.expressionOf(factor));
}

export interface Clip {
  readonly value: Expression;
  readonly low: number;
  readonly high: number;
}

const clip = (value: Expression, low: number, high: number): Expression =>
  binary("minimum", binary("maximum", value, constant(low)), constant(high));

/** minimum(maximum(value, low), high), as saturations are written. */
export function clipOf(part: Expression): Clip | undefined {
  if (part.kind !== "binary" || part.operation !== "minimum" || part.right.kind !== "constant") return undefined;
  const { left, right } = part;
  if (left.kind !== "binary" || left.operation !== "maximum" || left.right.kind !== "constant") return undefined;
  return { value: left.left, low: left.right.value, high: right.value };
}

/** A float32 that is a whole number within the type goes through the type unchanged. */
function withoutRoundTrip(dtype: DType, value: Expression, scales: Scales): Expression | undefined {
  if (dtype !== "float32" || value.kind !== "cast" || scales.typeOf(value.value) !== "float32") return undefined;
  const clipped = clipOf(value.value);
  const range = value.dtype === "int8" || value.dtype === "uint8" ? rangeOf[value.dtype] : undefined;
  return clipped && range && clipped.low >= range[0] && clipped.high <= range[1] && isWhole(clipped.value)
    ? value.value
    : undefined;
}

function isWhole(value: Expression): boolean {
  if (value.kind === "constant") return Number.isInteger(value.value);
  if (value.kind === "unary") return value.operation === "round";
  return (
    value.kind === "binary" &&
    (value.operation === "add" || value.operation === "subtract") &&
    isWhole(value.left) &&
    isWhole(value.right)
  );
}

/** saturate(round(value / scale) + zero): the division joins the factors in the value, clipping joins the bounds. */
function saturation(part: Expression, scales: Scales): Expression | undefined {
  const clipped = clipOf(part);
  if (!clipped) return undefined;
  const { value } = clipped;
  const shift =
    value.kind === "binary" && value.operation === "add" && value.right.kind === "constant" ? value.right.value : 0;
  const inner = shift === 0 ? value : (value as Binary).left;
  if (inner.kind !== "unary" || inner.operation !== "round") return undefined;
  const ratio = inner.value;
  if (ratio.kind !== "binary" || ratio.operation !== "divide" || ratio.right.kind !== "constant") return undefined;
  const scale = ratio.right.value;
  if (!(scale > 0)) return undefined;
  let { low, high } = clipped;
  let rest = ratio.left;
  for (let bound = boundOf(rest); bound; bound = boundOf(rest)) {
    const limit = roundHalfEven(Math.fround(bound.limit / scale)) + shift;
    if (bound.operation === "maximum") low = Math.min(high, Math.max(low, limit));
    else high = Math.max(low, Math.min(high, limit));
    rest = bound.value;
  }
  // What has no factor to merge with keeps the division of the definition.
  const quotient = rest.kind === "input" ? binary("divide", rest, ratio.right) : scaled(rest, 1 / scale, scales);
  const whole = unary("round", quotient);
  return clip(shift === 0 ? whole : binary("add", whole, constant(shift)), low, high);
}

/** The outermost maximum or minimum with a number. */
function boundOf(
  part: Expression,
): { readonly operation: "maximum" | "minimum"; readonly value: Expression; readonly limit: number } | undefined {
  if (part.kind !== "binary" || (part.operation !== "maximum" && part.operation !== "minimum")) return undefined;
  const { operation, left, right } = part;
  if (right.kind === "constant") return { operation, value: left, limit: right.value };
  return left.kind === "constant" ? { operation, value: right, limit: left.value } : undefined;
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
