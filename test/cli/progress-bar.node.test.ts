import { expect, test } from "vitest";
import { timeLeft } from "../../compiler/cli/progress-bar.ts";

test("the time that is left follows from what is done, and is not guessed too early", () => {
  expect(timeLeft(3000, 10, 64)).toBe("about 17 s left");
  expect(timeLeft(60_000, 1, 64)).toBe("about 63 min left");
  for (const [elapsed, done] of [
    [100, 3],
    [3000, 0],
    [3000, 64],
  ] as const)
    expect(timeLeft(elapsed, done, 64)).toBe("");
});
