/**
 * WebAssembly of reductions. Rows: sixteen elements at a time into four accumulators, which are combined at the end.
 * Columns: sixteen neighbouring results at a time, down the reduced axis. The order never depends on the range.
 */
import type { Expression } from "../../../runtime/format/expression.ts";
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression as Code, FunctionReference, Local } from "../../assemble/expression.ts";
import { f32, i32, minimumS } from "../../assemble/scalar.ts";
import { f32x4, v128 } from "../../assemble/vector.ts";
import type { WasmKernelContext } from "../contract.ts";
import { applyToLanes } from "../expression/apply.ts";
import { allLanes } from "../expression/horizontal.ts";
import { recordLocals } from "../record.ts";
import { columnBlock } from "./variants.ts";

export interface ReduceShape {
  readonly vectorised: "reduced" | "inner";
  readonly combine: "add" | "multiply" | "maximum" | "minimum";
  readonly map: Expression | undefined;
  readonly finish: Expression | undefined;
}

type Vector = Code<"v128">;
type Address = Code<"i32">;
const words = ["input", "output", "reduced", "inner", "blocks"] as const;
type Words = { readonly [K in (typeof words)[number]]: Local<"i32"> };

const combinations = {
  add: { apply: f32x4.add, identity: 0 },
  multiply: { apply: f32x4.mul, identity: 1 },
  maximum: { apply: f32x4.max, identity: -Infinity },
  minimum: { apply: f32x4.min, identity: Infinity },
} as const;

export function emitReduce(context: WasmKernelContext, shape: ReduceShape): FunctionReference {
  return context.module.function(
    `reduce_${context.module.functionCount}`,
    { params: ["i32", "i32", "i32"], results: [] },
    (body, record, begin, end) => {
      const args = recordLocals(body, record, words);
      const emitter = new ReduceEmitter(context, shape, body, args);
      body.forRange(begin, end, 1, (index) =>
        shape.vectorised === "reduced" ? emitter.row(index) : emitter.block(index),
      );
    },
  );
}

class ReduceEmitter {
  readonly #context: WasmKernelContext;
  readonly #shape: ReduceShape;
  readonly #body: BodyBuilder;
  readonly #args: Words;
  readonly #count: Local<"v128">;

  constructor(context: WasmKernelContext, shape: ReduceShape, body: BodyBuilder, args: Words) {
    this.#context = context;
    this.#shape = shape;
    this.#body = body;
    this.#args = args;
    this.#count = body.local("v128", f32x4.splat(f32.convertI32U(args.reduced)));
  }

  /** One result from a contiguous row. */
  row(index: Local<"i32">): void {
    const body = this.#body;
    const { input, output, reduced } = this.#args;
    const cursor = body.local("i32", i32.add(input, i32.shl(i32.mul(index, reduced), 2)));
    const last = body.local("i32", i32.add(cursor, i32.shl(reduced, 2)));
    const accumulators = this.#accumulators(4);
    const [first] = accumulators;
    if (!first) return;
    this.#advance(cursor, last, 64, () =>
      accumulators.forEach((accumulator, place) => this.#add(accumulator, v128.load(cursor, { offset: place * 16 }))),
    );
    this.#advance(cursor, last, 16, () => this.#add(first, v128.load(cursor)));
    const { apply } = combinations[this.#shape.combine];
    for (const accumulator of accumulators.slice(1)) body.set(first, apply(first, accumulator));
    body.set(first, allLanes(body, first, apply));
    this.#advance(cursor, last, 4, () => this.#add(first, v128.load32Splat(cursor)));
    body.v128Store32Lane(i32.add(output, i32.shl(index, 2)), this.#finished(first), 0);
  }

  /** Up to `columnBlock` neighbouring results. */
  block(index: Local<"i32">): void {
    const body = this.#body;
    const { input, output, reduced, inner, blocks } = this.#args;
    const outer = body.local("i32", i32.divU(index, blocks));
    const column = body.local("i32", i32.mul(i32.sub(index, i32.mul(outer, blocks)), columnBlock));
    const left = body.local("i32", i32.sub(inner, column));
    const count = body.local("i32", minimumS(left, columnBlock));
    const source = body.local(
      "i32",
      i32.add(input, i32.shl(i32.add(i32.mul(i32.mul(outer, reduced), inner), column), 2)),
    );
    const target = body.local("i32", i32.add(output, i32.shl(i32.add(i32.mul(outer, inner), column), 2)));
    const stop = body.local("i32", i32.add(source, i32.shl(count, 2)));
    for (const width of [columnBlock, 4, 1]) {
      this.#advance(source, stop, width * 4, () => {
        this.#columns(source, target, width);
        body.set(target, i32.add(target, width * 4));
      });
    }
  }

  /** `width` results (a multiple of four, or one) from the columns at `source`. */
  #columns(source: Local<"i32">, target: Local<"i32">, width: number): void {
    const body = this.#body;
    const { reduced, inner } = this.#args;
    const accumulators = this.#accumulators(Math.ceil(width / 4));
    const cursor = body.local("i32", source);
    const pitch = body.local("i32", i32.shl(inner, 2));
    body.forRange(0, reduced, 1, () => {
      accumulators.forEach((accumulator, place) => {
        const offset = place * 16;
        this.#add(accumulator, width === 1 ? v128.load32Zero(cursor) : v128.load(cursor, { offset }));
      });
      body.set(cursor, i32.add(cursor, pitch));
    });
    accumulators.forEach((accumulator, place) => {
      if (width === 1) body.v128Store32Lane(target, this.#finished(accumulator), 0);
      else body.v128Store(target, this.#finished(accumulator), { offset: place * 16 });
    });
  }

  /** Repeats `statements` while `step` bytes are left before `last`, moving `cursor` on. */
  #advance(cursor: Local<"i32">, last: Address, step: number, statements: () => void): void {
    const body = this.#body;
    const limit = body.local("i32", i32.sub(last, step));
    body.if(i32.leU(cursor, limit), () => {
      body.loop((again) => {
        body.scope(statements);
        body.set(cursor, i32.add(cursor, step));
        body.branchIf(again, i32.leU(cursor, limit));
      });
    });
  }

  #accumulators(count: number): readonly Local<"v128">[] {
    const { identity } = combinations[this.#shape.combine];
    return Array.from({ length: count }, () => this.#body.local("v128", f32x4.splat(identity)));
  }

  #add(accumulator: Local<"v128">, element: Vector): void {
    const { combine, map } = this.#shape;
    this.#body.scope(() => {
      const held = map ? this.#body.local("v128", element) : element;
      const term = applyToLanes(this.#body, this.#context.math, map, [held]);
      this.#body.set(accumulator, combinations[combine].apply(accumulator, term));
    });
  }

  #finished(value: Local<"v128">): Vector {
    return applyToLanes(this.#body, this.#context.math, this.#shape.finish, [value, this.#count]);
  }
}
