/**
 * Epilogues of integer products: a pass over the accumulators of a panel, [pixels][width] of int32 in scratch, to the
 * output. What does not change from pixel to pixel (scales per channel, constants) is loaded once per run of pixels.
 */
import { byteSize } from "../../../runtime/format/dtype.ts";
import { type Expression, expressionType, input, mapExpression } from "../../../runtime/format/expression.ts";
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression as Code, FunctionReference, Local } from "../../assemble/expression.ts";
import type { MathLibrary } from "../../assemble/math.ts";
import { i32 } from "../../assemble/scalar.ts";
import { i8x16, i16x8, i32x4, v128 } from "../../assemble/vector.ts";
import type { Dim } from "../../graph/dimension.ts";
import type { View, WasmKernelContext } from "../contract.ts";
import { keyOf } from "../expression/memo.ts";
import { emitRoundedBelow, isNumber, roundedValue, typeRange } from "../expression/rounded-cast.ts";
import { emitVector, isVectorisable, type VectorEnvironment } from "../expression/vector.ts";
import type { IntegerConvProblem } from "../problem.ts";

type Vector = Code<"v128">;
type Address = Local<"i32">;
export type OperandType = IntegerConvProblem["operandTypes"][number];

/** An operand of an epilogue: its type, whether its channels are neighbours or one value, whether pixels differ. */
export interface FinishOperand {
  readonly dtype: OperandType;
  readonly channels: "contiguous" | "single";
  readonly moves: boolean;
}

export interface Finish {
  /** The accumulator itself when there is none. */
  readonly epilogue: Expression | undefined;
  readonly operands: readonly FinishOperand[];
  readonly outputType: OperandType;
  /** Channels of a panel. */
  readonly width: number;
}

const typesOf = ({ operands }: Pick<Finish, "operands">) => ["int32" as const, ...operands.map(({ dtype }) => dtype)];

/** Whether the pass can compute the epilogue of a problem. */
export function hasFinish({
  epilogue,
  operandTypes,
  outputType,
}: Pick<IntegerConvProblem, "epilogue" | "operandTypes" | "outputType">): boolean {
  if (!epilogue) return outputType === "int32";
  const types = ["int32" as const, ...operandTypes];
  return expressionType(epilogue, types) === outputType && isVectorisable(epilogue, types);
}

/** How an operand that is broadcast to the output's shape is read, with `step` bytes from pixel to pixel. */
export const finishOperand = (view: View, step: Dim, dtype: OperandType): FinishOperand => ({
  dtype,
  channels: view.strides.at(-1) === 0 ? "single" : "contiguous",
  moves: step !== 0,
});

/** Pixels for the pass: their count, the channels that are valid, where accumulators, output and operands start. */
export interface FinishRun {
  readonly count: Address;
  readonly valid: Address;
  readonly sums: Address;
  readonly output: { readonly address: Address; readonly step: Address };
  readonly operands: readonly { readonly address: Address; readonly step: Address }[];
}

export function emitFinish(context: WasmKernelContext, body: BodyBuilder, finish: Finish, run: FinishRun): void {
  const pass = context.shared(`finish ${keyOf(finish)}`, () => defineFinish(context, finish));
  const pairs = [run.output, ...run.operands].flatMap(({ address, step }) => [address, step]);
  body.call(pass, run.count, run.valid, run.sums, ...pairs);
}

/** Pixels of a short epilogue that are finished in one round of the loop. */
const unroll = 4;
const shortEpilogue = 16;

function sizeOf(expression: Expression): number {
  let size = 0;
  mapExpression(expression, (node) => {
    size++;
    return node;
  });
  return size;
}

