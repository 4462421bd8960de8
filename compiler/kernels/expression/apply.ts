/** An expression over float32 lanes that are at hand: the epilogues, maps and finishes of the families. */
import type { Expression } from "../../../runtime/format/expression.ts";
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression as Code } from "../../assemble/expression.ts";
import type { MathLibrary } from "../../assemble/math.ts";
import { emitVector, isVectorisable } from "./vector.ts";

type Vector = Code<"v128">;

/** Whether `applyToLanes` can compute an expression of `inputs` float32 inputs. */
export const isApplicable = (expression: Expression | undefined, inputs: number): boolean =>
  expression === undefined ||
  isVectorisable(
    expression,
    Array.from({ length: inputs }, () => "float32" as const),
  );

/** The expression's lanes with `inputs[k]` for input k; input 0 itself when there is no expression. */
export function applyToLanes(
  body: BodyBuilder,
  math: MathLibrary,
  expression: Expression | undefined,
  inputs: readonly Vector[],
): Vector {
  const input = (index: number): Vector => {
    const value = inputs[index];
    if (!value) throw new RangeError(`input ${index} of ${inputs.length}`);
    return value;
  };
  if (!expression) return input(0);
  return emitVector(
    {
      body,
      math,
      operands: inputs.map(() => "float32" as const),
      leaf: (leaf) => {
        if (leaf.kind !== "input") throw new TypeError(`${leaf.kind} in the expression of a kernel family`);
        return input(leaf.index);
      },
    },
    expression,
  );
}
