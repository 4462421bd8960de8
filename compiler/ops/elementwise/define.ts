/**
 * Builds the record of an elementwise operator from what distinguishes it: arity, element types, formula.
 * All inputs have one element type and broadcast against each other; a missing optional input may lie between present ones.
 */
import { type DType, isFloat } from "../../../runtime/format/dtype.ts";
import { constant, type Expression } from "../../../runtime/format/expression.ts";
import type { Reference } from "../../../runtime/reference/reference.ts";
import type { Dim } from "../../graph/dimension.ts";
import { closeTolerance, type Operator, type OperatorContext, type Tolerance } from "../operator.ts";
import { broadcastDims } from "./broadcast.ts";

export type TypeClass = "float" | "numeric" | "signed" | "integer" | "unsigned" | "bool" | "any";

const integer = (dtype: DType): boolean => dtype !== "bool" && !isFloat(dtype);

const classes: Readonly<Record<TypeClass, (dtype: DType) => boolean>> = {
  float: isFloat,
  numeric: (dtype) => dtype !== "bool",
  signed: (dtype) => isFloat(dtype) || dtype.startsWith("int"),
  integer,
  unsigned: (dtype) => dtype.startsWith("uint"),
  bool: (dtype) => dtype === "bool",
  any: () => true,
};

/** A literal of one element type, so that formulas serve all of them. */
export type Literal = (value: number) => Expression;

export interface ElementwiseDefinition {
  readonly op: string;
  /** Least and most inputs. */
  readonly arity: readonly [number, number];
  readonly types: TypeClass;
  /** Output element type when it is not that of the inputs. */
  readonly output?: DType;
  readonly reference: Reference;
  readonly expression: (context: OperatorContext, literal: Literal, dtype: DType) => Expression | undefined;
  /** One integer of the output from one of each input; undefined when it does not follow. */
  readonly element?: (...dims: readonly Dim[]) => Dim | undefined;
  readonly tolerance?: Tolerance;
}

/** Indices of the inputs that are present, checked against the arity. */
export function presentInputs(context: OperatorContext, [least, most]: readonly [number, number]): readonly number[] {
  const count = context.node.inputs.length;
  if (count < least || count > most) {
    context.fail("wrong number of inputs", least === most ? String(least) : `${least} to ${most}`, String(count));
  }
  for (let index = 0; index < least; index++) context.type(index);
  return context.node.inputs.flatMap((value, index) => (value ? [index] : []));
}

/** Fails unless input `index` has a type of the class. */
export function requireClass(context: OperatorContext, index: number, types: TypeClass): DType {
  const { dtype } = context.type(index);
  if (!classes[types](dtype))
    context.fail(`input ${index} has an element type the operator does not take`, types, dtype);
  return dtype;
}

/** Applies `element` along inputs whose integers are known: scalars and lists of one length. */
export function elementsBy(
  context: OperatorContext,
  element: (...dims: readonly Dim[]) => Dim | undefined,
): readonly Dim[] | undefined {
  const lists = context.node.inputs.map((_, index) => (context.has(index) ? context.elements(index) : undefined));
  if (
    lists.length === 0 ||
    context.node.inputs.some((value) => !value || isFloat(value.type.dtype) || value.type.shape.length > 1)
  ) {
    return undefined;
  }
  const known = lists.filter((list) => list !== undefined);
  if (known.length !== lists.length) return undefined;
  const length = known.some((list) => list.length === 0) ? 0 : Math.max(...known.map((list) => list.length));
  if (known.some((list) => list.length !== 1 && list.length !== length)) return undefined;
  const result: Dim[] = [];
  for (let i = 0; i < length; i++) {
    const value = element(...known.map((list) => list[list.length === 1 ? 0 : i] as Dim));
    if (value === undefined) return undefined;
    result.push(value);
  }
  return result;
}

export function defineElementwise(definition: ElementwiseDefinition): Operator {
  const { op, arity, types, output, reference, expression, element, tolerance = closeTolerance } = definition;
  return {
    op,
    infer: (context) => {
      const present = presentInputs(context, arity);
      const dtype = requireClass(context, 0, types);
      for (const index of present) {
        const other = context.type(index).dtype;
        if (other !== dtype) context.fail(`input ${index} has another element type than input 0`, dtype, other);
      }
      const shapes = present.map((index) => context.type(index).shape);
      return [{ dtype: output ?? dtype, shape: broadcastDims(context, shapes) }];
    },
    ...(element ? { elements: (context: OperatorContext) => elementsBy(context, element) } : {}),
    reference,
    expression: (context) => {
      const { dtype } = context.type(0);
      return expression(context, (value) => constant(value, dtype), dtype);
    },
    tolerance,
  };
}
