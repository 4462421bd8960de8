/** A contiguous row copied: by the engine when it is long, else sixteen, eight or four bytes at a time, the last ones overlapping. */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression as Code, Local } from "../../assemble/expression.ts";
import { i32, i64 } from "../../assemble/scalar.ts";
import { v128 } from "../../assemble/vector.ts";

/** From here on a call of the engine's copy pays. */
const longRowBytes = 1024;

/** Copies `bytes` bytes, a multiple of `elementBytes`, between rows that are apart or the same. */
export function emitRowCopy(
  body: BodyBuilder,
  elementBytes: number,
  to: Code<"i32">,
  from: Code<"i32">,
  bytes: Local<"i32">,
): void {
  body.if(
    i32.geU(bytes, longRowBytes),
    () => body.memoryCopy(to, from, bytes),
    () =>
      body.if(
        i32.geU(bytes, 16),
        () => {
          const last = body.local("i32", i32.sub(bytes, 16));
          body.forRange(0, last, 16, (at) => body.v128Store(i32.add(to, at), v128.load(i32.add(from, at))));
          body.v128Store(i32.add(to, last), v128.load(i32.add(from, last)));
        },
        () => emitShortCopy(body, elementBytes, to, from, bytes),
      ),
  );
}

/** Fewer than sixteen bytes: two overlapping pieces of eight or four where they fit, else element by element. */
function emitShortCopy(
  body: BodyBuilder,
  elementBytes: number,
  to: Code<"i32">,
  from: Code<"i32">,
  bytes: Local<"i32">,
): void {
  const ends = (size: number, move: (offset: Code<"i32">) => void): void => {
    const last = body.local("i32", i32.sub(bytes, size));
    move(i32.const(0));
    move(last);
  };
  body.if(
    i32.geU(bytes, 8),
    () => ends(8, (at) => body.i64Store(i32.add(to, at), i64.load(i32.add(from, at)))),
    () =>
      body.if(
        i32.geU(bytes, 4),
        () => ends(4, (at) => body.i32Store(i32.add(to, at), i32.load(i32.add(from, at)))),
        () =>
          body.forRange(0, bytes, Math.min(elementBytes, 2), (at) => {
            const [target, source] = [i32.add(to, at), i32.add(from, at)];
            if (elementBytes >= 2) body.i32Store16(target, i32.load16U(source));
            else body.i32Store8(target, i32.load8U(source));
          }),
      ),
  );
}
