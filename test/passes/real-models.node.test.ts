/** What the pipeline makes of real models: which operators are left, and that results are those of the data set. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { diskFolder, fileSource } from "../../compiler/file-source.ts";
import type { Graph } from "../../compiler/graph/graph.ts";
import { readDataSets } from "../../compiler/import/data-set.ts";
import { matchPorts } from "../../compiler/import/match-ports.ts";
import { importOnnx } from "../../compiler/import/onnx/import.ts";
import { optimise } from "../../compiler/pipeline.ts";
import { evaluateGraph } from "../graph/evaluate.ts";
import { difference } from "../ops/compare.ts";

const shared = resolve(import.meta.dirname, "../../../shared");
const missing = existsSync(`${shared}/models`) ? undefined : "the folder ../shared/models is absent";

/** With `batches`, a symbolic batch of 1 to 4. */
async function canonical(folder: string, batches = false): Promise<Graph> {
  const [set] = await readDataSets(diskFolder(`${shared}/${folder}`));
  const graph = await importOnnx(fileSource(`${shared}/${folder}/model.onnx`), {
    sampleShapes: set?.inputs ?? [],
    ...(batches ? { dims: { batch: { lower: 1, upper: 4 } } } : {}),
  });
  return optimise(graph, { verify: true });
}

/** How often each operator occurs; kernels with an epilogue count apart. */
function operatorCounts(graph: Graph): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { op, attributes } of graph.nodes) {
    const name = attributes.epilogue ? `${op} + epilogue` : op;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

const expected: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  "models/squeezenet_v1.1": {
    Transpose: 1,
    "leafcutter.Conv + epilogue": 26,
    "leafcutter.Pool": 3,
    Concat: 8,
    ReduceMean: 1,
    Reshape: 1,
    Softmax: 1,
  },
  // The 17 bottlenecks end in a linear convolution: ten with a residual as epilogue, seven without.
  "models/mobilenetv2_float": {
    Transpose: 1,
    "leafcutter.Conv + epilogue": 45,
    "leafcutter.Conv": 7,
    ReduceMean: 1,
    Reshape: 1,
    "leafcutter.MatMul": 1,
  },
  "models/ultraface_rfb320": {
    Transpose: 1,
    "leafcutter.Conv + epilogue": 37,
    "leafcutter.Conv": 15,
    Concat: 4,
    Reshape: 8,
    Softmax: 1,
    Slice: 2,
    "leafcutter.Elementwise": 4,
  },
  "models/super_resolution": { Reshape: 2, "leafcutter.Conv + epilogue": 3, "leafcutter.Conv": 1, DepthToSpace: 1 },
  // The focus of four Slices and a Concat is part of the first convolution.
  "models/yolox_nano": {
    Transpose: 1,
    "leafcutter.Conv + epilogue": 110,
    "leafcutter.Conv": 3,
    Concat: 17,
    "leafcutter.Pool": 3,
    Resize: 2,
    Reshape: 3,
  },
  "models/bert_mlm_g2p": {
    Gather: 1,
    "leafcutter.Elementwise": 5,
    Reshape: 18,
    "leafcutter.MatMul + epilogue": 2,
    "leafcutter.Attention": 2,
    "leafcutter.MatMul": 11,
    Softmax: 1,
    LayerNormalization: 4,
  },
  // The one-hot encoding and its product are a look-up.
  "models/magika_v3_3": {
    Reshape: 12,
    "leafcutter.Elementwise": 11,
    Gather: 1,
    ReduceSum: 3,
    ReduceSumSquare: 2,
    ReduceMax: 2,
    "leafcutter.Conv + epilogue": 1,
    "leafcutter.MatMul": 1,
  },
  // Squeezes, Unsqueezes and Transposes around the layers are views of one row.
  "models/dtln_1": { Slice: 4, Reshape: 6, "leafcutter.Recurrent": 2, Concat: 3, "leafcutter.MatMul + epilogue": 1 },
  // Its layers are spelled out.
  "models/dtln_2": {
    Slice: 4,
    Reshape: 12,
    "leafcutter.Conv": 2,
    LayerNormalization: 1,
    "leafcutter.Recurrent": 2,
    Concat: 3,
    "leafcutter.MatMul + epilogue": 1,
    "leafcutter.Elementwise": 1,
  },
  // Every product in integers; the last bottleneck goes through floats to the mean.
  "models/mobilenetv2_qdq_int8": {
    "leafcutter.Elementwise": 2,
    Transpose: 1,
    "leafcutter.IntegerConv + epilogue": 52,
    ReduceMean: 1,
    Reshape: 1,
    "leafcutter.IntegerMatMul + epilogue": 1,
  },
  "models/squeezenet_v1.1_qdq": {
    "leafcutter.Elementwise": 3,
    Transpose: 1,
    "leafcutter.IntegerConv + epilogue": 26,
    "leafcutter.Pool": 3,
    Concat: 8,
    ReduceMean: 1,
    Reshape: 1,
    Softmax: 1,
  },
  "demo-models/cifar10": {
    "leafcutter.Elementwise": 1,
    Transpose: 1,
    "leafcutter.Conv + epilogue": 10,
    ReduceMean: 1,
    "leafcutter.MatMul": 1,
  },
  "demo-models/digits": { Reshape: 1, "leafcutter.Conv + epilogue": 7, ReduceMean: 1, "leafcutter.MatMul": 1 },
};

/** Small enough to run by plain loops. */
const executed = [
  "demo-models/digits",
  "demo-models/cifar10",
  "models/ultraface_rfb320",
  "models/squeezenet_v1.1",
  "models/bert_mlm_g2p",
  "models/magika_v3_3",
];

describe.skipIf(missing)(`real models${missing ? ` (skipped: ${missing})` : ""}`, () => {
  for (const [folder, counts] of Object.entries(expected))
    test(`${folder}: what is left`, async () => {
      expect(operatorCounts(await canonical(folder))).toEqual(counts);
    });

  for (const folder of executed)
    test(`${folder}: results of the data set`, { timeout: 60_000 }, async () => {
      const [set] = await readDataSets(diskFolder(`${shared}/${folder}`));
      if (!set) throw new Error(`${folder} has no data set`);
      const batches = folder.startsWith("demo-models");
      const graph = await canonical(folder, batches);
      const batch = set.inputs[0]?.shape[0] ?? 1;
      const inputs = matchPorts(
        graph.inputs.map(({ name }) => name),
        set.inputs,
      );
      const outputs = matchPorts(
        graph.outputs.map(({ name }) => name),
        set.outputs,
      );
      expect(outputs.size).toBe(set.outputs.length);
      const actual = evaluateGraph(graph, Object.fromEntries(inputs), new Map([["batch", batch]]));
      for (const [name, tensor] of outputs)
        expect(difference(actual[name], tensor, { absolute: 1e-4, relative: 1e-3 }), `output ${name}`).toBeUndefined();
    });
});
