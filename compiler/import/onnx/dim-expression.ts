/**
 * Exporters write arithmetic into the names of dimensions: "past_sequence_length + 1", "(s0//2)", "Max(1, s1)".
 * Parses such a name; identifiers are names of other dimensions.
 */
import {
  addDims,
  type Dim,
  divideDims,
  maximumDim,
  minimumDim,
  moduloDims,
  multiplyDims,
  subtractDims,
} from "../../graph/dimension.ts";

/** Nested parentheses beyond this are a name, not arithmetic. */
const deepest = 50;

const functions: ReadonlyMap<string, (left: Dim, right: Dim) => Dim> = new Map([
  ["min", minimumDim],
  ["max", maximumDim],
  ["mod", moduloDims],
  ["floordiv", divideDims],
]);

class NotArithmetic extends Error {}

/**
 * The dim that `name` spells, with `resolve` giving the dim of each identifier. undefined when the name is not
 * arithmetic (a plain identifier is not), or when `resolve` does not know an identifier.
 */
export function parseDimExpression(name: string, resolve: (identifier: string) => Dim | undefined): Dim | undefined {
  const tokens = name.match(/[A-Za-z_][\w.]*|\d+|\/\/|[-+*/%(),]|\S/g) ?? [];
  if (tokens.length < 2) return undefined;
  let position = 0;
  const take = (...wanted: readonly string[]): string | undefined =>
    wanted.includes(tokens[position] ?? "") ? tokens[position++] : undefined;
  const need = (token: string): void => {
    if (take(token) === undefined) throw new NotArithmetic();
  };

  function sum(depth: number): Dim {
    let left = product(depth);
    for (let sign = take("+", "-"); sign !== undefined; sign = take("+", "-")) {
      const right = product(depth);
      left = sign === "+" ? addDims(left, right) : subtractDims(left, right);
    }
    return left;
  }

  function product(depth: number): Dim {
    let left = factor(depth);
    for (let sign = take("*", "//", "/", "%"); sign !== undefined; sign = take("*", "//", "/", "%")) {
      const right = factor(depth);
      if (sign !== "*" && right === 0) throw new NotArithmetic();
      left =
        sign === "*" ? multiplyDims(left, right) : sign === "%" ? moduloDims(left, right) : divideDims(left, right);
    }
    return left;
  }

  function factor(depth: number): Dim {
    if (depth > deepest) throw new NotArithmetic();
    if (take("-")) return multiplyDims(factor(depth + 1), -1);
    if (take("(")) {
      const inner = sum(depth + 1);
      need(")");
      return inner;
    }
    const token = tokens[position++] ?? "";
    if (/^\d+$/.test(token)) return Number(token);
    const call = functions.get(token.toLowerCase());
    if (call && take("(")) {
      let result = sum(depth + 1);
      while (take(",")) result = call(result, sum(depth + 1));
      need(")");
      return result;
    }
    const known = /^[A-Za-z_]/.test(token) ? resolve(token) : undefined;
    if (known === undefined) throw new NotArithmetic();
    return known;
  }

  try {
    const result = sum(0);
    return position === tokens.length ? result : undefined;
  } catch (error) {
    if (error instanceof NotArithmetic) return undefined;
    throw error;
  }
}
