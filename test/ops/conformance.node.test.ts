/**
 * The node cases of the ONNX backend suite, unpacked from `../shared`: inference and reference give the expected
 * outputs; where a record also has an expression or loop nests, they agree with the reference on every node.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { regionReference } from "../../compiler/ops/control/region.ts";
import { findOperator } from "../../compiler/ops/index.ts";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { disagreements } from "./disagreements.ts";
import { type CaseModel, checkCase, readCase } from "./onnx-case.ts";
import { unsupportedCases, unsupportedForms, unsupportedOperators, unsupportedTypes } from "./unsupported.ts";

const archive = resolve("../shared/conformance/onnx-backend.tar.xz");
const present = existsSync(archive);

interface Case {
  readonly name: string;
  readonly folder: string;
  readonly model: CaseModel;
}

const folder = present ? mkdtempSync(join(tmpdir(), "onnx-backend-")) : "";
const cases: Case[] = [];
if (present) {
  execFileSync("tar", ["xJf", archive, "-C", folder]);
  const root = join(folder, "onnx-backend", "node");
  for (const name of readdirSync(root).sort()) {
    cases.push({ name, folder: join(root, name), model: await readCase(join(root, name)) });
  }
}
const isFunction = (op: string): boolean => {
  const operator = findOperator(op);
  return operator !== undefined && operator.reference !== regionReference;
};
const missingOperators = ({ model }: Case): readonly string[] => model.operators.filter((op) => !isFunction(op));
const runnable = cases.filter((one) => missingOperators(one).length === 0);
const groups = [...new Set(runnable.map(({ model }) => model.operators[0] ?? "Constant"))].sort();

const count = { passed: 0, unsupported: 0 };

/** Whether a refusal is one of those that are known. */
function isKnownRefusal(error: unknown): boolean {
  if (!(error instanceof LeafcutterError) || error.code !== "model-unsupported") return false;
  const { message, received } = error.diagnostic;
  return unsupportedTypes.has(received ?? "") || unsupportedForms.some((form) => form.test(message));
}

async function failuresOf({ name, folder, model }: Case): Promise<readonly string[]> {
  const found: string[] = [];
  try {
    const problem = await checkCase(folder, model, (call, outputs) => found.push(...disagreements(call, outputs)));
    if (problem) found.push(problem);
    if (found.length === 0) count.passed++;
  } catch (error) {
    if (isKnownRefusal(error) || unsupportedCases.some((one) => one.name.test(name))) count.unsupported++;
    else found.push(error instanceof Error ? error.message : String(error));
  }
  return found.map((problem) => `${name}: ${problem}`);
}

const title = present
  ? "ONNX backend suite, node cases"
  : "ONNX backend suite, skipped: ../shared/conformance/onnx-backend.tar.xz is absent";

describe.skipIf(!present)(title, () => {
  afterAll(() => {
    const byOperator = new Map<string, number>();
    for (const one of cases)
      for (const op of new Set(missingOperators(one))) byOperator.set(op, (byOperator.get(op) ?? 0) + 1);
    const list = [...byOperator].map(([op, cases]) => `${op} ${cases}`).join(", ");
    console.log(
      `ONNX node cases: ${count.passed} of ${cases.length} passed, ${count.unsupported} use unsupported types or forms, ` +
        `${cases.length - runnable.length} use operators without a record: ${list}`,
    );
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  it("names exactly the operators of the suite that have no record", () => {
    const missing = new Set(cases.flatMap(missingOperators));
    expect([...missing].sort(), "see test/ops/unsupported.ts").toEqual(Object.keys(unsupportedOperators).sort());
  });

  it.each(groups)("%s", async (op) => {
    const failures: string[] = [];
    for (const one of runnable.filter(({ model }) => (model.operators[0] ?? "Constant") === op)) {
      failures.push(...(await failuresOf(one)));
    }
    expect(failures).toEqual([]);
  });
});
