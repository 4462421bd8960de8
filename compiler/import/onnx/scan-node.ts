/**
 * Scan -> leafcutter.Loop: each iteration gathers its slices of the scanned inputs. Other axes and directions of what
 * it collects are a Transpose and a Slice behind it. Scan-8, with its batch of sequences, is refused.
 */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import { tensorOf } from "../../../runtime/format/tensor.ts";
import { integerAttribute, integersAttribute } from "../../graph/attribute.ts";
import type { Dim } from "../../graph/dimension.ts";
import type { Value } from "../../graph/graph.ts";
import type { GraphBuilder } from "./graph-builder.ts";
import type { PlacedNode } from "./inline.ts";
import { malformed } from "./message.ts";
import { nestedGraph } from "./region.ts";
import { importRepetition } from "./repetition.ts";

const integers = (placed: PlacedNode, name: string): readonly number[] => {
  const attribute = placed.attributes.get(name);
  return attribute?.kind === "integers" ? attribute.value : [];
};

export async function importScan(builder: GraphBuilder, placed: PlacedNode, where: string): Promise<void> {
  if (placed.version < 9)
    throw new LeafcutterError({
      code: "model-unsupported",
      where,
      message: "Scan of operator sets before 9 is not supported",
      expected: "9 or newer",
      received: `${placed.version}`,
    });
  const count = placed.attributes.get("num_scan_inputs");
  const scanned = count?.kind === "integer" ? count.value : 0;
  const inputs = placed.inputs.map((name) => builder.read(name, where));
  const states = inputs.length - scanned;
  if (scanned < 1 || states < 0)
    throw malformed(where, "num_scan_inputs does not fit the inputs", `1 to ${inputs.length}`, `${scanned}`);
  const axes = integers(placed, "scan_input_axes");
  const directions = integers(placed, "scan_input_directions");
  const sequences = inputs.slice(states).map((value, index) => {
    const rank = value.type.shape.length;
    const axis = ((axes[index] ?? 0) + rank) % rank;
    return { value, axis, isBackward: directions[index] === 1 };
  });
  const length = sequences[0]?.value.type.shape[sequences[0].axis] as Dim | undefined;
  if (length === undefined) throw malformed(where, "a scanned input has no such axis");
  const collected = placed.outputs.slice(states).map((_, index) => ({
    axis: integers(placed, "scan_output_axes")[index] ?? 0,
    isBackward: integers(placed, "scan_output_directions")[index] === 1,
  }));
  const isPlain = collected.map(({ axis, isBackward }) => axis === 0 && !isBackward);
  const names = placed.outputs.map((name, index) =>
    isPlain[index - states] === false ? builder.valueNames.take(`${name}/slices`) : name,
  );
  const outputs = await importRepetition(builder, placed, {
    graph: nestedGraph(placed, "body", where),
    trips: length,
    condition: undefined,
    initial: inputs.slice(0, states),
    names,
    saysWhen: false,
    where,
    declare: (body, inner, iteration, values, bring) => {
      if (inner.length !== inputs.length)
        throw malformed(where, "the body has another number of inputs", `${inputs.length}`, `${inner.length}`);
      values.forEach((value, index) => {
        body.name(inner[index] as string, value, where);
      });
      for (const [index, { value, axis, isBackward }] of sequences.entries()) {
        const position = isBackward ? fromTheEnd(body, placed, iteration, where) : iteration;
        const head = { op: "Gather", inputs: [bring(value), position], attributes: { axis: integerAttribute(axis) } };
        body.push(placed, head, [inner[states + index] as string], where);
      }
    },
  });
  collected.forEach(({ axis, isBackward }, index) => {
    const slices = outputs[states + index];
    const name = placed.outputs[states + index];
    if (!slices || !name || isPlain[index]) return;
    const turned = isBackward
      ? reversed(builder, placed, slices, axis === 0 ? name : `${name}/reversed`, where)
      : slices;
    if (axis !== 0) moveFirstAxis(builder, placed, turned, axis, name, where);
  });
}

/** -1 - iteration: an index from the end. */
function fromTheEnd(region: GraphBuilder, placed: PlacedNode, iteration: Value, where: string): Value {
  const last = region.addConstant(region.valueNames.take(`${iteration.name}/last`), tensorOf("int64", [], [-1]), where);
  const name = region.valueNames.take(`${iteration.name}/backward`);
  return region.push(placed, { op: "Sub", inputs: [last, iteration], attributes: {} }, [name], where)[0] as Value;
}

function reversed(builder: GraphBuilder, placed: PlacedNode, slices: Value, name: string, where: string): Value {
  const constant = (part: string, value: number): Value =>
    builder.addConstant(builder.valueNames.take(`${name}/${part}`), tensorOf("int64", [1], [value]), where);
  const inputs = [
    slices,
    constant("starts", -1),
    constant("ends", -(2 ** 31)),
    constant("axes", 0),
    constant("steps", -1),
  ];
  return builder.push({ ...placed, version: 13 }, { op: "Slice", inputs, attributes: {} }, [name], where)[0] as Value;
}

function moveFirstAxis(
  builder: GraphBuilder,
  placed: PlacedNode,
  slices: Value,
  axis: number,
  name: string,
  where: string,
): void {
  const rank = slices.type.shape.length;
  const rest = Array.from({ length: rank - 1 }, (_, index) => index + 1);
  const perm = rest.toSpliced((axis + rank) % rank, 0, 0);
  builder.push(
    placed,
    { op: "Transpose", inputs: [slices], attributes: { perm: integersAttribute(perm) } },
    [name],
    where,
  );
}
