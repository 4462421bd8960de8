/** Step operands and epilogues of lowered nodes, and which element types have generated code. */
import type { DType } from "../../../runtime/format/dtype.ts";
import { type Expression, mapExpression } from "../../../runtime/format/expression.ts";
import { expressionOf } from "../../graph/attribute.ts";
import { isBlockStorage } from "../../graph/blocks.ts";
import { type Dim, sameShape } from "../../graph/dimension.ts";
import type { PlainStorage, StoredWeights } from "../../kernels/problem.ts";
import type { LoweredStep, Lowering, OperatorContext, StepOperand } from "../operator.ts";

export const inputOperand = (index: number): StepOperand => ({ kind: "input", index });
export const temporaryOperand = (index: number): StepOperand => ({ kind: "temporary", index });
export const firstOutput: StepOperand = { kind: "output", index: 0 };

/** Input `index` as an operand, or undefined when the node has none. */
export const optionalOperand = (context: OperatorContext, index: number): StepOperand | undefined =>
  context.has(index) ? inputOperand(index) : undefined;

export const stepsOf = (...steps: readonly LoweredStep[]): Lowering => ({ kind: "steps", steps, temporaries: [] });

/** 16-bit floats are widened by a pass; what remains of them runs as host steps. */
export const hasGeneratedCode = (dtype: DType): boolean => dtype !== "float16" && dtype !== "bfloat16";

export interface Epilogue {
  readonly epilogue: Expression | undefined;
  readonly epilogueOperands: number;
  readonly operands: readonly StepOperand[];
}

/** The epilogue of a node whose operands for it start at input `first`. */
export function epilogueOf(context: OperatorContext, first: number): Epilogue {
  const operands = context.node.inputs.slice(first).map((_, k) => inputOperand(first + k));
  return { epilogue: expressionOf(context.node, "epilogue"), epilogueOperands: operands.length, operands };
}

/** Whether every epilogue operand has the output's shape, or its last axes behind leading ones: what the families read. */
export const epilogueFits = (
  context: OperatorContext,
  first: number,
  output: readonly Dim[],
  { perRow = false }: { readonly perRow?: boolean } = {},
): boolean =>
  context.node.inputs.slice(first).every((_, k) => {
    const { shape } = context.type(first + k);
    const leading = shape.findIndex((extent) => extent !== 1);
    const suffix = leading < 0 ? [] : shape.slice(leading);
    const isRows = perRow && shape.at(-1) === 1 && sameShape(shape.slice(0, -1), output.slice(0, -1));
    return isRows || (shape.length <= output.length && sameShape(suffix, output.slice(output.length - suffix.length)));
  });

/** The expression with every `input(k)` replaced. */
export const replaceInputs = (expression: Expression, replacement: (index: number) => Expression): Expression =>
  mapExpression(expression, (part) => (part.kind === "input" ? replacement(part.index) : part));

/** The axes of the output channels and of the terms of a sum in constant weights; undefined where no one axis has them. */
export interface WeightAxes {
  readonly channels: number | undefined;
  readonly terms: number;
}

/** How a product reads the constant in input `index`, its bias behind it: as it is stored, or as float32 where its scales lie along other axes. */
export function weightsOf(context: OperatorContext, index: number, { channels, terms }: WeightAxes): StoredWeights {
  const { storage } = context.type(index);
  if (!isBlockStorage(storage)) return { storage: plainStorageOf(context, index, channels) };
  const { kind, axis, blockSize, zeros, scaleType = "float16" } = storage;
  if (axis !== terms) return { storage: "float32" };
  const bias = context.has(index + 1);
  return { storage: kind, blocks: { size: blockSize, zeros: zeros !== undefined, scaleType, bias } };
}

/** As weightsOf for readers of single elements, which read blocks as float32. */
export function plainStorageOf(context: OperatorContext, index: number, channels: number | undefined): PlainStorage {
  const { storage } = context.type(index);
  if (!storage || isBlockStorage(storage)) return "float32";
  return storage.kind === "int8" && storage.axis !== channels ? "float32" : storage.kind;
}
