/**
 * Linear memory is what weights and live tensors justify: pages <= 1.15 * (weights as stored + the largest sum of live
 * unpadded tensors) + 128 KiB, rounded up to a page.
 */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { compile } from "../../compiler/compile.ts";
import { diskFolder, fileSource } from "../../compiler/file-source.ts";
import { readDataSets } from "../../compiler/import/data-set.ts";
import { programOf } from "../../compiler/package/program-of.ts";
import { pageBytes } from "../../runtime/format/program.ts";

const models = [
  ...["squeezenet_v1.1", "mobilenetv2_float", "ultraface_rfb320", "yolox_nano", "super_resolution"],
  ...["bert_mlm_g2p", "magika_v3_3"],
].map((name) => `../shared/models/${name}`);

describe.each([...models, "demo/models/cifar10", "demo/models/digits"].map((path) => resolve(path)))("%s", (folder) => {
  const file = join(folder, "model.onnx");
  it.skipIf(!existsSync(file))(
    "takes no more memory than it needs, and no host steps",
    { timeout: 60_000 },
    async () => {
      const [set] = await readDataSets(diskFolder(folder));
      const compiled = await compile(fileSource(file), set ? { sampleShapes: set.inputs } : {});
      const { memory } = await programOf(compiled);
      const { weightBytes, liveBytes, hostSteps } = compiled.report;
      const allowed = 1.15 * (weightBytes + liveBytes) + 128 * 1024 + pageBytes;
      expect(
        memory.pages * pageBytes,
        `${memory.pages} pages = ${memory.pages * pageBytes} bytes; weights ${weightBytes}, live ${liveBytes}, arena ${memory.arena.bytes}, table ${memory.table.bytes}`,
      ).toBeLessThanOrEqual(allowed);
      expect(hostSteps).toEqual([]);
    },
  );
});
