/**
 * A graph run several times, for Loop and Scan: written out when that is short or the only way (shapes or slices that
 * follow from the iteration), else one leafcutter.Loop.
 */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import { type Tensor, tensorOf } from "../../../runtime/format/tensor.ts";
import { dimsAttribute, graphAttribute, integerAttribute } from "../../graph/attribute.ts";
import type { Dim } from "../../graph/dimension.ts";
import type { Attribute, TensorType, Value } from "../../graph/graph.ts";
import { stopsItself } from "../../ops/control/loop.ts";
import type { GraphBuilder } from "./graph-builder.ts";
import { labelOf, type PlacedNode, withFreshNames } from "./inline.ts";
import { malformed } from "./message.ts";
import type { OnnxGraph } from "./model.ts";
import { buildRegion, opsetsOf, type Region } from "./region.ts";

export interface Repetition {
  readonly graph: OnnxGraph;
  /** A value or an extent; undefined: until the condition is false. */
  readonly trips: Value | Dim | undefined;
  /** Whether to begin at all; undefined for yes. */
  readonly condition: Value | undefined;
  readonly initial: readonly Value[];
  /** Names of the outputs: what is carried, then slices. */
  readonly names: readonly string[];
  /** Whether the body's first output says whether to go on. */
  readonly saysWhen: boolean;
  readonly where: string;
  /** Gives the inputs of the body, whose names are `names`, their values; `bring` is what stands there for a value outside. */
  readonly declare: (
    body: GraphBuilder,
    names: readonly string[],
    iteration: Value,
    states: readonly Value[],
    bring: (outer: Value) => Value,
  ) => void;
}

/** As many iterations as the program format counts: what a loop without a number gets. */
const mostTrips = 2 ** 31 - 1;
/** Nodes of all iterations together that are written out although a loop would do, and because it would not. */
const fewNodes = 128;
const mostNodes = 20_000;

const isValue = (trips: Value | Dim | undefined): trips is Value => typeof trips === "object" && "type" in trips;

/** The values of the outputs. Throws operator-invalid when types or counts are not known. */
export async function importRepetition(
  builder: GraphBuilder,
  placed: PlacedNode,
  repetition: Repetition,
): Promise<readonly Value[]> {
  const { trips, condition, where } = repetition;
  const number = isValue(trips) ? builder.known(trips)?.data[0] : trips;
  const count = typeof number === "number" || typeof number === "bigint" ? Number(number) : undefined;
  const begins = condition && builder.known(condition)?.data[0];
  const isSure = condition === undefined || begins === 1;
  const nodes = (count ?? Number.POSITIVE_INFINITY) * Math.max(1, repetition.graph.nodes.length);
  let region: Region;
  try {
    region = await buildBody(builder, placed, repetition);
  } catch (error) {
    const mayHelp = error instanceof LeafcutterError && error.code === "operator-invalid";
    const open = [
      ...(isValue(trips) && count === undefined ? [trips] : []),
      ...(isSure || !condition ? [] : [condition]),
    ];
    if (mayHelp && open.length > 0) builder.ask([...builder.askedFor, ...open]);
    if (!mayHelp || open.length > 0 || count === undefined || nodes > mostNodes) throw error;
    return writeOut(builder, placed, repetition, count, error);
  }
  if (begins === 0 || (count !== undefined && count <= 0)) return leaveOut(builder, region, repetition);
  const { builder: body, name, outputs } = region;
  const graph = body.asGraph(name, outputs, body.captured);
  const isRegular = repetition.initial.every(({ type }, index) => sameType(type, outputs[index + 1]?.type));
  if (isSure && count !== undefined && !stopsItself(graph) && (nodes <= fewNodes || (!isRegular && nodes <= mostNodes)))
    return writeOut(builder, placed, repetition, count, undefined);
  const attributes: Record<string, Attribute> = {
    body: graphAttribute(graph),
    carried: integerAttribute(repetition.initial.length),
  };
  const limit = trips === undefined || (count !== undefined && count > mostTrips) ? mostTrips : trips;
  if (!isValue(limit)) attributes.trips = dimsAttribute([limit]);
  const inputs = [
    isValue(limit) ? limit : undefined,
    isSure ? undefined : condition,
    ...repetition.initial,
    ...body.captured,
  ];
  return builder.push(placed, { op: "leafcutter.Loop", inputs, attributes }, repetition.names, where);
}

const sameType = (left: TensorType, right: TensorType | undefined): boolean =>
  right !== undefined && left.dtype === right.dtype && JSON.stringify(left.shape) === JSON.stringify(right.shape);

