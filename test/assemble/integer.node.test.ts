import { describe, expect, test } from "vitest";
import { divideS, divideU, floorDivideS, moduloS, remainderS, remainderU } from "../../compiler/assemble/integer.ts";
import { ModuleBuilder } from "../../compiler/assemble/wasm.ts";
import { exportedFunction, instantiate, onePage } from "./run.ts";

const values = [0, 1, -1, 2, -2, 3, 7, -7, 10, -10, 1000003, 0x7fffffff, -0x80000000, -0x7fffffff];
const modulo = (a: number, b: number): number => a - b * Math.floor(a / b);
const byZero = (f: (a: number, b: number) => number) => (a: number, b: number) => (b === 0 ? 0 : f(a, b) | 0);
const unsigned = (f: (a: number, b: number) => number) => byZero((a, b) => f(a >>> 0, b >>> 0));

describe("division without traps", () => {
  test.each([
    [divideS, byZero((a, b) => a / b)],
    [remainderS, byZero((a, b) => a % b)],
    [floorDivideS, byZero((a, b) => Math.floor(a / b))],
    [moduloS, byZero(modulo)],
    [divideU, unsigned((a, b) => a / b)],
    [remainderU, unsigned((a, b) => a % b)],
  ] as const)("%o", (operation, reference) => {
    const module = new ModuleBuilder({ memory: onePage });
    module.function("run", { params: ["i32", "i32"], results: ["i32"], exported: true }, (body, a, b) => {
      body.return(operation(a, b));
    });
    const run = exportedFunction(instantiate(module).exports, "run");
    for (const a of values) {
      for (const b of values) expect(run(a, b), `${operation.name}(${a}, ${b})`).toBe(reference(a, b));
    }
  });
});
