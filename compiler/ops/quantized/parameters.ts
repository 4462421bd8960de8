/** Scales, zero points and other parameters as operands of a nest, which reads them in its body and, shifted by one, in its finish. */
import { type Expression, input } from "../../../runtime/format/expression.ts";
import type { AffineIndex, LoopOperand } from "../../loop/loop.ts";
import { inputOperand } from "../contraction/operands.ts";
import type { OperatorContext, StepOperand } from "../operator.ts";

/** Input `index` of the node read at `access`. */
export interface Parameter {
  readonly index: number;
  readonly access: readonly AffineIndex[];
}

export interface BoundParameters {
  readonly loopOperands: readonly LoopOperand[];
  readonly stepOperands: readonly StepOperand[];
  /** The element of the node's input `index` in the body; undefined when the node does not have it. */
  inBody(index: number): Expression | undefined;
  /** The same in the finish of a reduction. */
  inFinish(index: number): Expression | undefined;
}

/** Those of `parameters` that are present, as operands behind the first `before` ones. */
export function bindParameters(
  context: OperatorContext,
  before: number,
  parameters: readonly Parameter[],
): BoundParameters {
  const present = parameters.filter(({ index }) => context.has(index));
  const place = (index: number, shift: number): Expression | undefined => {
    const position = present.findIndex((parameter) => parameter.index === index);
    return position < 0 ? undefined : input(before + position + shift);
  };
  return {
    loopOperands: present.map(({ index, access }) => ({ dtype: context.type(index).dtype, access })),
    stepOperands: present.map(({ index }) => inputOperand(index)),
    inBody: (index) => place(index, 0),
    inFinish: (index) => place(index, 1),
  };
}
