/**
 * WebAssembly of softmax and log-softmax in three sweeps: largest element, exponentials and their sum, scaling (or
 * subtraction). A NaN is ignored by the first sweep and spreads through the sum. Reading and writing in place is fine.
 */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression as Code, FunctionReference, Local } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";
import { f32x4, v128 } from "../../assemble/vector.ts";
import type { WasmKernelContext } from "../contract.ts";
import { allLanes } from "../expression/horizontal.ts";
import { recordLocals } from "../record.ts";
import { decayingExponential } from "./exponential.ts";

type Vector = Code<"v128">;
type Address = Code<"i32">;
const signature = { params: ["i32", "i32", "i32"], results: [] } as const;
const words = ["input", "output", "length", "inner"] as const;

/** Rows of contiguous elements. */
export function emitSoftmaxRows(context: WasmKernelContext, logarithm: boolean): FunctionReference {
  const name = logarithm ? "log_softmax_rows" : "softmax_rows";
  return context.module.function(name, signature, (body, record, begin, end) => {
    const { input, output, length } = recordLocals(body, record, words);
    const rowBytes = body.local("i32", i32.shl(length, 2));
    const source = body.local("i32", i32.add(input, i32.mul(begin, rowBytes)));
    /** From a row of the input to the same of the output. */
    const ahead = body.local("i32", i32.sub(output, input));
    const cursor = body.local("i32");
    const exponential = decayingExponential(body, context.target);
    body.forRange(begin, end, 1, () => {
      const stop = body.local("i32", i32.add(source, rowBytes));
      const maxima = accumulators(body, 4, -Infinity);
      body.set(cursor, source);
      sweep(body, cursor, stop, 4, (lanes, place) => {
        const largest = maxima[place] as Local<"v128">;
        body.set(largest, f32x4.pmax(largest, load(cursor, lanes, place)));
      });
      const largest = combined(body, maxima, f32x4.pmax);
      const sums = accumulators(body, 2, 0);
      body.set(cursor, source);
      const addPower = (sum: Local<"v128">, lanes: 1 | 4, place: number): void => {
        const shifted = f32x4.sub(load(cursor, lanes, place), largest);
        const power = body.local("v128", exponential(shifted));
        if (!logarithm) store(body, i32.add(cursor, ahead), power, lanes, place);
        body.set(sum, f32x4.add(sum, power));
      };
      sweepVectors(body, cursor, stop, 2, (place) => addPower(sums[place] as Local<"v128">, 4, place));
      const sum = combined(body, sums, f32x4.add);
      sweepSingles(body, cursor, stop, () => addPower(sum, 1, 0));
      const factor = body.local("v128", factorOf(context, logarithm, sum));
      body.set(cursor, source);
      sweep(body, cursor, stop, 4, (lanes, place) => {
        const value = load(logarithm ? cursor : i32.add(cursor, ahead), lanes, place);
        store(body, i32.add(cursor, ahead), finished(logarithm, value, largest, factor), lanes, place);
      });
      body.set(source, stop);
    });
  });
}

/** Rows that lie `inner` elements apart: sixteen neighbouring ones at a time, then four, then single ones. */
export function emitSoftmaxColumns(context: WasmKernelContext, logarithm: boolean): FunctionReference {
  const name = logarithm ? "log_softmax_columns" : "softmax_columns";
  return context.module.function(name, signature, (body, record, begin, end) => {
    const { input, output, length, inner } = recordLocals(body, record, words);
    const pitch = body.local("i32", i32.shl(inner, 2));
    const size = body.local("i32", i32.mul(length, pitch));
    const ahead = body.local("i32", i32.sub(output, input));
    const exponential = decayingExponential(body, context.target);
    const column = body.local("i32", i32.add(input, i32.mul(begin, size)));
    body.forRange(begin, end, 1, () => {
      const stop = body.local("i32", i32.add(column, pitch));
      sweepVectors(body, column, stop, 4, undefined, (vectors) =>
        emitColumns(context, body, logarithm, exponential, { column, ahead, pitch, size, vectors, lanes: 4 }),
      );
      sweepSingles(body, column, stop, () =>
        emitColumns(context, body, logarithm, exponential, { column, ahead, pitch, size, vectors: 1, lanes: 1 }),
      );
      body.set(column, i32.add(i32.sub(stop, pitch), size));
    });
  });
}

/** Neighbouring columns from address `column` down: `vectors` times `lanes` of them. */
interface Columns {
  readonly column: Local<"i32">;
  readonly ahead: Local<"i32">;
  readonly pitch: Local<"i32">;
  readonly size: Local<"i32">;
  readonly vectors: number;
  readonly lanes: 1 | 4;
}

