/** The two tables name the same functions: what a record calls its reference is what a host step loads. */
import { expect, it } from "vitest";
import { findOperator, operatorNames } from "../../compiler/ops/index.ts";
import { references } from "../../runtime/reference/table.ts";

it.each(operatorNames)("%s", async (op) => {
  const operator = findOperator(op);
  const name = operator?.referenceName ?? op;
  expect(await references[name]?.()).toBe(operator?.reference);
});
