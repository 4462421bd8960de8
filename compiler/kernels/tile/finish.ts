/**
 * Epilogues. A short one without operands is applied to the accumulators; any other is a second pass over the
 * rows just written, while they are still in the nearest cache: small code, and it costs nothing beside a product.
 */
import type { Expression } from "../../../runtime/format/expression.ts";
import { expressionType, mapExpression } from "../../../runtime/format/expression.ts";
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression as Code, FunctionReference, Local } from "../../assemble/expression.ts";
import type { MathLibrary } from "../../assemble/math.ts";
import { i32 } from "../../assemble/scalar.ts";
import { v128 } from "../../assemble/vector.ts";
import { sameDim } from "../../graph/dimension.ts";
import type { View, WasmKernelContext } from "../contract.ts";
import { isApplicable } from "../expression/apply.ts";
import { keyOf } from "../expression/memo.ts";
import { emitVector } from "../expression/vector.ts";
import type { RecordReader } from "./words.ts";

type Vector = Code<"v128">;

/** Operations that are one or two instructions on four lanes. */
const cheap = new Set([
  "add",
  "subtract",
  "multiply",
  "minimum",
  "maximum",
  "negate",
  "abs",
  "less",
  "greater",
  "lessOrEqual",
  "greaterOrEqual",
]);
/** Functions that activations are made of. */
type InPlace = "sigmoid" | "tanh" | "erf";
const isWrittenInPlace = (operation: string): operation is InPlace =>
  operation === "sigmoid" || operation === "tanh" || operation === "erf";

/** At most so many of them are repeated per accumulator. */
const inlineLimit = 3;

export type EpilogueForm = "none" | "inline" | "pass";

/** `aligned`: whether operands can be read beside the accumulators (see `isAligned`). */
export function epilogueForm(epilogue: Expression | undefined, operands: number, aligned = false): EpilogueForm {
  if (!epilogue || (epilogue.kind === "input" && epilogue.index === 0)) return "none";
  if (operands > 0 && !aligned) return "pass";
  let cost = 0;
  mapExpression(epilogue, (node) => {
    if (node.kind === "unary" || node.kind === "binary") cost += cheap.has(node.operation) ? 1 : inlineLimit + 1;
    else if (node.kind === "select") cost++;
    else if (node.kind === "cast") cost += inlineLimit + 1;
    return node;
  });
  return cost <= inlineLimit ? "inline" : "pass";
}

/** Whether the families can apply it: float32 in four lanes. */
export const isEpilogue = (epilogue: Expression | undefined, operands: number): boolean =>
  epilogue === undefined ||
  (isApplicable(epilogue, operands + 1) &&
    expressionType(
      epilogue,
      Array.from({ length: operands + 1 }, () => "float32" as const),
    ) === "float32");

/** How operand k of an epilogue follows the output: its channels are contiguous, or it has one value per pixel. */
export type OperandChannels = "contiguous" | "single";

/** The epilogue on the lanes of `inputs`; the functions that hot loops need are written in place. */
function applyEpilogue(body: BodyBuilder, math: MathLibrary, epilogue: Expression, inputs: readonly Vector[]): Vector {
  const written = new Map<string, Vector>();
  return emitVector(
    {
      body,
      math,
      operands: inputs.map(() => "float32" as const),
      uniform: (node) => {
        if (node.kind !== "unary" || !isWrittenInPlace(node.operation)) return undefined;
        const key = keyOf(node);
        const known = written.get(key);
        if (known) return known;
        const value = body.local(
          "v128",
          math.inline(node.operation, body, applyEpilogue(body, math, node.value, inputs)),
        );
        written.set(key, value);
        return value;
      },
      leaf: (leaf) => {
        const value = leaf.kind === "input" ? inputs[leaf.index] : undefined;
        if (!value) throw new RangeError(`an epilogue of ${inputs.length} inputs reads ${JSON.stringify(leaf)}`);
        return value;
      },
    },
    epilogue,
  );
}

/** Runs of pixels for the pass: where the output and the operands start, and how far apart their pixels are. */
export interface PixelRun {
  readonly count: Local<"i32">;
  readonly valid: Local<"i32">;
  readonly output: { readonly address: Local<"i32">; readonly step: Local<"i32"> };
  readonly operands: readonly { readonly address: Local<"i32">; readonly step: Local<"i32"> }[];
}

