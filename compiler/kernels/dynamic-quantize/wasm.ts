/** WebAssembly of dynamic quantisation: a pass for the range, which NaN spreads over, then one for the elements, where NaN gives 0. */
import type { BodyBuilder } from "../../assemble/body.ts";
import { type Expression as Code, type FunctionReference, type Local, select } from "../../assemble/expression.ts";
import { f32, i32 } from "../../assemble/scalar.ts";
import { f32x4, i8x16, i16x8, i32x4, v128 } from "../../assemble/vector.ts";
import { splat } from "../../assemble/vector-code.ts";
import type { WasmKernelContext } from "../contract.ts";
import { allLanes } from "../expression/horizontal.ts";
import { recordLocals } from "../record.ts";
import { dynamicQuantizeWords } from "./words.ts";

type Vector = Code<"v128">;
type Address = Local<"i32">;

/** Added to it, a float32 below 2^22 in magnitude is rounded, half to even, to an integer in the low bits of the sum. */
const shifter = 1.5 * 2 ** 23;
const shifterBits = 0x4b400000;

export function emitDynamicQuantize({ module }: WasmKernelContext): FunctionReference {
  return module.function(
    "dynamic_quantize",
    { params: ["i32", "i32", "i32"], results: [] },
    (body, record, begin, end) =>
      body.forRange(begin, end, 1, () => {
        const { input, output, scale, zero, elements } = recordLocals(body, record, dynamicQuantizeWords);
        const [low, high] = emitRange(body, input, elements);
        const span = body.local("f32", f32.div(f32.sub(high, low), 255));
        const step = body.local("f32", select("f32", f32.eq(low, high), f32.const(1), span));
        const start = f32.sub(0, f32.div(low, step));
        const bounded = f32.min(f32.max(start, 0), 255);
        const place = body.local("i32", i32.truncSatF32S(f32.nearest(bounded)));
        body.f32Store(scale, step);
        body.i32Store8(zero, place);
        body.hoistConstants(() => emitElements(body, { input, output, elements, step, place }));
      }),
  );
}

/** Repeats `statements` while `count` of the remaining elements are left, `left` counting down. */
function whileLeft(body: BodyBuilder, left: Address, count: number, statements: () => void): void {
  body.block((done) => {
    body.loop((again) => {
      body.branchIf(done, i32.ltS(left, count));
      body.scope(statements);
      body.set(left, i32.sub(left, count));
      body.branch(again);
    });
  });
}

/** The smallest and the largest of 0 and the elements; NaN when one of them is. */
function emitRange(body: BodyBuilder, input: Address, elements: Address): readonly [Local<"f32">, Local<"f32">] {
  const held = (): Local<"v128"> => body.local("v128", splat(0));
  const lows = [held(), held()];
  const highs = [held(), held()];
  const notNumbers = held();
  const cursor = body.local("i32", input);
  const left = body.local("i32", elements);
  const add = (place: number, vector: Vector): void => {
    const x = body.local("v128", vector);
    const [low, high] = [lows[place], highs[place]] as [Local<"v128">, Local<"v128">];
    body.set(low, f32x4.pmin(low, x));
    body.set(high, f32x4.pmax(high, x));
    body.set(notNumbers, v128.or(notNumbers, f32x4.ne(x, x)));
  };
  whileLeft(body, left, 8, () => {
    for (const place of [0, 1]) add(place, v128.load(cursor, { offset: place * 16 }));
    body.set(cursor, i32.add(cursor, 32));
  });
  whileLeft(body, left, 1, () => {
    add(0, v128.load32Splat(cursor));
    body.set(cursor, i32.add(cursor, 4));
  });
  const combined = (
    [first, second]: readonly Local<"v128">[],
    combine: (a: Vector, b: Vector) => Vector,
  ): Local<"f32"> => {
    const both = body.local("v128", combine(first as Vector, second as Vector));
    const extreme = f32x4.extractLane(allLanes(body, both, combine), 0);
    return body.local("f32", select("f32", v128.anyTrue(notNumbers), f32.const(Number.NaN), extreme));
  };
  return [combined(lows, f32x4.pmin), combined(highs, f32x4.pmax)];
}

interface Elements {
  readonly input: Address;
  readonly output: Address;
  readonly elements: Address;
  readonly step: Local<"f32">;
  readonly place: Local<"i32">;
}

/** saturate(round(x / step) + place): the bounds first, so that one sum rounds and converts. */
function emitElements(body: BodyBuilder, { input, output, elements, step, place }: Elements): void {
  const from = body.local("i32", input);
  const to = body.local("i32", output);
  const left = body.local("i32", elements);
  const steps = body.local("v128", f32x4.splat(step));
  const low = body.local("v128", f32x4.splat(f32.convertI32S(i32.sub(0, place))));
  const high = body.local("v128", f32x4.splat(f32.convertI32S(i32.sub(255, place))));
  const base = body.local("v128", i32x4.splat(i32.sub(shifterBits, place)));
  const quantised = (x: Vector): Vector => {
    // A comparison with NaN is false, which leaves the lower bound.
    const within = f32x4.pmin(f32x4.pmax(low, f32x4.div(x, steps)), high);
    return i32x4.sub(f32x4.add(within, splat(shifter)), base);
  };
  const load = (part: number): Vector => quantised(v128.load(from, { offset: part * 16 }));
  const advance = (count: number): void => {
    body.set(from, i32.add(from, 4 * count));
    body.set(to, i32.add(to, count));
  };
  whileLeft(body, left, 16, () => {
    const pairs = [i16x8.narrowI32x4S(load(0), load(1)), i16x8.narrowI32x4S(load(2), load(3))] as const;
    body.v128Store(to, i8x16.narrowI16x8U(...pairs));
    advance(16);
  });
  whileLeft(body, left, 4, () => {
    const words = body.local("v128", i16x8.narrowI32x4S(load(0), splat(0)));
    body.v128Store32Lane(to, i8x16.narrowI16x8U(words, words), 0);
    advance(4);
  });
  whileLeft(body, left, 1, () => {
    body.v128Store8Lane(to, quantised(v128.load32Zero(from)), 0);
    advance(1);
  });
}
