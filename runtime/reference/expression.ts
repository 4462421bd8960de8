/**
 * What an Expression means: evaluated one element at a time, each operation rounded to its dtype (see scalar.ts).
 * The living definition that generated code is compared with; also the reference of `leafcutter.Elementwise`.
 */
import { type DType, isBigInteger } from "../format/dtype.ts";
import { type Expression, expressionType } from "../format/expression.ts";
import { elementCount, type Tensor, zeros } from "../format/tensor.ts";
import { broadcastIndex, broadcastShapes } from "./broadcast.ts";
import { readerOf, type Scalar, writerOf } from "./element.ts";
import { binaryFunction, castFunction, rounding, unaryFunction } from "./scalar.ts";

/** Where the leaves of an expression get their values: one iteration point. */
export interface Point {
  input(index: number): Scalar;
  load(operand: number, at: readonly number[]): Scalar;
  axis(axis: number): number;
  parameter(index: number): number;
}

/** Prepares an expression over operands of the given dtypes; the result computes its value at a point. */
export function evaluatorOf(expression: Expression, operands: readonly DType[]): (point: Point) => Scalar {
  const recur = (child: Expression): ((point: Point) => Scalar) => evaluatorOf(child, operands);
  switch (expression.kind) {
    case "input":
      return (point) => point.input(expression.index);
    case "load": {
      const coordinates = expression.at.map(recur);
      return (point) =>
        point.load(
          expression.operand,
          coordinates.map((coordinate) => coordinate(point) as number),
        );
    }
    case "axis":
      return (point) => point.axis(expression.axis);
    case "parameter":
      return (point) => point.parameter(expression.index);
    case "constant": {
      const { dtype, value } = expression;
      const scalar = rounding(dtype)(isBigInteger(dtype) ? BigInt(Math.trunc(value)) : value);
      return () => scalar;
    }
    case "unary": {
      const apply = unaryFunction(expression.operation, expressionType(expression.value, operands));
      const value = recur(expression.value);
      return (point) => apply(value(point));
    }
    case "binary": {
      const apply = binaryFunction(expression.operation, expressionType(expression.left, operands));
      const left = recur(expression.left);
      const right = recur(expression.right);
      return (point) => apply(left(point), right(point));
    }
    case "select": {
      const condition = recur(expression.condition);
      const whenTrue = recur(expression.whenTrue);
      const whenFalse = recur(expression.whenFalse);
      return (point) => (condition(point) ? whenTrue(point) : whenFalse(point));
    }
    case "cast": {
      const apply = castFunction(expressionType(expression.value, operands), expression.dtype);
      const value = recur(expression.value);
      return (point) => apply(value(point));
    }
  }
}

/** The tensor an elementwise expression gives for `inputs` broadcast against each other; absent inputs may not be read. */
export function evaluateElementwise(expression: Expression, inputs: readonly (Tensor | undefined)[]): Tensor {
  const present = inputs.filter((tensor) => tensor !== undefined);
  const shape = broadcastShapes(...present.map((tensor) => tensor.shape));
  const dtypes = inputs.map((tensor) => tensor?.dtype ?? "float32");
  const result = zeros(expressionType(expression, dtypes), shape);
  const readers = inputs.map((tensor) => {
    if (!tensor) return undefined;
    const read = readerOf(tensor);
    const index = broadcastIndex(tensor.shape, shape);
    return (flat: number): Scalar => read(index(flat));
  });
  let flat = 0;
  const refuse = (): never => {
    throw new RangeError("an elementwise expression reads only its inputs");
  };
  const point: Point = {
    input: (index) => readers[index]?.(flat) ?? refuse(),
    load: refuse,
    axis: refuse,
    parameter: refuse,
  };
  const evaluate = evaluatorOf(expression, dtypes);
  const write = writerOf(result);
  for (const count = elementCount(shape); flat < count; flat++) write(flat, evaluate(point));
  return result;
}
