import { expect, test } from "vitest";

test("node", () => {
  expect(WebAssembly).toBeDefined();
});
