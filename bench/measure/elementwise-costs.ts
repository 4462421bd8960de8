/**
 * What elementwise code costs: loop nests of one operation each, over data that stay in the second cache, measured as
 * generated WebAssembly. An operation's own cost is what it adds to the cheapest nest.
 */
import type { WasmTarget } from "../../compiler/assemble/target.ts";
import type { BoundStep, Buffer, View } from "../../compiler/kernels/contract.ts";
import type { ElementwiseCosts } from "../../compiler/kernels/cost-table.ts";
import { bindLoopNest } from "../../compiler/kernels/loop/bind.ts";
import { identityAccess, type LoopNest } from "../../compiler/loop/loop.ts";
import { denseView } from "../../compiler/plan/view.ts";
import { byteSize, type DType } from "../../runtime/format/dtype.ts";
import { binary, cast, constant, type Expression, input, select, unary } from "../../runtime/format/expression.ts";

/** Elements of a nest: 128 kB of float32 for the source and as many for the result. */
const elements = 32_768;

/** Powers of a constant and of zero are special; these operands are not. */
const x = binary("add", input(0), constant(1.5));

const operations: Readonly<Record<string, Expression>> = {
  add: binary("add", x, constant(0.25)),
  multiply: binary("multiply", x, constant(0.25)),
  divide: binary("divide", constant(0.25), x),
  maximum: binary("maximum", x, constant(0.25)),
  minimum: binary("minimum", x, constant(0.25)),
  reciprocal: unary("reciprocal", x),
  sqrt: unary("sqrt", x),
  exp: unary("exp", x),
  log: unary("log", x),
  round: unary("round", x),
  floor: unary("floor", x),
  sin: unary("sin", x),
  cos: unary("cos", x),
  tanh: unary("tanh", x),
  sigmoid: unary("sigmoid", x),
  softplus: unary("softplus", x),
  erf: unary("erf", x),
  power: binary("power", x, binary("add", x, constant(0.5))),
  less: cast("float32", select(binary("less", x, constant(0.25)), constant(1), constant(2))),
};

export interface BoundNest {
  readonly step: BoundStep;
  readonly contents: ReadonlyMap<Buffer, Uint8Array>;
}

function nestOf(dtype: DType, body: Expression): BoundNest {
  const viewOf = (name: string, kind: Buffer["kind"]): View =>
    denseView({ kind, name, dtype, bytes: elements * byteSize[dtype] }, dtype, [elements]);
  const [source, target] = [viewOf("source", "input"), viewOf("target", "output")];
  const access = identityAccess(1);
  const nest: LoopNest = {
    extents: [elements],
    reductions: 0,
    operands: [{ dtype, access }],
    parameters: [],
    body,
    output: { dtype, access },
  };
  return { step: bindLoopNest(nest, [source], target), contents: new Map() };
}

/** @param time Nanoseconds of one call of a nest on `target`; undefined where it cannot run. */
export function measureElementwise(
  target: WasmTarget,
  time: (nest: BoundNest, target: WasmTarget) => number | undefined,
): ElementwiseCosts {
  const perPoint = (dtype: DType, body: Expression): number => (time(nestOf(dtype, body), target) ?? 0) / elements;
  const shifted = perPoint("float32", x);
  const added = (body: Expression): number => Math.max(0.001, perPoint("float32", body) - shifted);
  const costs = Object.fromEntries(Object.entries(operations).map(([name, body]) => [name, added(body)]));
  const add = costs.add ?? 0;
  return {
    vector: Math.max(0.001, shifted - add),
    scalar: perPoint("int64", binary("add", input(0), constant(1, "int64"))),
    copy: perPoint("float32", input(0)),
    operations: costs,
  };
}
