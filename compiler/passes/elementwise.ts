/**
 * Elementwise nodes as expressions over their inputs, and how two of them become one. Shared sub-expressions stay
 * one object, so that code generation can compute them once.
 */
import { isBigInteger } from "../../runtime/format/dtype.ts";
import { constant, type Expression, input, type UnaryOperation } from "../../runtime/format/expression.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { type Dim, sameDim, sameShape } from "../graph/dimension.ts";
import type { Facts } from "../graph/facts.ts";
import type { Node, Value } from "../graph/graph.ts";
import { findOperator } from "../ops/index.ts";
import { operatorContext } from "../ops/infer.ts";
import { isQuantisation } from "./quantisation.ts";

/** One output element from one element of each input, the inputs broadcast against each other. Every input is read. */
export interface ElementwiseForm {
  readonly expression: Expression;
  readonly inputs: readonly Value[];
}

/** Whether the node is elementwise in this form. */
export const isElementwise = (node: Node, facts: Facts): boolean => rawExpression(node, facts) !== undefined;

function rawExpression(node: Node, facts: Facts): Expression | undefined {
  return findOperator(node.op)?.expression?.(operatorContext(node, facts));
}

/**
 * The node as an expression: one-element constants are part of it, an input that is used twice stands once. Not for
 * QuantizeLinear and DequantizeLinear, which the integer passes have to find.
 */
export function elementwiseForm(node: Node, facts: Facts): ElementwiseForm | undefined {
  if (isQuantisation(node)) return undefined;
  const expression = rawExpression(node, facts);
  const [output] = node.outputs;
  if (!expression || !output || node.outputs.length !== 1) return undefined;
  const whole = normalised({ expression, inputs: [] }, (index) => {
    const value = node.inputs[index];
    return value ? { value, scalar: undefined } : undefined;
  });
  if (!whole) return undefined;
  const inlined = normalised(whole, (index) => {
    const value = whole.inputs[index] as Value;
    return { value, scalar: scalarOf(facts.constant(value)) };
  });
  // A constant of high rank may be what gives the output its rank.
  return inlined && inlined.inputs.length > 0 && sameShape(broadcastDims(inlined.inputs), output.type.shape)
    ? inlined
    : whole;
}

function scalarOf(tensor: Tensor | undefined): Expression | undefined {
  if (tensor?.data.length !== 1 || tensor.dtype === "float16" || tensor.dtype === "bfloat16") return undefined;
  const value = Number(tensor.data[0]);
  return isBigInteger(tensor.dtype) && !Number.isSafeInteger(value) ? undefined : constant(value, tensor.dtype);
}

/** The form with inputs renumbered in order of first use; `resolve` says which value (or scalar) stands behind an index. */
function normalised(
  form: ElementwiseForm,
  resolve: (index: number) => { readonly value: Value; readonly scalar: Expression | undefined } | undefined,
): ElementwiseForm | undefined {
  const inputs: Value[] = [];
  let missing = false;
  const expression = substitute(form.expression, (index) => {
    const source = resolve(index);
    if (!source) {
      missing = true;
      return undefined;
    }
    return source.scalar ?? operand(inputs, source.value);
  });
  return missing ? undefined : { expression, inputs };
}

function operand(inputs: Value[], value: Value): Expression {
  const known = inputs.indexOf(value);
  return input(known >= 0 ? known : inputs.push(value) - 1);
}

/** `outer` with every read of `value` replaced by the expression that computes it. */
export function absorb(outer: ElementwiseForm, value: Value, inner: ElementwiseForm): ElementwiseForm {
  const inputs: Value[] = [];
  const replaced = substitute(inner.expression, (index) => input(-1 - index));
  const marked = substitute(outer.expression, (index) => (outer.inputs[index] === value ? replaced : undefined));
  const expression = substitute(marked, (index) =>
    operand(inputs, (index < 0 ? inner.inputs[-1 - index] : outer.inputs[index]) as Value),
  );
  return { expression, inputs };
}

/** The expression with its inputs replaced; unchanged parts and shared parts keep their identity. */
export function substitute(expression: Expression, replace: (index: number) => Expression | undefined): Expression {
  const known = new Map<Expression, Expression>();
  const recur = (child: Expression): Expression => {
    const result = known.get(child) ?? step(child);
    known.set(child, result);
    return result;
  };
  const step = (child: Expression): Expression => {
    switch (child.kind) {
      case "input":
        return replace(child.index) ?? child;
      case "axis":
      case "parameter":
      case "constant":
        return child;
      case "load":
        return { ...child, at: child.at.map(recur) };
      case "unary":
      case "cast":
        return { ...child, value: recur(child.value) };
      case "binary":
        return { ...child, left: recur(child.left), right: recur(child.right) };
      case "select":
        return {
          ...child,
          condition: recur(child.condition),
          whenTrue: recur(child.whenTrue),
          whenFalse: recur(child.whenFalse),
        };
    }
  };
  return recur(expression);
}

/** Number of operations, counted as they are written (a shared part counts each time). */
export function expressionSize(expression: Expression): number {
  switch (expression.kind) {
    case "input":
    case "axis":
    case "parameter":
    case "constant":
      return 0;
    case "load":
      return expression.at.reduce((sum, child) => sum + expressionSize(child), 1);
    case "unary":
    case "cast":
      return 1 + expressionSize(expression.value);
    case "binary":
      return 1 + expressionSize(expression.left) + expressionSize(expression.right);
    case "select":
      return (
        1 +
        expressionSize(expression.condition) +
        expressionSize(expression.whenTrue) +
        expressionSize(expression.whenFalse)
      );
  }
}

const cheapUnary: ReadonlySet<UnaryOperation> = new Set<UnaryOperation>([
  "negate",
  "abs",
  "sign",
  "floor",
  "ceil",
  "round",
  "truncate",
  "not",
  "bitNot",
  "isNaN",
  "isPositiveInfinity",
  "isNegativeInfinity",
]);

/** Whether computing it again costs less than storing and loading its result. */
export function isCheap(expression: Expression): boolean {
  return (
    expressionSize(expression) <= 3 &&
    operationsOf(expression).every((part) =>
      part.kind === "unary"
        ? cheapUnary.has(part.operation)
        : part.kind !== "binary" || !["power", "divide", "modulo", "remainder"].includes(part.operation),
    )
  );
}

function operationsOf(expression: Expression): readonly Expression[] {
  const found: Expression[] = [];
  const visit = (part: Expression): void => {
    found.push(part);
    if (part.kind === "unary" || part.kind === "cast") visit(part.value);
    else if (part.kind === "binary") [part.left, part.right].forEach(visit);
    else if (part.kind === "select") [part.condition, part.whenTrue, part.whenFalse].forEach(visit);
  };
  visit(expression);
  return found;
}

/** The shape of values broadcast against each other by numpy's rules (1 gives way to anything). */
export function broadcastDims(values: readonly Value[]): readonly Dim[] {
  const rank = Math.max(0, ...values.map(({ type }) => type.shape.length));
  return Array.from({ length: rank }, (_, axis): Dim => {
    let result: Dim = 1;
    for (const { type } of values) {
      const dim = type.shape[axis - rank + type.shape.length];
      if (dim !== undefined && !sameDim(dim, 1)) result = dim;
    }
    return result;
  });
}
