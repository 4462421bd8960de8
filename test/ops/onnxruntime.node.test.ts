/**
 * The operator cases of onnxruntime's web tests, unpacked from `../shared`: a second oracle, the only one for the
 * com.microsoft domain. Cases of operators without a record, or with types that do not exist here, are counted.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import {
  floatAttribute,
  integerAttribute,
  integersAttribute,
  stringAttribute,
} from "../../compiler/graph/attribute.ts";
import type { Attribute } from "../../compiler/graph/graph.ts";
import { withSmallTypes } from "../../compiler/import/onnx/small-type.ts";
import { findOperator } from "../../compiler/ops/index.ts";
import { optimise } from "../../compiler/pipeline.ts";
import { type DType, dtypes } from "../../runtime/format/dtype.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { tensorOfNumbers } from "../../runtime/reference/numbers.ts";
import { evaluateGraph } from "../graph/evaluate.ts";
import { difference } from "./compare.ts";
import { disagreements } from "./disagreements.ts";
import { executeReference, inferCall, type NodeCall } from "./execute.ts";
import { oneNodeGraph } from "./one-node-graph.ts";

interface PlainTensor {
  readonly data: readonly (number | boolean)[] | null;
  readonly dims?: readonly number[];
  readonly type: string;
}

interface PlainOperator {
  readonly name: string;
  readonly operator: string;
  readonly opset?: { readonly domain: string; readonly version: number };
  readonly attributes?: readonly { readonly name: string; readonly type: string; readonly data: unknown }[];
  readonly cases?: readonly {
    readonly name: string;
    readonly inputs: readonly PlainTensor[];
    readonly outputs: readonly PlainTensor[];
  }[];
}

const archive = resolve("../shared/conformance/ort-web-ops.tar.xz");
const present = existsSync(archive);

/** JSON with comments and trailing commas; no string of these files holds "//". */
const parse = (text: string): readonly PlainOperator[] =>
  JSON.parse(text.replace(/\/\/.*$|\/\*[\s\S]*?\*\//gm, "").replace(/,(\s*[\]}])/g, "$1")) as readonly PlainOperator[];

function filesOfArchive(): readonly { readonly file: string; readonly operators: readonly PlainOperator[] }[] {
  if (!present) return [];
  const folder = mkdtempSync(join(tmpdir(), "onnxruntime-"));
  try {
    execFileSync("tar", ["xJf", archive, "-C", folder]);
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => /\w\.jsonc$/.test(file));
    return files.sort().map((file) => ({ file, operators: parse(readFileSync(join(folder, file), "utf8")) }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const attributes: Readonly<Record<string, (data: never) => Attribute>> = {
  int: integerAttribute,
  float: floatAttribute,
  string: stringAttribute,
  ints: integersAttribute,
  floats: (value: readonly number[]) => ({ kind: "floats", value }),
};

/** As import has them: integers of four bits are held in bytes. */
const heldIn = (type: string): string => ({ int4: "int8", uint4: "uint8" })[type] ?? type;

/** undefined: absent; a type that does not exist here gives RangeError. */
function tensorOf({ data, dims, type }: PlainTensor): Tensor | undefined {
  if (data === null) return undefined;
  const dtype = dtypes.find((candidate) => candidate === heldIn(type));
  if (dtype === undefined) throw new RangeError(`type ${type}`);
  return tensorOfNumbers(dtype, dims ?? [data.length], data.map(Number));
}

const smallTypeCodes: ReadonlyMap<string, number> = new Map([
  ["uint4", 21],
  ["int4", 22],
]);

const unreadCache = "a cache that is not also an output is not read there";

/** Cases ("entry, case") that do not run: outputs that are not what the operator's documentation says, and refused forms. */
const excluded: Readonly<Record<string, string>> = {
  "FastGelu test with bias, [2x4], [3]": "a bias that does not fit the last axis repeats without regard to rows",
  "FastGelu test with bias, [3x5], [2]": "a bias that does not fit the last axis repeats without regard to rows",
  "FastGelu test with bias, [3x5], [7]": "a bias that does not fit the last axis repeats without regard to rows",
  "FastGelu test with bias, [4x4], [8]": "a bias that does not fit the last axis repeats without regard to rows",
  "QuickGelu test, [2x4]": "a negative input has the output of its absolute value",
  "QuickGelu test, [3x5]": "a negative input has the output of its absolute value",
  "Shape op test, T[0]": "int32 where the documentation says int64",
  "BatchNormalization with no attributes, T[64]": "an input without a channel axis is refused",
  "BatchNormalization non-spatial mode, T[3,1,2]": "spatial = 0 of version 7 is refused",
  "Resize - 5D Trilinear, X": "a region of interest that leaves the channel axis is ignored there",
  "sin with no attributes, Scalar": "the sine of 0.1 to three digits only",
  "MultiHeadAttention Basic, one head and head-size=1 with pastKey and pastValue, T[0]": unreadCache,
  "MultiHeadAttention Basic, one head and head-size=4 with pastKey and pastValue, T[0]": unreadCache,
  "MultiHeadAttention Basic, one head and head-size=1 with attentionBias, pastKey and pastValue, T[0]": unreadCache,
  "MultiHeadAttention Basic, one head and head-size one with pastKey and pastValue; kvBNSH (4-dim Key and Value, 3-dim Q), T[0]":
    "the result to three digits only",
};

/** Operators of the suite without a record. */
const missing: Readonly<Record<string, string>> = {
  DFT: "not written yet",
  ImageScaler: "an operator that ONNX removed before version 1.5",
  "com.ms.internal.nhwc.BatchNormalization": "a form inside onnxruntime, in no model file",
  "com.ms.internal.nhwc.Conv": "a form inside onnxruntime, in no model file",
};

const count = { passed: 0, unsupported: 0 };

const nameOf = ({ opset, operator }: PlainOperator): string => {
  const { domain = "" } = opset ?? {};
  return domain === "" || domain === "ai.onnx" ? operator : `${domain}.${operator}`;
};

/** Whether the passes keep what the node computes. */
function optimisedDisagreements(call: NodeCall, expected: readonly Tensor[]): readonly (string | undefined)[] {
  const { graph, inputs } = oneNodeGraph(call, (index) => /int/.test(call.inputs[index]?.dtype ?? ""));
  const outputs = evaluateGraph(optimise(graph), inputs);
  return expected.map((tensor, index) => difference(outputs[`y${index}`], tensor, { absolute: 1e-4, relative: 1e-4 }));
}

/** What is wrong with the cases of one entry. */
function failuresOf(operator: PlainOperator): readonly string[] {
  const { version = 13 } = operator.opset ?? {};
  const op = nameOf(operator);
  const failures: string[] = [];
  for (const one of operator.cases ?? []) {
    const types = [...one.inputs, ...one.outputs].map(({ type }) => heldIn(type) as DType);
    if (`${operator.name}, ${one.name}` in excluded) continue;
    if (!findOperator(op) || types.some((type) => !dtypes.includes(type))) {
      count.unsupported++;
      continue;
    }
    const given = Object.fromEntries(
      (operator.attributes ?? []).flatMap(({ name, type, data }) => {
        const convert = attributes[type];
        return convert ? [[name, convert(data as never)]] : [];
      }),
    );
    const head = withSmallTypes({ op, inputs: one.inputs.map(tensorOf), attributes: given }, (index) =>
      smallTypeCodes.get(one.inputs[index]?.type ?? ""),
    );
    const call: NodeCall = { ...head, version, outputCount: one.outputs.length };
    const problems: (string | undefined)[] = [];
    try {
      const outputs = executeReference(call);
      const form = ({ dtype, shape }: { readonly dtype: string; readonly shape: readonly unknown[] }): string =>
        `${dtype}[${shape}]`;
      const inferred = inferCall(call, "constants").types.map(form).join();
      if (inferred !== outputs.map(form).join())
        problems.push(`inferred as ${inferred}, computed as ${outputs.map(form).join()}`);
      one.outputs.forEach((plain, index) => {
        const expected = tensorOf(plain);
        const half = expected?.dtype === "float16" ? 1e-2 : 1e-4;
        if (expected) problems.push(difference(outputs[index], expected, { absolute: half, relative: half }));
      });
      problems.push(...disagreements(call, outputs));
      if (op.startsWith("com.microsoft.") && types.every((type) => type !== "float16"))
        problems.push(...optimisedDisagreements(call, outputs));
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
    const found = problems.filter((problem) => problem !== undefined);
    if (found.length === 0) count.passed++;
    failures.push(...found.map((problem) => `${operator.name}, ${one.name}: ${problem}`));
  }
  return failures;
}

const title = present
  ? "onnxruntime's operator cases"
  : "onnxruntime's operator cases, skipped: ../shared/conformance/ort-web-ops.tar.xz is absent";

describe.skipIf(!present)(title, () => {
  afterAll(() => {
    console.log(`onnxruntime's operator cases: ${count.passed} passed, ${count.unsupported} not supported`);
  });

  const files = filesOfArchive();

  it("finds the cases", () => {
    expect(files.length).toBeGreaterThan(0);
  });

  it("names exactly the operators of the suite that have no record", () => {
    const without = files.flatMap(({ operators }) => operators.map(nameOf)).filter((op) => !findOperator(op));
    expect([...new Set(without)].sort()).toEqual(Object.keys(missing).sort());
  });

  it.each(files)("$file", ({ operators }) => {
    expect(operators.flatMap(failuresOf)).toEqual([]);
  });
});
