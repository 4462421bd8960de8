/** The largest elements of windows of 8-bit integers: sixteen, eight or one channel at a time, the last ones again where they are ragged. */
import type { BodyBuilder } from "../../assemble/body.ts";
import { type Expression as Code, type Local, select } from "../../assemble/expression.ts";
import { i32, minimumS } from "../../assemble/scalar.ts";
import { i8x16, v128 } from "../../assemble/vector.ts";
import type { Clip, PoolArguments, PoolShape } from "./shape.ts";

/** Windows of at most so many elements are unrolled. */
const unrolledLimit = 9;

/** All channels of a pixel: `source` is the first tap inside, `target` the output pixel. */
export function emitBytePixel(
  body: BodyBuilder,
  { dtype, vertical, horizontal }: PoolShape,
  args: PoolArguments,
  rows: Clip,
  columns: Clip,
  source: Local<"i32">,
  target: Local<"i32">,
): void {
  const isSigned = dtype === "int8";
  const rowStep = body.local("i32", i32.mul(args.inputRow, vertical.dilation));
  const pixelStep = body.local("i32", i32.mul(args.inputPixel, horizontal.dilation));
  const unrolled = vertical.kernel * horizontal.kernel <= unrolledLimit;
  const isWhole = i32.and(i32.eq(rows.count, vertical.kernel), i32.eq(columns.count, horizontal.kernel));
  /** Calls `visit` with the address of every tap inside, from the first one on. */
  const taps = (from: Local<"i32">, whole: boolean, visit: (tap: Local<"i32">) => void): void => {
    const row = body.local("i32", from);
    const tap = body.local("i32");
    if (whole) {
      for (let y = 0; y < vertical.kernel; y++) {
        body.set(tap, row);
        for (let x = 0; x < horizontal.kernel; x++) {
          visit(tap);
          if (x + 1 < horizontal.kernel) body.set(tap, i32.add(tap, pixelStep));
        }
        if (y + 1 < vertical.kernel) body.set(row, i32.add(row, rowStep));
      }
      return;
    }
    body.forRange(0, rows.count, 1, () => {
      body.set(tap, row);
      body.forRange(0, columns.count, 1, () => {
        visit(tap);
        body.set(tap, i32.add(tap, pixelStep));
      });
      body.set(row, i32.add(row, rowStep));
    });
  };
  const either = (statements: (whole: boolean) => void): void => {
    if (!unrolled) statements(false);
    else
      body.if(
        isWhole,
        () => statements(true),
        () => statements(false),
      );
  };
  const largest = isSigned ? i8x16.maxS : i8x16.maxU;
  const lowest = body.local("v128", i8x16.splat(isSigned ? -128 : 0));
  const vectors = (lanes: 8 | 16): void => {
    const last = body.local("i32", i32.sub(args.channels, lanes));
    either((whole) =>
      body.forRange(0, args.channels, lanes, (block) => {
        const channel = body.local("i32", minimumS(block, last));
        const value = body.local("v128", lowest);
        const load = (tap: Code<"i32">): Code<"v128"> => (lanes === 16 ? v128.load(tap) : v128.load64Zero(tap));
        taps(body.local("i32", i32.add(source, channel)), whole, (tap) => body.set(value, largest(value, load(tap))));
        const to = i32.add(target, channel);
        if (lanes === 16) body.v128Store(to, value);
        else body.v128Store64Lane(to, value, 0);
      }),
    );
  };
  const bytes = (): void =>
    body.forRange(0, args.channels, 1, (channel) => {
      const value = body.local("i32", isSigned ? -128 : 0);
      taps(body.local("i32", i32.add(source, channel)), false, (tap) => {
        const x = body.local("i32", isSigned ? i32.load8S(tap) : i32.load8U(tap));
        body.set(value, select("i32", i32.gtS(x, value), x, value));
      });
      body.i32Store8(i32.add(target, channel), value);
    });
  body.if(
    i32.geS(args.channels, 16),
    () => vectors(16),
    () => body.if(i32.geS(args.channels, 8), () => vectors(8), bytes),
  );
}
