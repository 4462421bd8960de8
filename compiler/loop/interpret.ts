/**
 * The living definition of LoopNest: runs one over dense tensors, one point at a time, with every coordinate
 * checked. Generated code is compared with it; it is not meant to be fast. Values are rounded to their dtype
 * after each operation; a reduction goes through its points in row-major order.
 */
import type { DType } from "../../runtime/format/dtype.ts";
import { isBigInteger, isFloat } from "../../runtime/format/dtype.ts";
import { expressionType } from "../../runtime/format/expression.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { readerOf, type Scalar, writerOf } from "../../runtime/reference/element.ts";
import { evaluatorOf, type Point } from "../../runtime/reference/expression.ts";
import { binaryFunction } from "../../runtime/reference/scalar.ts";
import { type Dim, evaluateDim } from "../graph/dimension.ts";
import type { AffineIndex, LoopNest } from "./loop.ts";

type Combine = NonNullable<LoopNest["combine"]>;

/** The value that a reduction over no points gives. */
export function identityOf(combine: Combine, dtype: DType): Scalar {
  const of = (value: number): Scalar => (isBigInteger(dtype) ? BigInt(value) : value);
  switch (combine) {
    case "add":
      return of(0);
    case "multiply":
      return of(1);
    case "maximum":
      return isFloat(dtype) ? -Infinity : bounds(dtype)[0];
    case "minimum":
      return isFloat(dtype) ? Infinity : bounds(dtype)[1];
  }
}

function bounds(dtype: DType): readonly [Scalar, Scalar] {
  if (dtype === "bool") return [0, 1];
  if (dtype === "int64") return [-(1n << 63n), (1n << 63n) - 1n];
  if (dtype === "uint64") return [0n, (1n << 64n) - 1n];
  const bits = Number(/\d+/.exec(dtype)?.[0] ?? 32);
  return dtype.startsWith("u") ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
}

/** Flat position in row-major order. Throws RangeError outside the shape. */
function flatIndex(what: string, shape: readonly number[], at: readonly number[]): number {
  if (at.length !== shape.length)
    throw new RangeError(`${what}: ${at.length} coordinates for shape [${shape.join(", ")}]`);
  let flat = 0;
  for (let axis = 0; axis < shape.length; axis++) {
    const index = at[axis] as number;
    const extent = shape[axis] as number;
    if (!(index >= 0 && index < extent))
      throw new RangeError(`${what}: coordinate [${at.join(", ")}] is outside [${shape.join(", ")}]`);
    flat = flat * extent + index;
  }
  return flat;
}

/**
 * Runs `nest` once. `operands[k]` is operand k (several may be one tensor), `output` receives the result in place,
 * `symbols` binds the symbolic dims. Throws RangeError when anything is read or written outside its tensor, or when
 * a dtype is not what the nest says.
 */
export function interpretNest(
  nest: LoopNest,
  operands: readonly Tensor[],
  output: Tensor,
  symbols: ReadonlyMap<string, number> = new Map(),
): void {
  const value = (dim: Dim): number => evaluateDim(dim, symbols);
  const extents = nest.extents.map(value);
  const parameters = nest.parameters.map((parameter) => value(parameter) | 0);
  const point: number[] = extents.map(() => 0);
  const parallel = extents.length - nest.reductions;

  const affine = (access: readonly AffineIndex[]): (() => readonly number[]) => {
    const rows = access.map(({ offset, terms }) => ({
      offset: value(offset),
      terms: terms.map(({ axis, coefficient }) => ({ axis, coefficient: value(coefficient) })),
    }));
    return () =>
      rows.map(({ offset, terms }) =>
        terms.reduce((sum, { axis, coefficient }) => sum + coefficient * (point[axis] as number), offset),
      );
  };

  const loads = operands.map((tensor, index) => {
    const read = readerOf(tensor);
    return (at: readonly number[]): Scalar => read(flatIndex(`operand ${index}`, tensor.shape, at));
  });
  const inputs = nest.operands.map(({ dtype, access }, index) => {
    const tensor = operands[index];
    const read = loads[index];
    if (!tensor || !read) throw new RangeError(`operand ${index} is missing`);
    if (tensor.dtype !== dtype) throw new RangeError(`operand ${index}: expected ${dtype}, received ${tensor.dtype}`);
    if (access === "indexed") return () => fault(`operand ${index} is read only through load`);
    const coordinates = affine(access);
    return (): Scalar => read(coordinates());
  });
  const fault = (message: string): never => {
    throw new RangeError(message);
  };
  const missing = (index: number): never => fault(`operand ${index} does not exist`);

  const dtypes = nest.operands.map(({ dtype }) => dtype);
  const bodyPoint: Point = {
    input: (index) => (inputs[index] ?? missing(index))(),
    load: (operand, at) => (loads[operand] ?? missing(operand))(at),
    axis: (axis) => point[axis] ?? fault(`axis ${axis} does not exist`),
    parameter: (index) => parameters[index] ?? fault(`parameter ${index} does not exist`),
  };
  let reduced: Scalar = 0;
  const finishPoint: Point = {
    ...bodyPoint,
    input: (index) => (index === 0 ? reduced : bodyPoint.input(index - 1)),
    load: (operand, at) => bodyPoint.load(operand - 1, at),
  };

  const bodyType = expressionType(nest.body, dtypes);
  const finishTypes = [bodyType, ...dtypes];
  const resultType = nest.finish ? expressionType(nest.finish, finishTypes) : bodyType;
  if (resultType !== nest.output.dtype || output.dtype !== nest.output.dtype)
    fault(`the nest computes ${resultType}, declares ${nest.output.dtype} and writes ${output.dtype}`);
  const body = evaluatorOf(nest.body, dtypes);
  const finish = nest.finish && evaluatorOf(nest.finish, finishTypes);
  const write = writerOf(output);
  const { access } = nest.output;
  const computed =
    "computed" in access ? access.computed.map((expression) => evaluatorOf(expression, dtypes)) : undefined;
  const stored = "computed" in access ? undefined : affine(access);
  const target = (): readonly number[] =>
    computed?.map((coordinate) => Number(coordinate(bodyPoint))) ?? stored?.() ?? [];

  const walk = (axis: number, last: number, visit: () => void): void => {
    if (axis === last) {
      visit();
      return;
    }
    for (let index = 0; index < (extents[axis] as number); index++) {
      point[axis] = index;
      walk(axis + 1, last, visit);
    }
    point[axis] = 0;
  };
  const combine = nest.combine && binaryFunction(nest.combine, bodyType);
  walk(0, parallel, () => {
    if (combine && nest.combine) {
      let total = identityOf(nest.combine, bodyType);
      walk(parallel, extents.length, () => {
        total = combine(total, body(bodyPoint));
      });
      reduced = total;
    } else {
      reduced = body(bodyPoint);
    }
    write(flatIndex("output", output.shape, target()), finish ? finish(finishPoint) : reduced);
  });
}
