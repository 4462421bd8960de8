/**
 * Kernels to one WebAssembly module: only the kernels a program uses, the table that step records index, and
 * `walk`, the loop that runs records. The module imports its memory and nothing else.
 */

import type { FunctionReference } from "../../assemble/expression.ts";
import { select } from "../../assemble/expression.ts";
import { MathLibrary } from "../../assemble/math.ts";
import { i32 } from "../../assemble/scalar.ts";
import type { WasmTarget } from "../../assemble/target.ts";
import { ModuleBuilder } from "../../assemble/wasm.ts";
import type { Kernel, WasmKernelContext } from "../../kernels/contract.ts";

const kernelSignature = { params: ["i32", "i32", "i32"], results: [] } as const;

export function generateModule(kernels: readonly Kernel[], target: WasmTarget, pages: number): Uint8Array {
  const module = new ModuleBuilder({
    memory: { module: "env", name: "memory", initialPages: pages, maximumPages: pages },
  });
  const sharedFunctions = new Map<string, FunctionReference>();
  const context: WasmKernelContext = {
    module,
    target,
    math: new MathLibrary(module, target),
    shared: (key, define) => {
      const known = sharedFunctions.get(key);
      if (known) return known;
      const reference = define();
      sharedFunctions.set(key, reference);
      return reference;
    },
  };
  module.table(
    kernels.map((kernel) => kernel.emitWasm(context)),
    "table",
  );
  defineWalk(module);
  return module.encode();
}

/** walk(first, begin, last, end): records from `first`, entered at iteration `begin`, to `last`, left at `end` (its whole range when negative). */
function defineWalk(module: ModuleBuilder): void {
  module.function(
    "walk",
    { params: ["i32", "i32", "i32", "i32"], results: [], exported: true },
    (body, record, begin, last, end) => {
      body.block((done) => {
        body.loop((next) => {
          const range = body.local("i32", i32.load(record, { offset: 4 }));
          const isLast = body.local("i32", i32.eq(record, last));
          const stop = select("i32", i32.and(isLast, i32.geS(end, 0)), end, range);
          body.callIndirect(kernelSignature, i32.load(record), record, begin, stop);
          body.branchIf(done, isLast);
          body.set(begin, i32.const(0));
          body.set(record, i32.add(record, i32.load(record, { offset: 8 })));
          body.branch(next);
        });
      });
    },
  );
}
