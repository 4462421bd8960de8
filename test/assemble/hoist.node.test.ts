/** Constants moved in front of the loop that uses them. */
import { expect, test } from "vitest";
import { f32 } from "../../compiler/assemble/scalar.ts";
import { f32x4 } from "../../compiler/assemble/vector.ts";
import { splat } from "../../compiler/assemble/vector-code.ts";
import { ModuleBuilder } from "../../compiler/assemble/wasm.ts";
import { exportedFunction, instantiate, onePage } from "./run.ts";

/** rounds * (0.5 * 3 + 0.25), the constants used twice each. */
function build(hoisted: boolean): ModuleBuilder {
  const module = new ModuleBuilder({ memory: onePage });
  module.function("run", { params: ["i32"], results: ["f32"], exported: true }, (body, rounds) => {
    const total = body.local("v128", splat(0));
    const statements = (): void =>
      body.forRange(0, rounds, 1, () => {
        const half = body.local("v128", f32x4.mul(splat(0.5), splat(3)));
        body.set(total, f32x4.add(total, f32x4.add(half, splat(0.25))));
        body.set(total, f32x4.add(total, f32x4.sub(splat(0.25), splat(0.25))));
      });
    if (hoisted) body.hoistConstants(statements);
    else statements();
    const after = body.local("v128", splat(1));
    body.return(f32.mul(f32x4.extractLane(total, 0), f32x4.extractLane(after, 3)));
  });
  return module;
}

const count = (bytes: Uint8Array, instruction: readonly number[]): number =>
  bytes.filter((_, at) => instruction.every((byte, i) => bytes[at + i] === byte)).length;

test("the loop computes the same, and each constant is written once", () => {
  for (const hoisted of [false, true]) expect(exportedFunction(instantiate(build(hoisted)).exports, "run")(4)).toBe(7);
  const splatOfQuarter = [0x43, 0, 0, 0x80, 0x3e, 0xfd, 19];
  expect(count(build(false).encode(), splatOfQuarter)).toBe(3);
  expect(count(build(true).encode(), splatOfQuarter)).toBe(1);
});

test("constants of sixteen bytes are held, zeros stay", () => {
  const module = new ModuleBuilder({ memory: onePage });
  module.function("run", { params: ["i32"], results: ["f32"], exported: true }, (body, rounds) => {
    const total = body.local("v128", f32x4.const(1, 1, 1, 1));
    body.hoistConstants(() =>
      body.forRange(0, rounds, 1, () => {
        for (let turn = 0; turn < 2; turn++) {
          body.set(total, f32x4.mul(total, f32x4.const(2, 2, 2, 2)));
          body.set(total, f32x4.add(total, f32x4.const(0, 0, 0, 0)));
        }
      }),
    );
    body.return(f32x4.extractLane(total, 0));
  });
  const bytes = module.encode();
  expect(exportedFunction(instantiate(module).exports, "run")(3)).toBe(64);
  expect(count(bytes, [0xfd, 12, 0, 0, 0, 0x40])).toBe(1);
  expect(count(bytes, [0xfd, 12, 0, 0, 0, 0])).toBe(2);
});
