/**
 * What elementwise code costs: loop nests of one operation each over data in the first cache, measured as generated
 * WebAssembly, and the same operations behind a product. An operation's own cost is what it adds.
 */
import type { WasmTarget } from "../../compiler/assemble/target.ts";
import type { BoundStep, Buffer, View } from "../../compiler/kernels/contract.ts";
import type { ElementwiseCosts, EpilogueCosts } from "../../compiler/kernels/cost-table.ts";
import { haloFillStep } from "../../compiler/kernels/halo/bind.ts";
import { bindLoopNest } from "../../compiler/kernels/loop/bind.ts";
import { identityAccess, type LoopNest } from "../../compiler/loop/loop.ts";
import { denseView, haloBytes, haloLayout, haloView } from "../../compiler/plan/view.ts";
import { byteSize, type DType } from "../../runtime/format/dtype.ts";
import { binary, cast, constant, type Expression, input, select, unary } from "../../runtime/format/expression.ts";
import { conv, integerConv, type KernelCase, requantise } from "./kernel-cases.ts";

/** Powers of a constant and of zero are special; `x` is neither. */
const operationsOn: Readonly<Record<string, (x: Expression) => Expression>> = {
  add: (x) => binary("add", x, constant(0.25)),
  multiply: (x) => binary("multiply", x, constant(0.25)),
  divide: (x) => binary("divide", constant(0.25), x),
  maximum: (x) => binary("maximum", x, constant(0.25)),
  minimum: (x) => binary("minimum", x, constant(0.25)),
  reciprocal: (x) => unary("reciprocal", x),
  sqrt: (x) => unary("sqrt", x),
  exp: (x) => unary("exp", x),
  log: (x) => unary("log", x),
  round: (x) => unary("round", x),
  floor: (x) => unary("floor", x),
  sin: (x) => unary("sin", x),
  cos: (x) => unary("cos", x),
  tanh: (x) => unary("tanh", x),
  sigmoid: (x) => unary("sigmoid", x),
  softplus: (x) => unary("softplus", x),
  erf: (x) => unary("erf", x),
  power: (x) => binary("power", x, binary("add", x, constant(0.5))),
  less: (x) => cast("float32", select(binary("less", x, constant(0.25)), constant(1), constant(2))),
};
/** What power and less have beside themselves, as operations that count as "add". */
const besides: Readonly<Record<string, number>> = { power: 1, less: 2 };

const least = 0.0005;

export interface BoundNest {
  readonly step: BoundStep;
  readonly contents: ReadonlyMap<Buffer, Uint8Array>;
}

/** Elements of a nest: 16 kB of float32 for the source and as many for the result. */
const elements = 4096;
/** As rows of a few elements that do not touch. */
const rowElements = 8;
const rows = elements / rowElements;
const side = 64;

type Layout = "whole" | "rows" | "turned";

function nestOf(dtype: DType, body: Expression, layout: Layout): BoundNest {
  const size = byteSize[dtype];
  const viewOf = (name: string, kind: Buffer["kind"], isTurned: boolean): View => {
    const buffer: Buffer = { kind, name, dtype, bytes: 2 * elements * size };
    switch (layout) {
      case "whole":
        return denseView(buffer, dtype, [elements]);
      case "rows":
        return { ...denseView(buffer, dtype, [rows, rowElements]), strides: [(rowElements + 4) * size, size] };
      case "turned":
        return { ...denseView(buffer, dtype, [side, side]), ...(isTurned ? { strides: [size, side * size] } : {}) };
    }
  };
  const target = viewOf("target", "output", false);
  const access = identityAccess(target.shape.length);
  const nest: LoopNest = {
    extents: target.shape,
    reductions: 0,
    operands: [{ dtype, access }],
    parameters: [],
    body,
    output: { dtype, access },
  };
  return { step: bindLoopNest(nest, [viewOf("source", "input", true)], target), contents: new Map() };
}

/** The border around an image of so many channels, whose rows are filled one by one. */
const borderedHeight = 24;
function borderOf(channels: number): BoundNest {
  const halo = { top: 1, left: 1, bottom: 1, right: 1, value: 0 };
  const shape = [1, borderedHeight, 8, channels];
  const buffer: Buffer = { kind: "output", name: "image", dtype: "float32", bytes: haloBytes("float32", shape, halo) };
  const view = haloView(buffer, "float32", shape, halo);
  return { step: haloFillStep(view, haloLayout(shape, halo), 4, 0), contents: new Map() };
}

/** Each thing is measured so often, one pass over all after another: what disturbs one pass is not in the others. */
const passes = 3;

/** `costsOf` with a clock that answers with the least of what it saw in all passes under the same key. */
function inPasses<T>(costsOf: (least: (key: object, time: () => number) => number) => T): T {
  const known = new Map<string, number>();
  const least = (key: object, time: () => number): number => {
    const name = JSON.stringify(key);
    const value = Math.min(known.get(name) ?? Number.POSITIVE_INFINITY, time());
    known.set(name, value);
    return value;
  };
  for (let pass = 1; pass < passes; pass++) costsOf(least);
  return costsOf(least);
}

