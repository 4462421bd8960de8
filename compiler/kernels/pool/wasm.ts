/**
 * WebAssembly of pooling. Per output row and pixel the part of the window inside the input is computed once; then
 * channels run eight, four and one at a time. Whole small windows are unrolled.
 */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression as Code, FunctionReference, Local } from "../../assemble/expression.ts";
import { select } from "../../assemble/expression.ts";
import { f32, i32, maximumS, minimumS } from "../../assemble/scalar.ts";
import { multiplyAdd } from "../../assemble/target.ts";
import { f32x4, v128 } from "../../assemble/vector.ts";
import type { WasmKernelContext } from "../contract.ts";
import { applyToLanes } from "../expression/apply.ts";
import { recordLocals } from "../record.ts";
import { emitBytePixel } from "./bytes.ts";
import { type Clip, type PoolArguments, type PoolAxis, type PoolShape, poolWords } from "./shape.ts";

type Address = Code<"i32">;
type Vector = Code<"v128">;

/** Windows of at most so many elements are unrolled. */
const unrolledLimit = 9;

/** What runs over the elements of a window: `vectors` times four channels, or a single one. */
interface Group {
  readonly vectors: number;
  readonly lanes: 1 | 4;
}

export function emitPool(context: WasmKernelContext, shape: PoolShape): FunctionReference {
  return context.module.function(
    `pool_${context.module.functionCount}`,
    { params: ["i32", "i32", "i32"], results: [] },
    (body, record, begin, end) => {
      const args = recordLocals(body, record, poolWords);
      body.forRange(begin, end, 1, (row) => {
        const image = body.local("i32", i32.divU(row, args.outputHeight));
        const y = body.local("i32", i32.sub(row, i32.mul(image, args.outputHeight)));
        const vertical = clip(body, shape.vertical, y, args.height, args.countedHeight);
        const source = body.local(
          "i32",
          i32.add(i32.add(args.input, i32.mul(image, args.inputImage)), i32.mul(vertical.start, args.inputRow)),
        );
        const target = body.local(
          "i32",
          i32.add(i32.add(args.output, i32.mul(image, args.outputImage)), i32.mul(y, args.outputRow)),
        );
        body.forRange(0, args.outputWidth, 1, (x) => {
          const horizontal = clip(body, shape.horizontal, x, args.width, args.countedWidth);
          const first = body.local("i32", i32.add(source, i32.mul(horizontal.start, args.inputPixel)));
          if (shape.dtype === "float32")
            new PoolPixel(context, shape, body, args, vertical, horizontal).emit(first, target);
          else emitBytePixel(body, shape, args, vertical, horizontal, first, target);
          body.set(target, i32.add(target, args.outputPixel));
        });
      });
    },
  );
}

function clip(
  body: BodyBuilder,
  { kernel, stride, dilation, pad }: PoolAxis,
  position: Local<"i32">,
  extent: Local<"i32">,
  counted: Local<"i32">,
): Clip {
  const begin = body.local("i32", i32.sub(i32.mul(position, stride), pad));
  /** Taps from `from` on that stand before `limit`, both relative to the window's start. */
  const tapsBefore = (distance: Code<"i32">): Code<"i32"> => {
    const held = body.local("i32", distance);
    const taps = body.local("i32", i32.divS(i32.add(held, dilation - 1), dilation));
    return minimumS(body.local("i32", select("i32", i32.gtS(held, 0), taps, 0)), kernel);
  };
  const skipped = body.local("i32", tapsBefore(i32.sub(0, begin)));
  const inside = body.local("i32", tapsBefore(i32.sub(extent, begin)));
  const count = body.local("i32", i32.sub(inside, skipped));
  return {
    start: body.local("i32", i32.add(begin, i32.mul(skipped, dilation))),
    count: body.local("i32", maximumS(count, 0)),
    counted: body.local("i32", tapsBefore(i32.sub(i32.sub(counted, pad), begin))),
  };
}

class PoolPixel {
  readonly #context: WasmKernelContext;
  readonly #shape: PoolShape;
  readonly #body: BodyBuilder;
  readonly #args: PoolArguments;
  readonly #vertical: Clip;
  readonly #horizontal: Clip;

  constructor(
    context: WasmKernelContext,
    shape: PoolShape,
    body: BodyBuilder,
    args: PoolArguments,
    vertical: Clip,
    horizontal: Clip,
  ) {
    this.#context = context;
    this.#shape = shape;
    this.#body = body;
    this.#args = args;
    this.#vertical = vertical;
    this.#horizontal = horizontal;
  }

