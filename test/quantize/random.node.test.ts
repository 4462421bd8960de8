/** Random networks, a random scheme for each layer: near to float, and as generated code what the rounded graph computes. */
import { describe, expect, test } from "vitest";
import type { Graph, Node } from "../../compiler/graph/graph.ts";
import { printGraph } from "../../compiler/graph/print.ts";
import { optimise, toIntegers } from "../../compiler/pipeline.ts";
import { applySchemes } from "../../compiler/quantize/apply-schemes.ts";
import { layersOf } from "../../compiler/quantize/layer.ts";
import { prepare } from "../../compiler/quantize/prepare.ts";
import { parseScheme, type Scheme } from "../../compiler/quantize/scheme.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { evaluateGraph } from "../graph/evaluate.ts";
import { randomGraph } from "../passes/random-graph.ts";
import { runPlanned } from "../plan/execute.ts";
import { randomInputs } from "../plan/expect-planned.ts";

const schemes = [
  "float32",
  "float16",
  "int8-weights",
  "int4/32",
  "nf4/16",
  "int8",
  "int8",
  "int8 7-bit",
  "int8 dynamic",
].map((name) => parseScheme(name) as Scheme);

const open = async (graph: Graph) => ({
  run: async (sample: Readonly<Record<string, Tensor>>) => evaluateGraph(graph, sample),
  close: () => undefined,
});

/** Root of the mean squared difference over that of the values. */
function relativeError(actual: Tensor | undefined, expected: Tensor): number {
  if (actual?.shape.join() !== expected.shape.join()) return Number.POSITIVE_INFINITY;
  let [error, power] = [0, 1e-12];
  expected.data.forEach((value, index) => {
    error += (Number(actual.data[index]) - Number(value)) ** 2;
    power += Number(value) ** 2;
  });
  return Math.sqrt(error / power);
}

describe("random networks", () => {
  for (let seed = 1; seed <= 24; seed++)
    test(`network ${seed}`, async () => {
      const float = optimise(randomGraph(seed));
      const samples = [1, 2, 3].map((index) => randomInputs(float, 31 * seed + index));
      const settings = { open, source: "samples" as const };
      const { graph, calibration } = await prepare(float, samples, settings);
      const picks = new Map<Node, Scheme>(
        layersOf(graph).map(({ node }, index) => [
          node,
          schemes[(seed * 7 + index * 5 + (seed >> 2)) % schemes.length] as Scheme,
        ]),
      );
      const rounded = applySchemes(graph, picks, calibration);
      const integers = toIntegers(rounded, { verify: true });
      const input = samples[0] as (typeof samples)[number];
      const wanted = evaluateGraph(float, input);
      const meant = evaluateGraph(rounded, input);
      const { outputs } = await runPlanned(integers, [input, input]);
      for (const [name, tensor] of Object.entries(wanted)) {
        const where = () =>
          `output ${name}: ${[...picks].map(([{ name }, scheme]) => `${name} ${JSON.stringify(scheme)}`).join("; ")}\n${printGraph(integers, { digests: true })}`;
        expect(relativeError(meant[name], tensor), `loss of ${where()}`).toBeLessThan(0.2);
        for (const output of outputs)
          expect(relativeError(output[name], meant[name] as Tensor), `code of ${where()}`).toBeLessThan(0.01);
      }
    });
});
