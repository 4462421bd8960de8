/** Activations widened to int16 in scratch, where every panel of weights reads them. */
import type { Expression, FunctionReference, Local } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";
import { i16x8, v128 } from "../../assemble/vector.ts";
import type { WasmKernelContext } from "../contract.ts";

/** Function (count, bytes, from, from step, to, to step): `count` stretches of `bytes` bytes each, steps in bytes. */
export function widenActivations(
  context: WasmKernelContext,
  dtype: "int8" | "uint8",
): FunctionReference<readonly ["i32", "i32", "i32", "i32", "i32", "i32"], readonly []> {
  const isSigned = dtype === "int8";
  const [low, high] = isSigned
    ? [i16x8.extendLowI8x16S, i16x8.extendHighI8x16S]
    : [i16x8.extendLowI8x16U, i16x8.extendHighI8x16U];
  return context.shared(`widen activations ${dtype}`, () =>
    context.module.function(
      `widen_${dtype}`,
      { params: ["i32", "i32", "i32", "i32", "i32", "i32"], results: [] },
      (body, count, bytes, from, fromStep, to, toStep) => {
        const sixteen = (source: Expression<"i32">, target: Local<"i32">): void => {
          const values = body.local("v128", v128.load(source));
          body.v128Store(target, low(values));
          body.v128Store(target, high(values), { offset: 16 });
        };
        const whole = body.local("i32", i32.and(bytes, -16));
        body.forRange(0, count, 1, () => {
          const source = body.local("i32", from);
          const target = body.local("i32", to);
          body.forRange(0, whole, 16, () => {
            sixteen(source, target);
            body.set(source, i32.add(source, 16));
            body.set(target, i32.add(target, 32));
          });
          body.if(i32.ne(whole, bytes), () => {
            body.if(
              whole,
              // The last sixteen overlap those before them.
              () => {
                const back = body.local("i32", i32.sub(16, i32.and(bytes, 15)));
                body.set(target, i32.sub(target, i32.shl(back, 1)));
                sixteen(i32.sub(source, back), target);
              },
              () => {
                body.forRange(0, bytes, 1, () => {
                  body.i32Store16(target, (isSigned ? i32.load8S : i32.load8U)(source));
                  body.set(source, i32.add(source, 1));
                  body.set(target, i32.add(target, 2));
                });
              },
            );
          });
          body.set(from, i32.add(from, fromStep));
          body.set(to, i32.add(to, toStep));
        });
      },
    ),
  ) as FunctionReference<readonly ["i32", "i32", "i32", "i32", "i32", "i32"], readonly []>;
}
