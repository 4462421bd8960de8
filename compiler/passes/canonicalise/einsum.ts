/**
 * Einsum of two operands as a matrix product: letters of both operands and the result become the batch, letters of
 * both operands only the inner axis, the others rows and columns. Equations with repeated letters, an ellipsis or a
 * sum over a letter of one operand keep their form.
 */
import { stringOf } from "../../graph/attribute.ts";
import { type Dim, productOf } from "../../graph/dimension.ts";
import type { Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import { transpose } from "../permutation.ts";
import { reshape } from "../reshape.ts";

interface Equation {
  readonly left: string;
  readonly right: string;
  readonly result: string;
}

function parse(text: string): Equation | undefined {
  const match = /^([a-z]*),([a-z]*)(?:->([a-z]*))?$/i.exec(text.replaceAll(/\s/g, ""));
  if (!match) return undefined;
  const [, left = "", right = "", given] = match;
  // Without a result: every letter that occurs once, in alphabetical order.
  const once = [...left, ...right]
    .filter((letter, _, all) => all.indexOf(letter) === all.lastIndexOf(letter))
    .sort()
    .join("");
  const result = given ?? once;
  return [left, right, result].every((letters) => new Set(letters).size === letters.length)
    ? { left, right, result }
    : undefined;
}

const letters = (text: string, keep: (letter: string) => boolean): string => [...text].filter(keep).join("");

export function canonicalEinsum(node: Node, context: RewriteContext): Value | undefined {
  const equation = parse(stringOf(node, "equation", ""));
  const [first, second] = node.inputs;
  if (!equation || !first || !second || node.inputs.length !== 2 || first.type.dtype !== "float32") return undefined;
  // Weights stand on the right.
  const swap = context.constant(first) !== undefined && context.constant(second) === undefined;
  const [a, b] = swap ? [second, first] : [first, second];
  const [left, right] = swap ? [equation.right, equation.left] : [equation.left, equation.right];
  const { result } = equation;
  const isShared = (letter: string): boolean => left.includes(letter) && right.includes(letter);
  const batch = letters(left, (letter) => isShared(letter) && result.includes(letter));
  const inner = letters(left, (letter) => isShared(letter) && !result.includes(letter));
  const rows = letters(left, (letter) => !right.includes(letter));
  const columns = letters(right, (letter) => !left.includes(letter));
  if (
    [...rows, ...columns].some((letter) => !result.includes(letter)) ||
    result.length !== batch.length + rows.length + columns.length
  )
    return undefined;

  const extents = new Map<string, Dim>();
  for (const [axis, letter] of [...left].entries()) extents.set(letter, a.type.shape[axis] as Dim);
  for (const [axis, letter] of [...right].entries()) extents.set(letter, b.type.shape[axis] as Dim);
  const dims = (text: string): readonly Dim[] => [...text].map((letter) => extents.get(letter) as Dim);
  const ordered = (value: Value, from: string, to: string, name: string): Value =>
    transpose(
      context,
      value,
      [...to].map((letter) => from.indexOf(letter)),
      name,
    );

  const matrixA = reshape(
    context,
    ordered(a, left, batch + rows + inner, `${node.name}/a`),
    [...dims(batch), productOf(dims(rows)), productOf(dims(inner))],
    `${node.name}/a`,
  );
  const matrixB = reshape(
    context,
    ordered(b, right, batch + inner + columns, `${node.name}/b`),
    [...dims(batch), productOf(dims(inner)), productOf(dims(columns))],
    `${node.name}/b`,
  );
  const product = context.emit("leafcutter.MatMul", [matrixA, matrixB], {}, { name: node.name });
  const natural = batch + rows + columns;
  const separated = reshape(context, product, dims(natural), `${node.name}/result`);
  return ordered(separated, natural, result, `${node.name}/result`);
}
