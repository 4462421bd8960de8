/**
 * If, Loop and Scan. A branch whose condition is known takes the place of its If. Otherwise they become nodes with
 * graphs (ops/control/): Loop and Scan both leafcutter.Loop. A branch that cannot be compiled while the other one can
 * becomes an error at run time, for when it is taken.
 */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import { tensorOf } from "../../../runtime/format/tensor.ts";
import { dimsAttribute, graphAttribute, stringAttribute, stringsAttribute } from "../../graph/attribute.ts";
import type { Attribute, Graph, TensorType, Value } from "../../graph/graph.ts";
import type { GraphBuilder } from "./graph-builder.ts";
import { labelOf, type PlacedNode, withFreshNames } from "./inline.ts";
import { malformed } from "./message.ts";
import type { OnnxGraph } from "./model.ts";
import { buildRegion, nestedGraph, opsetsOf, type Region } from "./region.ts";
import { importRepetition } from "./repetition.ts";
import { importScan } from "./scan-node.ts";

/** Whether `placed` was control flow, and is in the graph now. */
export async function importControlFlow(builder: GraphBuilder, placed: PlacedNode, where: string): Promise<boolean> {
  if (placed.domain !== "") return false;
  switch (placed.opType) {
    case "If":
      await importIf(builder, placed, where);
      return true;
    case "Loop":
      await importLoop(builder, placed, where);
      return true;
    case "Scan":
      await importScan(builder, placed, where);
      return true;
    default:
      return false;
  }
}

async function importIf(builder: GraphBuilder, placed: PlacedNode, where: string): Promise<void> {
  const condition = builder.read(placed.inputs[0] ?? "", where);
  const known = builder.known(condition)?.data[0];
  const branches = [nestedGraph(placed, "then_branch", where), nestedGraph(placed, "else_branch", where)] as const;
  if (known !== undefined) return inlineBranch(builder, placed, branches[Number(known) === 0 ? 1 : 0], where);
  const asked = new Set<Value>();
  const attempt = async (graph: OnnxGraph): Promise<Region | LeafcutterError> => {
    builder.ask([]);
    try {
      return await buildRegion(builder, placed, graph, where);
    } catch (error) {
      if (!(error instanceof LeafcutterError) || !cannotCompile.has(error.code)) throw error;
      for (const value of builder.askedFor) asked.add(value);
      return error;
    }
  };
  const whenTrue = await attempt(branches[0]);
  const whenFalse = await attempt(branches[1]);
  const failed = [whenTrue, whenFalse].filter((region) => region instanceof LeafcutterError);
  if (failed[0] && failed[1]) {
    builder.ask([condition, ...asked]);
    throw failed[0];
  }
  if (failed[0] && !builder.setting.guardsBranches) preferKnown(builder, [[condition], asked], failed[0], where);
  const regions = [whenTrue, whenFalse].filter((region): region is Region => !(region instanceof LeafcutterError));
  const captured = [...new Set(regions.flatMap((region) => region.builder.captured))];
  const types = regions[0]?.outputs.map(({ type }) => type) ?? [];
  const graphOf = (region: Region | LeafcutterError): Graph =>
    region instanceof LeafcutterError
      ? unreachable(builder, placed, where, captured, types, region)
      : region.builder.asGraph(region.name, region.outputs, captured);
  const attributes = {
    then_branch: graphAttribute(graphOf(whenTrue)),
    else_branch: graphAttribute(graphOf(whenFalse)),
  };
  builder.push(placed, { op: "If", inputs: [condition, ...captured], attributes }, placed.outputs, where);
}

/** Throws when values of inputs could decide the condition or make the branch right: they may be known. */
function preferKnown(
  builder: GraphBuilder,
  wishes: readonly Iterable<Value>[],
  cause: LeafcutterError,
  where: string,
): void {
  for (const wish of wishes) {
    builder.ask(wish);
    if (builder.inputsAskedFor.length === 0) continue;
    throw new LeafcutterError(
      { code: "operator-invalid", where, message: "one of the branches cannot be compiled", received: cause.message },
      { cause },
    );
  }
}

/** What is wrong with a branch for these shapes, or for this compiler; a damaged file stays an error. */
const cannotCompile: ReadonlySet<string> = new Set(["operator-invalid", "operator-unknown", "model-unsupported"]);

/** A branch whose only step is the error that was met in compiling it. */
function unreachable(
  around: GraphBuilder,
  placed: PlacedNode,
  where: string,
  captured: readonly Value[],
  types: readonly TensorType[],
  error: LeafcutterError,
): Graph {
  const builder = around.region(where);
  const shapes = types.map(({ shape }, index): [string, Attribute] => [`shape${index}`, dimsAttribute(shape)]);
  const attributes = {
    message: stringAttribute(error.message),
    dtypes: stringsAttribute(types.map(({ dtype }) => dtype)),
    ...Object.fromEntries(shapes),
  };
  const names = types.map((_, index) => around.valueNames.take(`${labelOf(placed)}/unreachable:${index}`));
  const outputs = builder.push(placed, { op: "leafcutter.Unreachable", inputs: [], attributes }, names, where);
  return builder.asGraph("unreachable", outputs, captured);
}

/** The nodes of the branch take the place of the If. */
async function inlineBranch(
  builder: GraphBuilder,
  placed: PlacedNode,
  branch: OnnxGraph,
  where: string,
): Promise<void> {
  const graph = withFreshNames(branch, labelOf(placed), builder.valueNames);
  await builder.deeper(where, () => builder.addGraph(graph, opsetsOf(builder, placed)));
  placed.outputs.forEach((name, index) => {
    if (name === "") return;
    const inner = graph.outputs[index];
    if (!inner) throw malformed(where, "the branch has fewer outputs than the node");
    builder.name(name, builder.read(inner.name, where), where);
  });
}

async function importLoop(builder: GraphBuilder, placed: PlacedNode, where: string): Promise<void> {
  const [trips = "", condition = "", ...carried] = placed.inputs;
  const initial = carried.map((name) => builder.read(name, where));
  await importRepetition(builder, placed, {
    graph: nestedGraph(placed, "body", where),
    trips: trips === "" ? undefined : builder.read(trips, where),
    condition: condition === "" ? undefined : builder.read(condition, where),
    initial,
    names: placed.outputs,
    saysWhen: true,
    where,
    declare: (body, [iterationName = "", goesOn = "", ...names], iteration, states) => {
      if (names.length !== initial.length)
        throw malformed(where, "the body carries another number of values", `${initial.length}`, `${names.length}`);
      body.name(iterationName, iteration, where);
      // The body runs only while it is true.
      body.addConstant(goesOn, tensorOf("bool", [], [1]), where);
      names.forEach((name, index) => {
        body.name(name, states[index] as Value, where);
      });
    },
  });
}
