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

type Vector = Code<"v128">;
const signature = { params: ["i32", "i32", "i32"], results: [] } as const;
const words = ["input", "output", "length", "inner"] as const;

/** Rows of contiguous elements. */
export function emitSoftmaxRows(context: WasmKernelContext, logarithm: boolean): FunctionReference {
  const name = logarithm ? "log_softmax_rows" : "softmax_rows";
  return context.module.function(name, signature, (body, record, begin, end) => {
    const { input, output, length } = recordLocals(body, record, words);
    const rowBytes = body.local("i32", i32.shl(length, 2));
    /** Bytes of whole vectors. */
    const whole = body.local("i32", i32.and(rowBytes, -16));
    body.forRange(begin, end, 1, (row) => {
      const skipped = body.local("i32", i32.mul(row, rowBytes));
      const source = body.local("i32", i32.add(input, skipped));
      const target = body.local("i32", i32.add(output, skipped));
      const largest = body.local("v128", f32x4.splat(-Infinity));
      sweep(body, whole, rowBytes, {
        vector: (at) => body.set(largest, f32x4.pmax(largest, v128.load(i32.add(source, at)))),
        single: (at) => body.set(largest, f32x4.pmax(largest, v128.load32Splat(i32.add(source, at)))),
      });
      body.set(largest, allLanes(body, largest, f32x4.pmax));
      const sum = body.local("v128", f32x4.splat(0));
      /** The exponential of one shifted vector, inlined; added to the sum by its lanes. */
      sweep(body, whole, rowBytes, {
        vector: (at) => {
          const shifted = body.local("v128", f32x4.sub(v128.load(i32.add(source, at)), largest));
          const power = body.local("v128", context.math.inline("exp", body, shifted));
          if (!logarithm) body.v128Store(i32.add(target, at), power);
          body.set(sum, f32x4.add(sum, power));
        },
      });
      body.set(sum, allLanes(body, sum, f32x4.add));
      sweep(body, whole, rowBytes, {
        single: (at) => {
          const shifted = f32x4.sub(v128.load32Splat(i32.add(source, at)), largest);
          const power = body.local("v128", context.math.exp(shifted));
          if (!logarithm) body.v128Store32Lane(i32.add(target, at), power, 0);
          body.set(sum, f32x4.add(sum, power));
        },
      });
      const factor = body.local("v128", finishing(context, logarithm, sum));
      const from = logarithm ? source : target;
      sweep(body, whole, rowBytes, {
        vector: (at) => body.v128Store(i32.add(target, at), finished(logarithm, v128.load(i32.add(from, at)), largest, factor)),
        single: (at) =>
          body.v128Store32Lane(
            i32.add(target, at),
            finished(logarithm, v128.load32Splat(i32.add(from, at)), largest, factor),
            0,
          ),
      });
    });
  });
}

/** Rows that lie `inner` elements apart, four neighbouring ones at a time. */
export function emitSoftmaxColumns(context: WasmKernelContext, logarithm: boolean): FunctionReference {
  const name = logarithm ? "log_softmax_columns" : "softmax_columns";
  return context.module.function(name, signature, (body, record, begin, end) => {
    const { input, output, length, inner } = recordLocals(body, record, words);
    const pitch = body.local("i32", i32.shl(inner, 2));
    const whole = body.local("i32", i32.and(pitch, -16));
    const size = body.local("i32", i32.mul(length, pitch));
    body.forRange(begin, end, 1, (block) => {
      const skipped = body.local("i32", i32.mul(block, size));
      const source = body.local("i32", i32.add(input, skipped));
      const target = body.local("i32", i32.add(output, skipped));
      /** The columns at byte `column` of every row. */
      const columns = (column: Code<"i32">, lanes: 1 | 4): void => {
        const from = body.local("i32", i32.add(source, column));
        const to = body.local("i32", i32.add(target, column));
        const load = (address: Code<"i32">): Vector => (lanes === 4 ? v128.load(address) : v128.load32Zero(address));
        const store = (address: Code<"i32">, value: Vector): void =>
          lanes === 4 ? body.v128Store(address, value) : body.v128Store32Lane(address, value, 0);
        const largest = body.local("v128", f32x4.splat(-Infinity));
        body.forRange(0, size, pitch, (at) => body.set(largest, f32x4.pmax(largest, load(i32.add(from, at)))));
        const sum = body.local("v128", f32x4.splat(0));
        body.forRange(0, size, pitch, (at) => {
          const shifted = body.local("v128", f32x4.sub(load(i32.add(from, at)), largest));
          const power = body.local(
            "v128",
            lanes === 4 ? context.math.inline("exp", body, shifted) : context.math.exp(shifted),
          );
          if (!logarithm) store(i32.add(to, at), power);
          body.set(sum, f32x4.add(sum, power));
        });
        const factor = body.local("v128", finishing(context, logarithm, sum));
        body.forRange(0, size, pitch, (at) =>
          store(i32.add(to, at), finished(logarithm, load(i32.add(logarithm ? from : to, at)), largest, factor)),
        );
      };
      body.forRange(0, whole, 16, (column) => columns(column, 4));
      body.forRange(whole, pitch, 4, (column) => columns(column, 1));
    });
  });
}

/** Visits the byte offsets of a row's whole vectors, then of the elements behind them. */
function sweep(
  body: BodyBuilder,
  whole: Local<"i32">,
  bytes: Local<"i32">,
  visit: { readonly vector?: (at: Local<"i32">) => void; readonly single?: (at: Local<"i32">) => void },
): void {
  if (visit.vector) body.forRange(0, whole, 16, visit.vector);
  if (visit.single) body.forRange(whole, bytes, 4, visit.single);
}

/** What the last sweep needs: the reciprocal of the sum, or its logarithm. */
function finishing({ math }: WasmKernelContext, logarithm: boolean, sum: Vector): Vector {
  return logarithm ? math.log(sum) : f32x4.div(f32x4.splat(1), sum);
}

function finished(logarithm: boolean, value: Vector, largest: Vector, factor: Vector): Vector {
  return logarithm ? f32x4.sub(f32x4.sub(value, largest), factor) : f32x4.mul(value, factor);
}
