/** Integer convolutions in whole graphs: borders of several values, members of concatenations, symbolic extents. */
import { test } from "vitest";
import { expressionAttribute, integerAttribute, integersAttribute } from "../../compiler/graph/attribute.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Attribute, Value } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { quantized, scaled, scalesOf } from "../kernels/integer-conv-cases.ts";
import { integers } from "../kernels/integer-product.ts";
import { expectPlanned, expectRuns } from "./expect-planned.ts";

const requantize = expressionAttribute(quantized(scaled, 7, "uint8"));

interface Form {
  readonly kernel: number;
  readonly filters: number;
  readonly channels: number;
  readonly padValue?: number;
  readonly dilation?: number;
}

/** A convolution that keeps the size, back in uint8. */
function conv(builder: GraphBuilder, name: string, x: Value, form: Form): Value {
  const { kernel, filters, channels, padValue = 0, dilation = 1 } = form;
  const pad = ((kernel - 1) / 2) * dilation;
  const attributes: Record<string, Attribute> = {
    pads: integersAttribute([pad, pad, pad, pad]),
    dilations: integersAttribute([dilation, dilation]),
    padValue: integerAttribute(padValue),
    epilogue: requantize,
  };
  const constants = [
    integers("int8", [filters, channels, kernel, kernel], filters),
    integers("int32", [filters], channels),
    scalesOf(filters),
  ].map((tensor, index) => builder.constant(`${name} ${index}`, tensor));
  return builder.add("leafcutter.IntegerConv", [x, ...constants], attributes);
}

test("borders of one value with different zero points, and of a concatenation", async () => {
  const builder = new GraphBuilder("borders", inferNode);
  const x = builder.input("x", "uint8", [2, 7, 9, 8]);
  const y = conv(builder, "first", x, { kernel: 1, channels: 8, filters: 12 });
  const a = conv(builder, "a", y, { kernel: 3, channels: 12, filters: 8, padValue: 3 });
  const b = conv(builder, "b", y, { kernel: 3, channels: 12, filters: 13, padValue: 200, dilation: 2 });
  const c = conv(builder, "c", y, { kernel: 5, channels: 12, filters: 3, padValue: 3 });
  const joined = builder.add("Concat", [a, b, c], { axis: integerAttribute(3) });
  builder.output("z", conv(builder, "last", joined, { kernel: 3, channels: 24, filters: 9, padValue: 5 }));
  builder.output("pooled", conv(builder, "of a", a, { kernel: 3, channels: 8, filters: 4, padValue: 255 }));
  await expectPlanned(builder.finish());
});

test("symbolic batch and extents", async () => {
  const builder = new GraphBuilder("symbolic", inferNode);
  const [batch, height, width] = [
    builder.symbol("batch", 1, 3),
    builder.symbol("height", 3, 20),
    builder.symbol("width", 1, 40),
  ] as const;
  const x = builder.input("x", "uint8", [batch, height, width, 16]);
  const y = conv(builder, "first", x, { kernel: 3, channels: 16, filters: 16, padValue: 11 });
  builder.output("z", conv(builder, "last", y, { kernel: 1, channels: 16, filters: 5 }));
  const bindings = [
    [1, 20, 40],
    [3, 3, 1],
    [2, 9, 7],
  ].map(
    ([b, h, w]) =>
      new Map([
        ["batch", b!],
        ["height", h!],
        ["width", w!],
      ]),
  );
  await expectRuns(builder.finish(), bindings, 5);
});
