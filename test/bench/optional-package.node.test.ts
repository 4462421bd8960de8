import { expect, test } from "vitest";
import { optionalPackage } from "../../bench/optional-package.ts";

const imported = (name: string): Promise<unknown> => import(/* @vite-ignore */ name);

test("a package that is not installed is named, with the way to install it; other errors stay what they are", async () => {
  expect(await optionalPackage("comlink", () => import("comlink"))).toHaveProperty("wrap");
  await expect(optionalPackage("no-such-package", () => imported("no-such-package"))).rejects.toMatchObject({
    diagnostic: { code: "feature-missing", where: "no-such-package" },
  });
  const broken = new SyntaxError("unexpected token");
  await expect(optionalPackage("comlink", () => Promise.reject(broken))).rejects.toBe(broken);
});
