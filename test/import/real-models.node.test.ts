import { existsSync, readdirSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { diskFolder, fileSource } from "../../compiler/file-source.ts";
import { readDataSets } from "../../compiler/import/data-set.ts";
import { matchPorts } from "../../compiler/import/match-ports.ts";
import { importOnnx } from "../../compiler/import/onnx/import.ts";
import { inlineFunctions } from "../../compiler/import/onnx/inline.ts";
import { inTopologicalOrder } from "../../compiler/import/onnx/order.ts";
import { scanModel } from "../../compiler/import/onnx/scan.ts";
import { loadTensor } from "../../compiler/import/onnx/tensor.ts";

const folder = resolve(import.meta.dirname, "../../../shared/models");
const missing = existsSync(folder) ? undefined : "the folder ../shared/models is absent";

/** Operators and numbers of nodes, from the table in ../shared/models/README.md (silero: of its outer graph). */
const nodeCounts: Readonly<Record<string, number>> = {
  mobilenetv2_qdq_int8: 724,
  mobilenetv2_float: 100,
  "squeezenet_v1.1": 66,
  "squeezenet_v1.1_qdq": 174,
  ultraface_rfb320: 242,
  ultraface_rfb320_qdq: 568,
  yolox_nano: 369,
  super_resolution: 8,
  silero_vad_v5: 5,
  dtln_1: 36,
  dtln_2: 78,
  gtcrn_simple: 415,
  basic_pitch: 248,
  bert_mlm_g2p: 274,
  magika_v3_3: 95,
  stories260K_kv: 424,
  stories260K_q4: 424,
  stories260K_dynint8: 556,
};

/** The models of the task that import with all types. */
const typed = [
  "squeezenet_v1.1",
  "mobilenetv2_float",
  "ultraface_rfb320",
  "yolox_nano",
  "super_resolution",
  "bert_mlm_g2p",
  "magika_v3_3",
] as const;

describe.skipIf(missing)(`real models${missing ? ` (skipped: ${missing})` : ""}`, () => {
  test("the table above is complete", () => {
    const found = readdirSync(folder).filter((name) => existsSync(`${folder}/${name}/model.onnx`));
    expect(found.sort()).toEqual(Object.keys(nodeCounts).sort());
  });

  for (const [name, count] of Object.entries(nodeCounts))
    test(`${name} decodes: nodes and constants`, async () => {
      const source = fileSource(`${folder}/${name}/model.onnx`);
      const model = await scanModel(source);
      const nodes = inTopologicalOrder(inlineFunctions(model), ({ name: node }) => node);
      expect(nodes).toHaveLength(count);
      let bytes = 0;
      for (const tensor of model.graph.initializers) bytes += (await loadTensor(tensor, source)).data.byteLength;
      expect(bytes).toBeLessThan(await source.size());
      if (model.graph.initializers.length > 0) expect(bytes).toBeGreaterThan((await source.size()) * 0.5);
    });

  for (const name of typed)
    test(`${name} imports: inputs and outputs have the shapes of the data set`, async () => {
      const [set] = await readDataSets(diskFolder(`${folder}/${name}`));
      if (!set) throw new Error(`${name} has no data set`);
      const graph = await importOnnx(fileSource(`${folder}/${name}/model.onnx`), { sampleShapes: set.inputs });
      const inputs = matchPorts(
        graph.inputs.map(({ name: port }) => port),
        set.inputs,
      );
      for (const { name: port, type } of graph.inputs)
        expect({ port, dtype: type.dtype, shape: type.shape }).toEqual({
          port,
          dtype: inputs.get(port)?.dtype,
          shape: inputs.get(port)?.shape,
        });
      const outputs = matchPorts(
        graph.outputs.map(({ name: port }) => port),
        set.outputs,
      );
      for (const { name: port, value } of graph.outputs)
        expect({ port, dtype: value.type.dtype, shape: value.type.shape }).toEqual({
          port,
          dtype: outputs.get(port)?.dtype,
          shape: outputs.get(port)?.shape,
        });
      expect(graph.outputs).toHaveLength(set.outputs.length);
    });
});