  /** All channels of the pixel: `source` is the first tap inside, `target` the output pixel. */
  emit(source: Local<"i32">, target: Local<"i32">): void {
    const { vertical, horizontal, mode, countIncludePad } = this.#shape;
    const body = this.#body;
    const taps = vertical.kernel * horizontal.kernel;
    const divisor =
      mode === "average"
        ? body.local(
            "v128",
            f32x4.splat(
              f32.convertI32S(
                countIncludePad
                  ? i32.mul(this.#vertical.counted, this.#horizontal.counted)
                  : i32.mul(this.#vertical.count, this.#horizontal.count),
              ),
            ),
          )
        : undefined;
    const channel = body.local("i32", 0);
    const groups = (unrolled: boolean): void => {
      for (const group of [
        { vectors: 2, lanes: 4 },
        { vectors: 1, lanes: 4 },
      ] as const)
        this.#channels(channel, group, source, target, divisor, unrolled);
    };
    if (taps <= unrolledLimit) {
      const whole = i32.and(
        i32.eq(this.#vertical.count, vertical.kernel),
        i32.eq(this.#horizontal.count, horizontal.kernel),
      );
      body.if(
        whole,
        () => groups(true),
        () => groups(false),
      );
    } else groups(false);
    this.#channels(channel, { vectors: 1, lanes: 1 }, source, target, divisor, false);
  }

  #channels(
    channel: Local<"i32">,
    group: Group,
    source: Local<"i32">,
    target: Local<"i32">,
    divisor: Vector | undefined,
    unrolled: boolean,
  ): void {
    const body = this.#body;
    const width = group.vectors * group.lanes;
    const last = body.local("i32", i32.sub(this.#args.channels, width));
    body.block((done) => {
      body.loop((again) => {
        body.branchIf(done, i32.gtS(channel, last));
        body.scope(() => {
          const bytes = body.local("i32", i32.shl(channel, 2));
          const from = body.local("i32", i32.add(source, bytes));
          const to = body.local("i32", i32.add(target, bytes));
          this.#window(group, from, unrolled).forEach((value, index) => {
            const result = this.#finish(value, divisor);
            if (group.lanes === 4) body.v128Store(to, result, { offset: index * 16 });
            else body.v128Store32Lane(to, result, 0);
          });
        });
        body.set(channel, i32.add(channel, width));
        body.branch(again);
      });
    });
  }

  /** The window's elements combined, per vector of the group: the value, and for max a mask of lanes that saw NaN. */
  #window(group: Group, from: Local<"i32">, unrolled: boolean): readonly Vector[] {
    const body = this.#body;
    const { vertical, horizontal, mode } = this.#shape;
    const initial = mode === "max" ? f32x4.splat(-Infinity) : f32x4.splat(0);
    const sums = Array.from({ length: group.vectors }, () => body.local("v128", initial));
    const flags = mode === "max" ? sums.map(() => body.local("v128", f32x4.splat(0))) : [];
    const visit = (address: Address): void => {
      sums.forEach((sum, index) => {
        const offset = index * 16;
        const load = group.lanes === 4 ? v128.load(address, { offset }) : v128.load32Zero(address, { offset });
        const x = body.local("v128", load);
        body.set(sum, this.#combine(sum, x));
        const flag = flags[index];
        if (flag) body.set(flag, v128.or(flag, f32x4.ne(x, x)));
      });
    };
    const rowStep = i32.mul(this.#args.inputRow, vertical.dilation);
    const pixelStep = i32.mul(this.#args.inputPixel, horizontal.dilation);
    if (unrolled) {
      const row = body.local("i32", from);
      const tap = body.local("i32");
      for (let y = 0; y < vertical.kernel; y++) {
        if (y > 0) body.set(row, i32.add(row, rowStep));
        body.set(tap, row);
        for (let x = 0; x < horizontal.kernel; x++) {
          if (x > 0) body.set(tap, i32.add(tap, pixelStep));
          body.scope(() => visit(tap));
        }
      }
    } else {
      const row = body.local("i32", from);
      body.forRange(0, this.#vertical.count, 1, () => {
        const tap = body.local("i32", row);
        body.forRange(0, this.#horizontal.count, 1, () => {
          visit(tap);
          body.set(tap, i32.add(tap, pixelStep));
        });
        body.set(row, i32.add(row, rowStep));
      });
    }
    // A mask of all ones is a NaN.
    return sums.map((sum, index) => (flags[index] ? v128.or(sum, flags[index] as Vector) : sum));
  }

  /** `sum` with one more element. For max the cheap form that ignores NaN. */
  #combine(sum: Vector, x: Local<"v128">): Vector {
    const { mode, norm } = this.#shape;
    if (mode === "max") return f32x4.pmax(sum, x);
    if (mode === "average") return f32x4.add(sum, x);
    if (norm === 1) return f32x4.add(sum, f32x4.abs(x));
    if (norm === 2) return multiplyAdd(this.#context.target, x, x, sum);
    return f32x4.add(sum, this.#context.math.power(f32x4.abs(x), f32x4.splat(norm)));
  }

  #finish(value: Vector, divisor: Vector | undefined): Vector {
    const { mode, norm, epilogue } = this.#shape;
    const { math } = this.#context;
    const body = this.#body;
    let result = value;
    if (divisor) result = f32x4.div(value, divisor);
    else if (mode === "lp" && norm === 2) result = f32x4.sqrt(value);
    else if (mode === "lp" && norm !== 1) result = math.power(value, f32x4.splat(1 / norm));
    return applyToLanes(body, math, epilogue, [body.local("v128", result)]);
  }
}