/** The body as a graph: iteration, carried values, captured ones; its first output says whether to go on. */
async function buildBody(builder: GraphBuilder, placed: PlacedNode, repetition: Repetition): Promise<Region> {
  const { graph, initial, saysWhen, where } = repetition;
  const fresh = (part: string): string => builder.valueNames.take(`${labelOf(placed)}/${part}`);
  const region = await buildRegion(builder, placed, graph, where, (body, names) => {
    const iteration = body.addInput(fresh("iteration"), { dtype: "int64", shape: [] });
    const states = initial.map(({ type }, index) => body.addInput(fresh(`state${index}`), type));
    repetition.declare(body, names, iteration, states, (outer) => body.take(outer));
  });
  const [goesOn] = region.outputs;
  if (!saysWhen) {
    const always = region.builder.addConstant(fresh("always"), tensorOf("bool", [], [1]), where);
    return { ...region, outputs: [always, ...region.outputs] };
  }
  // A condition that follows from constants is one.
  if (goesOn) region.builder.known(goesOn);
  return region;
}

/** The nodes of every iteration, one after another; slices are joined behind them. `cause` is why it has to be so. */
async function writeOut(
  builder: GraphBuilder,
  placed: PlacedNode,
  repetition: Repetition,
  count: number,
  cause: LeafcutterError | undefined,
): Promise<readonly Value[]> {
  const { initial, names, saysWhen, where } = repetition;
  let states: readonly Value[] = initial;
  const slices: Value[][] = names.slice(initial.length).map(() => []);
  for (let index = 0; index < count; index++) {
    const prefix = `${labelOf(placed)}/${index}`;
    const graph = withFreshNames(repetition.graph, prefix, builder.valueNames);
    const iteration = builder.addConstant(
      builder.valueNames.take(`${prefix}/iteration`),
      tensorOf("int64", [], [index]),
      where,
    );
    const inputs = graph.inputs.map(({ name }) => name);
    repetition.declare(builder, inputs, iteration, states, (outer) => outer);
    await builder.deeper(where, () => builder.addGraph(graph, opsetsOf(builder, placed)));
    const outputs = graph.outputs.map(({ name }) => builder.read(name, where));
    const results = saysWhen ? outputs.slice(1) : outputs;
    states = results.slice(0, initial.length);
    slices.forEach((list, slice) => {
      const value = results[initial.length + slice];
      if (value) list.push(value);
    });
    if (!saysWhen) continue;
    const goesOn = outputs[0] && builder.known(outputs[0])?.data[0];
    if (goesOn === undefined)
      throw cause ?? malformed(where, "the loop's condition depends on more than the number of the iteration");
    if (Number(goesOn) === 0) break;
  }
  return names.map((name, index) => {
    const state = states[index];
    if (!state) return join(builder, placed, slices[index - initial.length] ?? [], name, where);
    if (name !== "") builder.name(name, state, where);
    return state;
  });
}

/** Slices along a new first axis. */
function join(builder: GraphBuilder, placed: PlacedNode, slices: readonly Value[], name: string, where: string): Value {
  const axes = builder.addConstant(
    builder.valueNames.take(`${labelOf(placed)}/axes`),
    tensorOf("int64", [1], [0]),
    where,
  );
  const modern = { ...placed, version: 13 };
  const parts = slices.map((slice) => {
    const head = { op: "Unsqueeze", inputs: [slice, axes], attributes: {} };
    return builder.push(modern, head, [builder.valueNames.take(`${slice.name}/slice`)], where)[0] as Value;
  });
  const head = { op: "Concat", inputs: parts, attributes: { axis: integerAttribute(0) } };
  return builder.push(modern, head, [name || builder.valueNames.take("slices")], where)[0] as Value;
}

/** A loop that does not run: the initial values, and no slices. */
function leaveOut(builder: GraphBuilder, region: Region, { initial, names, where }: Repetition): readonly Value[] {
  return names.map((name, index) => {
    const state = initial[index];
    if (!state) {
      const wish = name || builder.valueNames.take("slices");
      return builder.addConstant(wish, emptyOf(region.outputs[index + 1]?.type, where), where);
    }
    if (name !== "") builder.name(name, state, where);
    return state;
  });
}

function emptyOf(type: TensorType | undefined, where: string): Tensor {
  const shape = type?.shape.filter((dim) => typeof dim === "number");
  if (!type || shape?.length !== type.shape.length)
    throw malformed(where, "the loop does not run, and the shape of its slices is not known");
  return tensorOf(type.dtype, [0, ...shape], []);
}