function emitColumns(
  context: WasmKernelContext,
  body: BodyBuilder,
  logarithm: boolean,
  exponential: (x: Vector) => Vector,
  { column, ahead, pitch, size, vectors, lanes }: Columns,
): void {
  const cursor = body.local("i32");
  /** Every row's vectors in turn. */
  const down = (visit: (place: number) => void): void => {
    body.set(cursor, column);
    body.forRange(0, size, pitch, () => {
      for (let place = 0; place < vectors; place++) body.scope(() => visit(place));
      body.set(cursor, i32.add(cursor, pitch));
    });
  };
  const maxima = accumulators(body, vectors, -Infinity);
  down((place) => {
    const largest = maxima[place] as Local<"v128">;
    body.set(largest, f32x4.pmax(largest, load(cursor, lanes, place)));
  });
  const sums = accumulators(body, vectors, 0);
  down((place) => {
    const shifted = f32x4.sub(load(cursor, lanes, place), maxima[place] as Local<"v128">);
    const power = body.local("v128", exponential(shifted));
    if (!logarithm) store(body, i32.add(cursor, ahead), power, lanes, place);
    const sum = sums[place] as Local<"v128">;
    body.set(sum, f32x4.add(sum, power));
  });
  for (const sum of sums) body.set(sum, factorOf(context, logarithm, sum));
  down((place) => {
    const value = load(logarithm ? cursor : i32.add(cursor, ahead), lanes, place);
    const result = finished(logarithm, value, maxima[place] as Local<"v128">, sums[place] as Local<"v128">);
    store(body, i32.add(cursor, ahead), result, lanes, place);
  });
}

const accumulators = (body: BodyBuilder, count: number, initial: number): readonly Local<"v128">[] =>
  Array.from({ length: count }, () => body.local("v128", f32x4.splat(initial)));

/** All lanes of all accumulators in every lane of one. */
function combined(
  body: BodyBuilder,
  all: readonly Local<"v128">[],
  combine: (left: Vector, right: Vector) => Vector,
): Local<"v128"> {
  const [first, ...others] = all as readonly [Local<"v128">, ...Local<"v128">[]];
  for (const other of others) body.set(first, combine(first, other));
  body.set(first, allLanes(body, first, combine));
  return first;
}

/** Vector `place` behind `address`, or a single element in every lane. */
const load = (address: Address, lanes: 1 | 4, place: number): Vector =>
  lanes === 4 ? v128.load(address, { offset: place * 16 }) : v128.load32Splat(address);

function store(body: BodyBuilder, address: Address, value: Vector, lanes: 1 | 4, place: number): void {
  if (lanes === 4) body.v128Store(address, value, { offset: place * 16 });
  else body.v128Store32Lane(address, value, 0);
}

/** Moves `cursor` by `step` bytes while as many are left before `stop`. */
function advance(body: BodyBuilder, cursor: Local<"i32">, stop: Address, step: number, statements: () => void): void {
  const limit = body.local("i32", i32.sub(stop, step));
  body.if(i32.leU(cursor, limit), () => {
    body.loop((again) => {
      body.scope(statements);
      body.set(cursor, i32.add(cursor, step));
      body.branchIf(again, i32.leU(cursor, limit));
    });
  });
}

/** `unroll` vectors at a time, then one: `visit` per vector, or `together` once for all of them. */
function sweepVectors(
  body: BodyBuilder,
  cursor: Local<"i32">,
  stop: Address,
  unroll: number,
  visit: ((place: number) => void) | undefined,
  together?: (vectors: number) => void,
): void {
  for (const vectors of [unroll, 1])
    advance(body, cursor, stop, vectors * 16, () => {
      for (let place = 0; visit && place < vectors; place++) body.scope(() => visit(place));
      together?.(vectors);
    });
}

function sweepSingles(body: BodyBuilder, cursor: Local<"i32">, stop: Address, visit: () => void): void {
  advance(body, cursor, stop, 4, visit);
}

/** A whole row. */
function sweep(
  body: BodyBuilder,
  cursor: Local<"i32">,
  stop: Address,
  unroll: number,
  visit: (lanes: 1 | 4, place: number) => void,
): void {
  sweepVectors(body, cursor, stop, unroll, (place) => visit(4, place));
  sweepSingles(body, cursor, stop, () => visit(1, 0));
}

/** What the last sweep needs: the reciprocal of the sum, or its logarithm. */
const factorOf = ({ math }: WasmKernelContext, logarithm: boolean, sum: Vector): Vector =>
  logarithm ? math.log(sum) : f32x4.div(f32x4.splat(1), sum);

const finished = (logarithm: boolean, value: Vector, largest: Vector, factor: Vector): Vector =>
  logarithm ? f32x4.sub(f32x4.sub(value, largest), factor) : f32x4.mul(value, factor);
