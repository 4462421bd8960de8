import { expect, test } from "vitest";
import { countVitest } from "./count.ts";

const report = (files: readonly (readonly [status: string, tests: readonly string[]])[]): string =>
  JSON.stringify({
    testResults: files.map(([status, tests]) => ({
      status,
      assertionResults: tests.map((test) => ({ status: test })),
    })),
  });

test("counts the tests of all files, skipped ones in neither column", () => {
  const json = report([
    ["passed", ["passed", "passed", "skipped"]],
    ["failed", ["passed", "failed"]],
  ]);
  expect(countVitest(json, false)).toEqual({ passed: 3, failed: 1 });
});

test("a file that did not load is a failure", () => {
  const json = report([
    ["passed", ["passed"]],
    ["failed", []],
  ]);
  expect(countVitest(json, false)).toEqual({ passed: 1, failed: 1 });
});

test("an error outside any test is a failure", () => {
  expect(countVitest(report([["passed", ["passed"]]]), false)).toEqual({ passed: 1, failed: 1 });
  expect(countVitest(report([["passed", ["passed"]]]), true)).toEqual({ passed: 1, failed: 0 });
});

test("an empty run that failed is a failure", () => {
  expect(countVitest(report([]), false)).toEqual({ passed: 0, failed: 1 });
});
