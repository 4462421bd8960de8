/**
 * leafcutter.Loop: a graph run again and again. ONNX's Loop and Scan become it at import.
 *
 * Inputs: 0 the largest number of iterations (int64; or attribute `trips`), which must be known when the model is
 * compiled and at least 1; 1 the bool whether to begin at all, absent for yes; then `carried` (attribute) initial values;
 * then what the body takes from outside. The body takes: the iteration (int64 scalar, from 0), the carried values, what
 * comes from outside. It gives: a bool whether to go on, the carried values, and slices. Outputs: the carried values,
 * and for each slice all of them along a new first axis. plan/regions.ts says how it runs.
 */
import { graphOf, integerOf } from "../../graph/attribute.ts";
import { type Dim, formatDim, sameShape } from "../../graph/dimension.ts";
import type { Graph, Node, TensorType, Value } from "../../graph/graph.ts";
import { dimsOf } from "../movement/copy.ts";
import { defineOperator, exactTolerance, type Operator } from "../operator.ts";
import { regionReference } from "./region.ts";

export interface LoopInputs {
  readonly carried: number;
  readonly condition: Value | undefined;
  readonly initial: readonly (Value | undefined)[];
  readonly captured: readonly (Value | undefined)[];
}

export function loopInputs(node: Node): LoopInputs {
  const carried = integerOf(node, "carried", 0);
  return {
    carried,
    condition: node.inputs[1],
    initial: node.inputs.slice(2, 2 + carried),
    captured: node.inputs.slice(2 + carried),
  };
}

/** Whether the body says itself when to stop. */
export function stopsItself(body: Graph): boolean {
  const again = body.outputs[0]?.value;
  return again === undefined || body.constants.get(again)?.data[0] !== 1;
}

/** The number of iterations, once passes are done: a constant or the attribute. */
export function tripsOf(node: Node, constants: Graph["constants"]): Dim {
  const attribute = node.attributes.trips;
  if (attribute?.kind === "dims" || attribute?.kind === "integers") return attribute.value[0] ?? 0;
  const tensor = node.inputs[0] && constants.get(node.inputs[0]);
  return Number(tensor?.data[0] ?? 0);
}

const formatType = ({ dtype, shape }: TensorType): string => `${dtype}[${shape.map(formatDim).join(", ")}]`;

export const loopOperator: Operator = defineOperator({
  op: "leafcutter.Loop",
  infer: (context) => {
    const { node } = context;
    const body = graphOf(node, "body");
    const { carried, condition, initial } = loopInputs(node);
    const [trips] = dimsOf(context, "trips", 0) ?? context.fail("the number of iterations is missing");
    if (trips === undefined) context.fail("the number of iterations is missing");
    const results = body.outputs.slice(1).map(({ value }) => value.type);
    const states = initial.map((value, index): TensorType => {
      const { dtype, shape } = value?.type ?? context.fail(`initial value ${index} is missing`);
      const after = results[index] ?? context.fail("the body gives fewer values than it carries");
      if (dtype !== after.dtype || !sameShape(shape, after.shape))
        context.fail(
          `value ${index} that the loop carries changes its type`,
          formatType({ dtype, shape }),
          formatType(after),
        );
      return { dtype, shape };
    });
    const slices = results.slice(carried);
    if (slices.length > 0 && (condition !== undefined || stopsItself(body)))
      context.fail("the loop collects slices, and how many is known only at run time", "a condition that stays true");
    return [...states, ...slices.map(({ dtype, shape }) => ({ dtype, shape: [trips as Dim, ...shape] }))];
  },
  reference: regionReference,
  tolerance: exactTolerance,
});
