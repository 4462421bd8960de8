/**
 * The module that lets several threads walk one table of records (runtime/format/README.md, "Threads"): every thread
 * runs its part of each step's range, and waits for the others where one of two neighbouring steps is divided. It knows
 * nothing of a model: it calls the kernels of another module through the imported table. Same bytes for every package.
 */
import { atomic } from "../../assemble/atomic.ts";
import { call, type Expression, type FunctionReference, select } from "../../assemble/expression.ts";
import { i32, minimumS } from "../../assemble/scalar.ts";
import { ModuleBuilder } from "../../assemble/wasm.ts";

const kernelSignature = { params: ["i32", "i32", "i32"], results: [] } as const;

/** Most pages that WebAssembly allows: the module fits a shared memory of any size. */
const maximumPages = 65536;

/** Words of the control block. */
const word = { arrived: { offset: 0 }, generation: { offset: 4 }, sleepers: { offset: 8 }, stop: { offset: 12 } };

/** What `walk_threads` returns when another thread did not come in time. */
const lost = 2;

/** Rounds of looking before a thread goes to sleep, about 0.1 ms: parts of a step seldom end together, and waking costs 10 µs and more. */
const spins = 100_000;

export function generateThreadWalk(): Uint8Array {
  const module = new ModuleBuilder({
    memory: { module: "env", name: "memory", initialPages: 1, maximumPages, shared: true },
  });
  module.importTable("env", "table");
  defineWalk(module, defineBarrier(module));
  return module.encode();
}

type Barrier = FunctionReference<readonly ["i32", "i32", "i64"], readonly ["i32"]>;

/**
 * Waits until `threads` threads are here. Returns 0, the stop word, or `lost` after `patience` nanoseconds asleep
 * (negative: never). The last to arrive opens the next generation, and wakes the others only when some are asleep.
 */
function defineBarrier(module: ModuleBuilder): Barrier {
  return module.function(
    "barrier",
    { params: ["i32", "i32", "i64"], results: ["i32"] },
    (body, control, threads, patience) => {
      const generation = body.local("i32", atomic.load(control, word.generation));
      const isOpen = (): Expression<"i32"> => i32.ne(atomic.load(control, word.generation), generation);
      const stop = body.local("i32", atomic.load(control, word.stop));
      body.if(stop, () => body.return(stop));
      body.block((open) => {
        body.if(i32.eq(i32.add(atomic.add(control, 1, word.arrived), 1), threads), () => {
          body.atomicStore(control, 0, word.arrived);
          body.drop(atomic.add(control, 1, word.generation));
          body.if(atomic.load(control, word.sleepers), () => body.drop(atomic.notify(control, -1, word.generation)));
          body.branch(open);
        });
        const spin = body.local("i32", spins);
        body.loop((again) => {
          body.branchIf(open, isOpen());
          body.branchIf(again, body.tee(spin, i32.sub(spin, 1)));
        });
        body.drop(atomic.add(control, 1, word.sleepers));
        body.loop((again) => {
          const timedOut = i32.eq(atomic.wait(control, generation, patience, word.generation), 2);
          const isLate = body.local("i32", timedOut);
          body.if(i32.eqz(isOpen()), () => {
            body.if(isLate, () => body.return(i32.const(lost)));
            body.branch(again);
          });
        });
        body.drop(atomic.add(control, -1, word.sleepers));
      });
      body.return(atomic.load(control, word.stop));
    },
  );
}

const ceilDivide = (value: Expression<"i32">, divisor: Expression<"i32">): Expression<"i32"> =>
  i32.divU(i32.add(value, i32.sub(divisor, 1)), divisor);

/**
 * walk_threads(first, begin, last, end, thread, threads, control, patience): `walk` for thread `thread` of `threads`,
 * each over its own copy of the records. Iterations are dealt out in parts of whole grains; what fits into one part is
 * thread 0's. Returns 0 when every thread has come to the end.
 */
function defineWalk(module: ModuleBuilder, barrier: Barrier): void {
  module.function(
    "walk_threads",
    { params: ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i64"], results: ["i32"], exported: true },
    (body, record, begin, last, end, thread, threads, control, patience) => {
      const status = body.local("i32");
      const wait = (): void =>
        body.if(body.tee(status, call(barrier, control, threads, patience)), () => body.return(status));
      const wasDivided = body.local("i32", 0);
      const isInside = body.local("i32", 0);
      body.block((done) => {
        body.loop((next) => {
          const isLast = body.local("i32", i32.eq(record, last));
          const range = i32.load(record, { offset: 4 });
          const stop = body.local("i32", select("i32", i32.and(isLast, i32.geS(end, 0)), end, range));
          const grain = body.local("i32", i32.load(record, { offset: 12 }));
          const count = body.local("i32", i32.sub(stop, begin));
          const part = body.local("i32", i32.mul(ceilDivide(ceilDivide(count, threads), grain), grain));
          const isDivided = body.local("i32", i32.ltU(part, count));
          const run = (from: Expression<"i32">, to: Expression<"i32">): void =>
            body.callIndirect(kernelSignature, i32.load(record), record, from, to);
          body.if(
            isDivided,
            () => {
              body.if(isInside, wait);
              const from = body.local("i32", i32.add(begin, i32.mul(part, thread)));
              const to = body.local("i32", minimumS(body.local("i32", i32.add(from, part)), stop));
              body.if(i32.ltS(from, to), () => run(from, to));
            },
            () => {
              body.if(wasDivided, wait);
              body.if(i32.eqz(thread), () => run(begin, stop));
            },
          );
          body.set(wasDivided, isDivided);
          body.set(isInside, 1);
          body.branchIf(done, isLast);
          body.set(begin, i32.const(0));
          body.set(record, i32.add(record, i32.load(record, { offset: 8 })));
          body.branch(next);
        });
      });
      body.return(call(barrier, control, threads, patience));
    },
  );
}
