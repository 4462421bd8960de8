/** The steps that move values in and out of regions: a copy, and a slice put into its place along axis 0 by a number known only at run time. */
import { axis, cast, type Expression, input, load } from "../../runtime/format/expression.ts";
import type { Node, Value } from "../graph/graph.ts";
import { identityAccess } from "../loop/loop.ts";
import type { StepOperand } from "../ops/operator.ts";
import type { SelectedNode } from "./select.ts";

const operand = (index: number): StepOperand => ({ kind: "input", index });
const result: StepOperand = { kind: "output", index: 0 };

const nodeFor = (region: Node, op: string, inputs: readonly Value[], output: Value): Node => ({
  op,
  version: region.version,
  name: `${region.name} ${output.name}`,
  sources: region.sources,
  inputs,
  outputs: [output],
  attributes: {},
});

/** `to` becomes `from`; both have the same type. */
export function copyNode(region: Node, from: Value, to: Value): SelectedNode {
  const { dtype, shape } = to.type;
  const access = identityAccess(shape.length);
  const nest = {
    extents: shape,
    reductions: 0,
    operands: [{ dtype, access }],
    parameters: [],
    body: input(0),
    output: { dtype, access },
  };
  return {
    kind: "steps",
    node: nodeFor(region, "leafcutter.Copy", [from], to),
    steps: [{ kind: "nest", nest, operands: [operand(0)], output: result }],
    temporaries: [],
  };
}

/** to[position] = from; `position` is an int64 scalar within the first axis of `to`. */
export function placeNode(region: Node, from: Value, position: Value, to: Value): SelectedNode {
  const { dtype, shape } = from.type;
  const at: readonly Expression[] = [cast("int32", load(1, [])), ...shape.map((_, index) => axis(index))];
  const nest = {
    extents: shape,
    reductions: 0,
    operands: [
      { dtype, access: identityAccess(shape.length) },
      { dtype: "int64" as const, access: "indexed" as const },
    ],
    parameters: [],
    body: input(0),
    output: { dtype, access: { computed: at } },
  };
  return {
    kind: "steps",
    node: nodeFor(region, "leafcutter.Place", [from, position], to),
    steps: [{ kind: "nest", nest, operands: [operand(0), operand(1)], output: result }],
    temporaries: [],
  };
}
