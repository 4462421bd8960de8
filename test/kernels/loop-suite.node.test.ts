/** Every node of the ONNX backend suite that lowers to loop nests, as generated code, on operands with and without gaps. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { findOperator } from "../../compiler/ops/index.ts";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { difference } from "../ops/compare.ts";
import type { NodeCall } from "../ops/execute.ts";
import { checkCase, readCase } from "../ops/onnx-case.ts";
import { executeWasm } from "./execute-wasm.ts";

const archive = resolve("../shared/conformance/onnx-backend.tar.xz");
const present = existsSync(archive);
const folder = present ? mkdtempSync(join(tmpdir(), "onnx-backend-")) : "";
/** Larger outputs are left to other tests. */
const mostElements = 100_000;
const executed = new Map<string, number>();

/** What is wrong with the generated code of one node; undefined also when there is none. */
function problemOf(call: NodeCall, outputs: readonly Tensor[]): string | undefined {
  if (outputs.some(({ data }) => data.length > mostElements)) return undefined;
  const whole = executeWasm(call, "constants", "dense", 1);
  if (whole) executed.set(call.op, (executed.get(call.op) ?? 0) + 1);
  const gapped = executeWasm(call, "constants", "gapped", 3);
  for (const [index, expected] of outputs.entries()) {
    const bound = { float16: 1e-2, bfloat16: 3e-2 }[expected.dtype as string] ?? 1e-5;
    for (const execution of [whole, gapped]) {
      const problem = execution && difference(execution.outputs[index], expected, { absolute: bound, relative: bound });
      if (problem) return `${call.op} as ${execution.kernels.join(", ")}: ${problem}`;
    }
  }
  return undefined;
}

const title = present
  ? "ONNX backend suite, generated loops"
  : "ONNX backend suite, skipped: ../shared/conformance/onnx-backend.tar.xz is absent";

describe.skipIf(!present)(title, () => {
  afterAll(() => rmSync(folder, { recursive: true, force: true }), 120_000);

  it("agree with the references", { timeout: 300_000 }, async () => {
    execFileSync("tar", ["xJf", archive, "-C", folder]);
    const root = join(folder, "onnx-backend", "node");
    const problems: string[] = [];
    for (const name of readdirSync(root).sort()) {
      try {
        const model = await readCase(join(root, name));
        if (model.operators.some((op) => !findOperator(op))) continue;
        await checkCase(join(root, name), model, (call, outputs) => {
          const problem = problemOf(call, outputs);
          if (problem) problems.push(`${name}: ${problem}`);
        });
      } catch (error) {
        // Refused forms are the business of the conformance test.
        if (!(error instanceof LeafcutterError)) problems.push(`${name}: ${String(error)}`);
      }
    }
    expect(problems).toEqual([]);
    expect(executed.size).toBeGreaterThan(80);
  });
});
