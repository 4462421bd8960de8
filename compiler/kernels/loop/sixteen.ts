/**
 * Sixteen neighbouring elements as four vectors of four lanes: where narrow elements are read or written, eight or
 * sixteen of them take one load or store.
 */
import { byteSize, type DType } from "../../../runtime/format/dtype.ts";
import { type Expression, mapExpression } from "../../../runtime/format/expression.ts";
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression as Code, Local } from "../../assemble/expression.ts";
import type { MathLibrary } from "../../assemble/math.ts";
import { i32 } from "../../assemble/scalar.ts";
import { i8x16, i16x8, i32x4, v128 } from "../../assemble/vector.ts";
import { loadVector } from "./element.ts";
import { type LoopShape, vectorAxisOf } from "./shape.ts";

type Address = Code<"i32">;
type Vector = Code<"v128">;

const isNarrow = (dtype: DType): boolean => dtype === "int8" || dtype === "uint8" || dtype === "bool";

/** Operations that are a few instructions: of others four copies would be much code for no gain. */
const light = new Set([
  ...["add", "subtract", "multiply", "divide", "minimum", "maximum", "and", "or", "xor", "bitAnd", "bitOr", "bitXor"],
  ...["equal", "less", "lessOrEqual", "greater", "greaterOrEqual"],
  ...["negate", "abs", "round", "floor", "ceil", "truncate", "sqrt", "reciprocal", "not", "bitNot"],
]);
const mostOperations = 24;

/** Whether a nest that runs on four lanes gains by running sixteen elements at a time. */
export function runsBySixteen(shape: LoopShape): boolean {
  const axis = vectorAxisOf(shape);
  const { operands, output, reductions } = shape;
  const narrow = [output, ...operands.filter(({ strides, coordinates }) => coordinates || strides[axis] === "unit")];
  return reductions === 0 && narrow.some(({ dtype }) => isNarrow(dtype)) && isLight(shape.body);
}

function isLight(expression: Expression): boolean {
  let operations = 0;
  mapExpression(expression, (node) => {
    if (node.kind === "unary" || node.kind === "binary") operations += light.has(node.operation) ? 1 : mostOperations;
    return node;
  });
  return operations <= mostOperations;
}

/** Loads of the four parts of sixteen elements. */
export class SixteenReader {
  readonly #body: BodyBuilder;
  readonly #math: MathLibrary;
  readonly #eights = new Map<string, Local<"v128">>();

  constructor(body: BodyBuilder, math: MathLibrary) {
    this.#body = body;
    this.#math = math;
  }

  /** Elements 4 * part … 4 * part + 3 behind `first`, as loadVector would give them; `key` tells one operand from others. */
  load(key: string, dtype: DType, first: Address, part: number): Vector {
    if (!isNarrow(dtype)) {
      const offset = part * 4 * byteSize[dtype];
      return loadVector(this.#math, dtype, offset === 0 ? first : i32.add(first, offset));
    }
    const isUpper = part % 2 === 1;
    const half = (part - (part % 2)) / 2;
    const eight = this.#eight(`${key} ${half}`, dtype, first, half * 8);
    if (dtype === "int8") return isUpper ? i32x4.extendHighI16x8S(eight) : i32x4.extendLowI16x8S(eight);
    const words = isUpper ? i32x4.extendHighI16x8U(eight) : i32x4.extendLowI16x8U(eight);
    return dtype === "bool" ? i32x4.ne(words, i32x4.const(0, 0, 0, 0)) : words;
  }

  #eight(key: string, dtype: DType, first: Address, offset: number): Local<"v128"> {
    const known = this.#eights.get(key);
    if (known) return known;
    const load = dtype === "int8" ? v128.load8x8S : v128.load8x8U;
    const eight = this.#body.local("v128", load(first, { offset }));
    this.#eights.set(key, eight);
    return eight;
  }
}

/** Stores four vectors, the lanes of narrow integers within their range. */
export function storeSixteen(
  body: BodyBuilder,
  dtype: DType,
  address: Address,
  [a, b, c, d]: readonly [Vector, Vector, Vector, Vector],
): void {
  if (!isNarrow(dtype)) {
    [a, b, c, d].forEach((value, part) => body.v128Store(address, value, { offset: part * 16 }));
    return;
  }
  const narrow = dtype === "uint8" ? i8x16.narrowI16x8U : i8x16.narrowI16x8S;
  const bytes = narrow(i16x8.narrowI32x4S(a, b), i16x8.narrowI32x4S(c, d));
  const one = v128.const(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1);
  body.v128Store(address, dtype === "bool" ? v128.and(bytes, one) : bytes);
}