/** Function (count, valid, output, step, operand, step…): the epilogue in place on `valid` channels of `count` pixels. */
export function emitPass(
  context: WasmKernelContext,
  body: BodyBuilder,
  epilogue: Expression,
  channels: readonly OperandChannels[],
  run: PixelRun,
): void {
  const key = `pass ${keyOf({ epilogue, channels })}`;
  const pass = context.shared(key, () => definePass(context, epilogue, channels));
  const pairs = [run.output, ...run.operands].flatMap(({ address, step }) => [address, step]);
  body.call(pass, run.count, run.valid, ...pairs);
}

function definePass(
  context: WasmKernelContext,
  epilogue: Expression,
  channels: readonly OperandChannels[],
): FunctionReference {
  const { module, math } = context;
  const params = ["i32", "i32", ...Array.from({ length: 2 * (channels.length + 1) }, () => "i32" as const)] as const;
  return module.function("epilogue", { params, results: [] }, (body, ...parameters) => {
    const [count, valid, ...pairs] = parameters as readonly Local<"i32">[] as readonly [
      Local<"i32">,
      Local<"i32">,
      ...Local<"i32">[],
    ];
    const starts = pairs.filter((_, index) => index % 2 === 0);
    const steps = pairs.filter((_, index) => index % 2 === 1);
    const isContiguous = (k: number): boolean => k === 0 || channels[k - 1] === "contiguous";
    /** All pixels, `lanes` channels of each; then the starts move on. */
    const sweep = (lanes: 1 | 4): void => {
      const pointers = starts.map((start) => body.local("i32", start));
      body.forRange(0, count, 1, () => {
        const inputs = pointers.map((pointer, k) =>
          body.local(
            "v128",
            !isContiguous(k) ? v128.load32Splat(pointer) : lanes === 4 ? v128.load(pointer) : v128.load32Zero(pointer),
          ),
        );
        const value = applyEpilogue(body, math, epilogue, inputs);
        const output = pointers[0] as Local<"i32">;
        if (lanes === 4) body.v128Store(output, value);
        else body.v128Store32Lane(output, value, 0);
        pointers.forEach((pointer, k) => body.set(pointer, i32.add(pointer, steps[k] as Local<"i32">)));
      });
      starts.forEach((start, k) => {
        if (isContiguous(k)) body.set(start, i32.add(start, lanes * 4));
      });
    };
    const whole = body.local("i32", i32.and(valid, -4));
    body.hoistConstants(() => body.forRange(0, whole, 4, () => sweep(4)));
    body.forRange(whole, valid, 1, () => sweep(1));
  });
}

/** Whether an element of every operand lies as far from its start as the output's does, and no panel of `width` is ragged. */
export const isAligned = (output: View, operands: readonly View[], width: number): boolean => {
  const channels = output.shape.at(-1);
  return (
    typeof channels === "number" &&
    channels % width === 0 &&
    operands.every(({ shape, strides }) =>
      output.strides.every(
        (stride, axis) =>
          output.shape[axis] === 1 ||
          (sameDim(shape[axis] ?? 1, output.shape[axis] ?? 1) && sameDim(strides[axis] ?? 0, stride)),
      ),
    )
  );
};

/** Bytes from an element of the output to that of each aligned operand. */
export const operandDistances = (
  body: BodyBuilder,
  words: RecordReader,
  output: string,
  operands: number,
): readonly Local<"i32">[] =>
  Array.from({ length: operands }, (_, k) => body.local("i32", i32.sub(words.word(`operand${k}`), words.word(output))));

/** The accumulators of each output address through a short epilogue. */
export function applyInline(
  body: BodyBuilder,
  math: MathLibrary,
  epilogue: Expression,
  values: readonly (readonly Local<"v128">[])[],
  addresses: readonly Local<"i32">[],
  distances: readonly Local<"i32">[],
): void {
  values.forEach((row, i) => {
    row.forEach((value, j) => {
      body.scope(() => {
        const operands = distances.map((distance) =>
          v128.load(i32.add(addresses[i] as Local<"i32">, distance), { offset: j * 16 }),
        );
        const inputs = [value, ...operands.map((operand) => body.local("v128", operand))];
        body.set(value, applyEpilogue(body, math, epilogue, inputs));
      });
    });
  });
}
