/** An expression over float32 values that are at hand: the epilogues, maps and finishes of the families, in WGSL. */
import type { Expression } from "../../../runtime/format/expression.ts";
import type { Wgsl, WgslBody } from "../wgsl/body.ts";
import { emitWgslExpression, hasWgsl } from "./wgsl.ts";

const floats = (count: number): readonly "float32"[] => Array.from({ length: count }, () => "float32");

/** Whether `floatWgsl` can compute an expression of `inputs` float32 inputs. */
export const hasFloatWgsl = (expression: Expression | undefined, inputs: number): boolean =>
  expression === undefined || hasWgsl(expression, floats(inputs));

/** The expression with the values `inputs[k]` for input k; input 0 itself when there is no expression. */
export function floatWgsl(body: WgslBody, expression: Expression | undefined, inputs: readonly Wgsl[]): Wgsl {
  const input = (index: number): Wgsl => {
    const value = inputs[index];
    if (value === undefined) throw new RangeError(`input ${index} of ${inputs.length}`);
    return value;
  };
  if (!expression) return input(0);
  return emitWgslExpression(
    {
      body,
      operands: floats(inputs.length),
      leaf: (leaf) => {
        if (leaf.kind !== "input") throw new TypeError(`${leaf.kind} in the expression of a kernel family`);
        return input(leaf.index);
      },
    },
    expression,
    `${inputs.join()} `,
  );
}
