/** The two tables name the same functions: what a record calls its reference is what a host step loads. */
import { expect, it } from "vitest";
import { regionReference } from "../../compiler/ops/control/region.ts";
import { findOperator, operatorNames } from "../../compiler/ops/index.ts";
import { references } from "../../runtime/reference/table.ts";

const functions = operatorNames.filter((op) => findOperator(op)?.reference !== regionReference);

it("all operators are functions but those that hold graphs", () => {
  expect(operatorNames.filter((op) => !functions.includes(op))).toEqual(["If", "leafcutter.Loop"]);
});

it.each(functions)("%s", async (op) => {
  const operator = findOperator(op);
  const name = operator?.referenceName ?? op;
  expect(await references[name]?.()).toBe(operator?.reference);
});
