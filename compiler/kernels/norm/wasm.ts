/**
 * WebAssembly of normalised rows: the mean, then the mean of the squared differences, then the result. Sums run in
 * four accumulators of four lanes. Reading and writing in place is fine.
 */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression as Code, FunctionReference, Local } from "../../assemble/expression.ts";
import { f32, i32 } from "../../assemble/scalar.ts";
import { multiplyAdd } from "../../assemble/target.ts";
import { f32x4, v128 } from "../../assemble/vector.ts";
import type { WasmKernelContext } from "../contract.ts";
import { allLanes } from "../expression/horizontal.ts";
import { recordLocals } from "../record.ts";

export interface NormShape {
  /** Whether the mean is subtracted. */
  readonly centered: boolean;
  /** Whether scale and shift belong to an element of the row or to the whole row. */
  readonly affine: "element" | "row" | "none";
  readonly scale: boolean;
  readonly shift: boolean;
}

type Vector = Code<"v128">;
const words = ["input", "output", "scale", "shift", "length", "channels", "epsilon"] as const;

export function emitNorm(context: WasmKernelContext, shape: NormShape): FunctionReference {
  return context.module.function(
    `norm_${context.module.functionCount}`,
    { params: ["i32", "i32", "i32"], results: [] },
    (body, record, begin, end) => {
      const args = recordLocals(body, record, words);
      const rowBytes = body.local("i32", i32.shl(args.length, 2));
      const count = body.local("v128", f32x4.splat(f32.convertI32U(args.length)));
      const epsilon = body.local("v128", f32x4.splat(f32.reinterpretI32(args.epsilon)));
      body.forRange(begin, end, 1, (row) => {
        const skipped = body.local("i32", i32.mul(row, rowBytes));
        const source = body.local("i32", i32.add(args.input, skipped));
        const target = body.local("i32", i32.add(args.output, skipped));
        const mean = body.local("v128", f32x4.splat(0));
        if (shape.centered)
          body.set(
            mean,
            f32x4.div(
              sumOf(body, source, rowBytes, (x, sum) => f32x4.add(sum, x)),
              count,
            ),
          );
        const squares = sumOf(body, source, rowBytes, (x, sum) => {
          const difference = shape.centered ? body.local("v128", f32x4.sub(x, mean)) : body.local("v128", x);
          return multiplyAdd(context.target, difference, difference, sum);
        });
        const deviation = f32x4.sqrt(f32x4.add(f32x4.div(squares, count), epsilon));
        const factor = body.local("v128", f32x4.div(f32x4.splat(1), deviation));
        const channel = body.local("i32", i32.shl(i32.remU(row, args.channels), 2));
        const ofRow = shape.affine === "row";
        const rowScale = shape.scale && ofRow ? v128.load32Splat(i32.add(args.scale, channel)) : undefined;
        if (rowScale) body.set(factor, f32x4.mul(factor, rowScale));
        const rowShift =
          shape.shift && ofRow ? body.local("v128", v128.load32Splat(i32.add(args.shift, channel))) : undefined;
        /** The results at byte `at` of the row from its elements; `load` reads as many. */
        const result = (at: Local<"i32">, load: (address: Code<"i32">) => Vector): Vector => {
          const x = load(i32.add(source, at));
          let value: Vector = f32x4.mul(shape.centered ? f32x4.sub(x, mean) : x, factor);
          const ofElement = shape.affine === "element";
          if (shape.scale && ofElement) value = f32x4.mul(value, load(i32.add(args.scale, at)));
          if (shape.shift && ofElement) value = f32x4.add(value, load(i32.add(args.shift, at)));
          return rowShift ? f32x4.add(value, rowShift) : value;
        };
        const whole = body.local("i32", i32.and(rowBytes, -16));
        body.forRange(0, whole, 16, (at) =>
          body.v128Store(
            i32.add(target, at),
            result(at, (address) => v128.load(address)),
          ),
        );
        body.forRange(whole, rowBytes, 4, (at) =>
          body.v128Store32Lane(
            i32.add(target, at),
            result(at, (address) => v128.load32Zero(address)),
            0,
          ),
        );
      });
    },
  );
}

/** The sum over a row, in every lane; `add` gives a sum with one more vector. */
function sumOf(
  body: BodyBuilder,
  source: Local<"i32">,
  bytes: Local<"i32">,
  add: (x: Vector, sum: Vector) => Vector,
): Local<"v128"> {
  const sums = Array.from({ length: 4 }, () => body.local("v128", f32x4.splat(0)));
  const [first] = sums as [Local<"v128">];
  const at = body.local("i32", 0);
  const advance = (step: number, statements: (address: Code<"i32">) => void): void => {
    const limit = body.local("i32", i32.sub(bytes, step));
    body.if(i32.leS(at, limit), () => {
      body.loop((again) => {
        body.scope(() => statements(i32.add(source, at)));
        body.set(at, i32.add(at, step));
        body.branchIf(again, i32.leS(at, limit));
      });
    });
  };
  advance(64, (address) =>
    sums.forEach((sum, place) => body.set(sum, add(v128.load(address, { offset: place * 16 }), sum))),
  );
  advance(16, (address) => body.set(first, add(v128.load(address), first)));
  for (const sum of sums.slice(1)) body.set(first, f32x4.add(first, sum));
  body.set(first, allLanes(body, first, f32x4.add));
  advance(4, (address) => body.set(first, add(v128.load32Splat(address), first)));
  return first;
}
