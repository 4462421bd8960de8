import { expect, test } from "vitest";

test("isolated", () => {
  expect(self.crossOriginIsolated).toBe(true);
});
