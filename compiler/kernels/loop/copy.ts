/** A contiguous row copied: by the engine when it is long, sixteen bytes at a time otherwise, the last sixteen overlapping. */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression as Code, Local } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";
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
        () =>
          body.forRange(0, bytes, Math.min(elementBytes, 4), (at) => {
            const [target, source] = [i32.add(to, at), i32.add(from, at)];
            if (elementBytes >= 4) body.i32Store(target, i32.load(source));
            else if (elementBytes === 2) body.i32Store16(target, i32.load16U(source));
            else body.i32Store8(target, i32.load8U(source));
          }),
      ),
  );
}