/** Function (count, valid, sums, output, step, operand, step…). */
function defineFinish(context: WasmKernelContext, finish: Finish): FunctionReference {
  const { operands, outputType, width } = finish;
  const epilogue = finish.epilogue ?? input(0);
  const types = typesOf(finish);
  const params = ["i32", "i32", "i32", ...Array.from({ length: 2 * (operands.length + 1) }, () => "i32" as const)];
  return context.module.function(
    "finish",
    { params: params as readonly "i32"[], results: [] },
    (body, ...parameters) => {
      const [count, valid, sums, output, outputStep, ...pairs] = parameters as readonly Address[] as readonly [
        Address,
        Address,
        Address,
        Address,
        Address,
        ...Address[],
      ];
      const starts = operands.map((_, k) => pairs[2 * k] as Address);
      const steps = operands.map((_, k) => pairs[2 * k + 1] as Address);
      /** All pixels, `lanes` channels of each; then the starts move on. */
      const sweep = (lanes: number): void => {
        const vectors = Math.ceil(lanes / 4);
        const each = Math.min(lanes, 4) as 1 | 4;
        const source = body.local("i32", sums);
        const target = body.local("i32", output);
        const pointers = starts.map((start, k) => (operands[k]?.moves ? body.local("i32", start) : start));
        const readOperand = (k: number, j: number): Vector => {
          const { dtype, channels } = operands[k] as FinishOperand;
          const pointer = pointers[k] as Address;
          return channels === "single"
            ? readSingle(dtype, pointer)
            : each === 1
              ? readSingle(dtype, pointer)
              : readFour(dtype, pointer, j * 4 * byteSize[dtype]);
        };
        const fixed = operands.map(({ channels, moves }, k) =>
          moves
            ? []
            : Array.from({ length: channels === "single" ? 1 : vectors }, (_, j) =>
                body.local("v128", readOperand(k, j)),
              ),
        );
        const pixel = (index: number): void => {
          const single = operands.map(({ channels, moves }, k) =>
            moves && channels === "single" ? body.local("v128", readOperand(k, 0)) : undefined,
          );
          const results = Array.from({ length: vectors }, (_, j) => {
            const offset = index * width * 4 + j * 16;
            const inputs = [
              body.local("v128", each === 4 ? v128.load(source, { offset }) : v128.load32Zero(source, { offset })),
              ...operands.map(
                (_, k) => single[k] ?? fixed[k]?.[j] ?? fixed[k]?.[0] ?? body.local("v128", readOperand(k, j)),
              ),
            ];
            return body.local("v128", applyFinish(body, context.math, epilogue, types, inputs));
          });
          storeLanes(body, outputType, target, results, lanes);
          body.set(target, i32.add(target, outputStep));
          operands.forEach(({ moves }, k) => {
            if (moves) body.set(pointers[k] as Address, i32.add(pointers[k] as Address, steps[k] as Address));
          });
        };
        const pixels = (from: Code<"i32">, to: Address, together: number): void =>
          body.forRange(from, to, together, () => {
            for (let index = 0; index < together; index++) body.scope(() => pixel(index));
            body.set(source, i32.add(source, together * width * 4));
          });
        const isShort = lanes === width && sizeOf(epilogue) <= shortEpilogue;
        const together = body.local("i32", isShort ? i32.and(count, -unroll) : i32.const(0));
        if (isShort) pixels(i32.const(0), together, unroll);
        pixels(together, count, 1);
        body.set(sums, i32.add(sums, lanes * 4));
        body.set(output, i32.add(output, lanes * byteSize[outputType]));
        operands.forEach(({ dtype, channels }, k) => {
          if (channels === "contiguous")
            body.set(starts[k] as Address, i32.add(starts[k] as Address, lanes * byteSize[dtype]));
        });
      };
      body.if(
        i32.eq(valid, width),
        () => body.hoistConstants(() => sweep(width)),
        () => {
          const whole = body.local("i32", i32.and(valid, -4));
          body.hoistConstants(() => body.forRange(0, whole, 4, () => sweep(4)));
          body.hoistConstants(() => body.forRange(whole, valid, 1, () => sweep(1)));
        },
      );
    },
  );
}

function applyFinish(
  body: BodyBuilder,
  math: MathLibrary,
  epilogue: Expression,
  types: readonly OperandType[],
  inputs: readonly Vector[],
): Vector {
  const environment: VectorEnvironment = {
    body,
    math,
    operands: types,
    inline: true,
    leaf: (leaf) => {
      const value = leaf.kind === "input" ? inputs[leaf.index] : undefined;
      if (!value) throw new RangeError(`an epilogue of ${inputs.length} inputs reads ${JSON.stringify(leaf)}`);
      return value;
    },
  };
  const rounded = epilogue.kind === "cast" ? roundedValue(epilogue.value) : undefined;
  const isSaturated =
    rounded !== undefined &&
    epilogue.kind === "cast" &&
    (epilogue.dtype === "int8" || epilogue.dtype === "uint8") &&
    rounded.high === typeRange(epilogue.dtype)[1] &&
    rounded.low >= typeRange(epilogue.dtype)[0] &&
    isNumber(rounded.value, types);
  return isSaturated
    ? emitRoundedBelow(rounded, emitVector(environment, rounded.value))
    : emitVector(environment, epilogue);
}

/** One element in every lane. */
function readSingle(dtype: OperandType, address: Address): Vector {
  switch (dtype) {
    case "float32":
    case "int32":
      return v128.load32Splat(address);
    case "int8":
      return i32x4.splat(i32.load8S(address));
    case "uint8":
      return i32x4.splat(i32.load8U(address));
  }
}

function readFour(dtype: OperandType, address: Address, offset: number): Vector {
  switch (dtype) {
    case "float32":
    case "int32":
      return v128.load(address, { offset });
    case "int8":
      return i32x4.extendLowI16x8S(i16x8.extendLowI8x16S(v128.load32Zero(address, { offset })));
    case "uint8":
      return i32x4.extendLowI16x8U(i16x8.extendLowI8x16U(v128.load32Zero(address, { offset })));
  }
}

/** Values are within the range of `dtype`, or above its end: a saturating narrowing gives what they stand for. */
function storeLanes(
  body: BodyBuilder,
  dtype: OperandType,
  address: Address,
  values: readonly Vector[],
  lanes: number,
): void {
  if (dtype === "float32" || dtype === "int32") {
    values.forEach((value, j) => {
      if (lanes === 1) body.v128Store32Lane(address, value, 0);
      else body.v128Store(address, value, { offset: j * 16 });
    });
    return;
  }
  const narrow = dtype === "int8" ? i8x16.narrowI16x8S : i8x16.narrowI16x8U;
  const words = (first: number): Local<"v128"> => {
    const low = values[first] as Vector;
    return body.local("v128", i16x8.narrowI32x4S(low, values[first + 1] ?? low));
  };
  for (let j = 0; j < values.length; j += 4) {
    const low = words(j);
    const left = lanes - j * 4;
    const bytes = narrow(low, left > 8 ? words(j + 2) : low);
    const place = { offset: j * 4 };
    if (left > 8) body.v128Store(address, bytes, place);
    else if (left > 4) body.v128Store64Lane(address, bytes, 0, place);
    else if (left > 1) body.v128Store32Lane(address, bytes, 0, place);
    else body.v128Store8Lane(address, bytes, 0, place);
  }
}
