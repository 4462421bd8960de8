/**
 * The ONNX backend suites, unpacked from `../shared`: every case compiled, loaded and run, all outputs compared. What
 * is refused, and why, stands in refusals.ts.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { compareOutputs } from "../../bench/compare.ts";
import { compile } from "../../compiler/compile.ts";
import { diskFolder, fileSource } from "../../compiler/file-source.ts";
import { readDataSets } from "../../compiler/import/data-set.ts";
import { matchPorts } from "../../compiler/import/match-ports.ts";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { load } from "../../runtime/index.ts";
import { reasonOf } from "./refusals.ts";

const archive = resolve("../shared/conformance/onnx-backend.tar.xz");
const present = existsSync(archive);
const suites = ["node", "simple", "pytorch-converted", "pytorch-operator"];

/** What is wrong with the outputs; undefined when nothing is. */
async function differenceOf(folder: string, hostSteps: Set<string>): Promise<string | undefined> {
  const sets = await readDataSets(diskFolder(folder));
  const { files, manifest, report } = await compile(fileSource(join(folder, "model.onnx")), {
    ...(sets[0] ? { sampleShapes: sets[0].inputs } : {}),
    batchFromSample: true,
  });
  for (const step of report.hostSteps) hostSteps.add(/\(([^()]*)\)$/.exec(step)?.[1] ?? step);
  const session = await load(Object.fromEntries(files), { worker: false });
  let difference = sets.length === 0 ? "no data set" : undefined;
  for (const { inputs, outputs } of sets) {
    const names = (ports: typeof manifest.inputs): string[] => ports.map(({ name }) => name);
    const given = Object.fromEntries(
      [...matchPorts(names(manifest.inputs), inputs)].map(([name, { dtype, shape, data }]) => [
        name,
        { dtype, shape, data },
      ]),
    );
    const expected = matchPorts(names(manifest.outputs), outputs);
    if (expected.size < manifest.outputs.length) difference ??= "an output without golden data";
    difference ??= compareOutputs(await session.run(given), Object.fromEntries(expected)).difference;
  }
  await session.dispose();
  return difference;
}

const title = present
  ? "ONNX backend suites, compiled"
  : "ONNX backend suites, compiled: skipped, ../shared/conformance/onnx-backend.tar.xz is absent";

describe.skipIf(!present)(title, () => {
  const folder = present ? mkdtempSync(join(tmpdir(), "onnx-compiled-")) : "";
  if (present) execFileSync("tar", ["xJf", archive, "-C", folder]);
  const hostSteps = new Set<string>();
  afterAll(() => {
    console.log(`host steps in the suites: ${[...hostSteps].sort().join(", ")}`);
    rmSync(folder, { recursive: true, force: true });
  }, 120_000);

  it.each(suites)("%s", { timeout: 180_000 }, async (suite) => {
    const root = join(folder, "onnx-backend", suite);
    const failures: string[] = [];
    const refused = new Map<string, number>();
    let passed = 0;
    for (const name of readdirSync(root).sort()) {
      try {
        const difference = await differenceOf(join(root, name), hostSteps);
        if (difference === undefined) passed++;
        else failures.push(`${name}: ${difference}`);
      } catch (error) {
        const reason = error instanceof LeafcutterError ? reasonOf(error) : undefined;
        if (reason === undefined) failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
        else refused.set(reason, (refused.get(reason) ?? 0) + 1);
      }
    }
    console.log(
      `${suite}: ${passed} passed; refused: ${[...refused].map(([reason, count]) => `${count} ${reason}`).join("; ") || "none"}`,
    );
    expect(failures).toEqual([]);
    expect(passed).toBeGreaterThan(0);
  });
});
