import { describe, expect, it } from "vitest";
import type { Node } from "../../compiler/graph/graph.ts";
import { hostAttributes } from "../../compiler/plan/host-attributes.ts";
import { decodeAttribute } from "../../runtime/engine/host-step.ts";
import { binary, constant, input } from "../../runtime/format/expression.ts";
import type { ReferenceAttributeData } from "../../runtime/format/host-step.ts";

const node = (attributes: Node["attributes"]): Node => ({
  op: "leafcutter.Elementwise",
  version: 1,
  name: "clip",
  sources: [],
  inputs: [],
  outputs: [],
  attributes,
});

describe("attributes of host steps", () => {
  it("come back from JSON as they were, infinities in expressions and lists included", () => {
    const expression = binary("minimum", input(0), constant(Number.POSITIVE_INFINITY, "float64"));
    const tensor = { dtype: "int64", shape: [2], data: BigInt64Array.of(-1n, 5n) } as const;
    const data = hostAttributes(
      node({
        expression: { kind: "expression", value: expression },
        bounds: { kind: "floats", value: [Number.NEGATIVE_INFINITY, 1.5, Number.NaN] },
        table: { kind: "tensor", value: tensor },
        mode: { kind: "string", value: "linear" },
      }),
    );
    const travelled = JSON.parse(JSON.stringify(data)) as Record<string, ReferenceAttributeData>;
    const decoded = Object.fromEntries(
      Object.entries(travelled).map(([name, value]) => [name, decodeAttribute(value)]),
    );
    expect(decoded).toEqual({
      expression,
      bounds: [Number.NEGATIVE_INFINITY, 1.5, Number.NaN],
      table: tensor,
      mode: "linear",
    });
  });
});