/** @param time Nanoseconds of one call of a nest on `target`; undefined where it cannot run. */
export const measureElementwise = (
  target: WasmTarget,
  time: (nest: BoundNest, target: WasmTarget) => number | undefined,
): ElementwiseCosts => inPasses((least) => elementwiseOf((key, nest) => least(key, () => time(nest, target) ?? 0)));

function elementwiseOf(time: (key: object, nest: BoundNest) => number): ElementwiseCosts {
  const nanoseconds = (dtype: DType, body: Expression, layout: Layout): number =>
    time([dtype, body, layout], nestOf(dtype, body, layout));
  const x = binary("add", input(0), constant(1.5));
  const shifted = nanoseconds("float32", x, "whole") / elements;
  const added = (body: Expression): number =>
    Math.max(least, nanoseconds("float32", body, "whole") / elements - shifted);
  const operations = pricesOf(operationsOn, (map) => added(map(x)));
  const add = operations.add ?? 0;
  const one = binary("add", input(0), constant(1, "int64"));
  const form = (dtype: DType, body: Expression, own: number) => {
    const point = Math.max(least, nanoseconds(dtype, body, "whole") / elements);
    const row = Math.max(0, (nanoseconds(dtype, body, "rows") - elements * point) / rows);
    return { point: Math.max(least, point - own), row };
  };
  const [narrow, wide] = [borderOf(4), borderOf(64)];
  const wordsOf = ({ step }: BoundNest): number => Number(step.elementwise?.[0]?.points);
  const narrowTime = time(["narrow border"], narrow);
  const fill = Math.max(least, (time(["wide border"], wide) - narrowTime) / (wordsOf(wide) - wordsOf(narrow)));
  return {
    forms: {
      vector: form("float32", x, add),
      scalar: form("int64", one, 4 * add),
      copy: form("float32", input(0), 0),
      transpose: { point: Math.max(least, nanoseconds("float32", input(0), "turned") / side ** 2), row: 0 },
      fill: { point: fill, row: Math.max(0, (narrowTime - wordsOf(narrow) * fill) / (borderedHeight + 1)) },
    },
    operations,
  };
}

function pricesOf(
  operations: Readonly<Record<string, (x: Expression) => Expression>>,
  added: (map: (x: Expression) => Expression) => number,
): Readonly<Record<string, number>> {
  const prices: Record<string, number> = {};
  for (const [name, map] of Object.entries(operations))
    prices[name] = Math.max(least, added(map) - (besides[name] ?? 0) * (prices.add ?? 0));
  return prices;
}

const chainOf = (x: Expression, length: number): Expression =>
  Array.from({ length }).reduce<Expression>((sum) => binary("add", sum, constant(0.5)), x);
/** Beyond what is applied to the accumulators. */
const passLength = 5;
const longLength = 9;

/** @param time Nanoseconds of a product of `item`. */
export const measureEpilogues = (time: (item: KernelCase) => number): EpilogueCosts =>
  inPasses((least) => epiloguesOf((item) => least(item.problem, () => time(item))));

function epiloguesOf(time: (item: KernelCase) => number): EpilogueCosts {
  const [plain] = conv({ kernel: 1, size: 24, input: 16, output: 32 });
  if (plain === undefined || plain.problem.family !== "conv") throw new RangeError("a convolution is one");
  const { problem } = plain;
  const outputs = plain.output.reduce((product, extent) => product * extent, 1);
  const each = (epilogue: Expression | undefined): number =>
    time({ ...plain, problem: { ...problem, epilogue } }) / outputs;
  const none = each(undefined);
  const clipped = binary("minimum", binary("maximum", input(0), constant(0)), constant(6));
  const chain = chainOf(input(0), passLength);
  const short = each(chain);
  const add = Math.max(least, (each(chainOf(input(0), longLength)) - short) / (longLength - passLength));
  const operations = pricesOf(operationsOn, (map) => Math.max(least, each(map(chain)) - short));
  const [integer] = integerConv({ kernel: 1, size: 24, input: 16, output: 32 });
  if (integer === undefined || integer.problem.family !== "conv-i8") throw new RangeError("a convolution is one");
  const ofBytes = integer.problem;
  const eachOfBytes = (map: (value: Expression) => Expression): number =>
    time({ ...integer, problem: { ...ofBytes, epilogue: requantise(map) } }) / outputs;
  const plainBytes = eachOfBytes((value) => value);
  return {
    integer: pricesOf(operationsOn, (map) => Math.max(least, eachOfBytes(map) - plainBytes)),
    inline: Math.max(0, (each(clipped) - none) / 2),
    pass: Math.max(0, short - none - passLength * add),
    operations: { ...operations, add },
  };
}
