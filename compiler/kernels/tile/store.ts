/** Storing the channels of one pixel: all of a panel, or the valid ones of a ragged last panel. */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression, FunctionReference, Local } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";
import type { WasmKernelContext } from "../contract.ts";

type Vector = Expression<"v128">;

/** The first `valid` floats of `values` go to `address`; nothing behind them is touched. */
export function storeValid(
  context: WasmKernelContext,
  body: BodyBuilder,
  address: Expression<"i32">,
  values: readonly Vector[],
  valid: Expression<"i32">,
): void {
  body.call(partialStore(context, values.length), address, valid, ...values);
}

/** Whether all channels of the panel are valid decides between vector stores and `storeValid`. */
export function storeTile(
  context: WasmKernelContext,
  body: BodyBuilder,
  addresses: readonly Expression<"i32">[],
  values: readonly (readonly Vector[])[],
  valid: Local<"i32">,
): void {
  const width = (values[0]?.length ?? 0) * 4;
  body.if(
    i32.eq(valid, width),
    () =>
      addresses.forEach((address, row) => {
        values[row]?.forEach((value, j) => {
          body.v128Store(address, value, { offset: j * 16 });
        });
      }),
    () =>
      addresses.forEach((address, row) => {
        storeValid(context, body, address, values[row] ?? [], valid);
      }),
  );
}

function partialStore(context: WasmKernelContext, vectors: number): FunctionReference {
  return context.shared(`store ${vectors}`, () =>
    context.module.function(
      `store_${vectors}`,
      { params: ["i32", "i32", ...Array.from({ length: vectors }, () => "v128" as const)], results: [] },
      (body, address, valid, ...values) => {
        const [to, count] = [address, valid] as readonly [Local<"i32">, Local<"i32">];
        (values as readonly Local<"v128">[]).forEach((value, j) => {
          body.block((stored) => {
            body.if(i32.geS(count, 4 * j + 4), () => {
              body.v128Store(to, value, { offset: j * 16 });
              body.branch(stored);
            });
            for (let lane = 0; lane < 3; lane++) {
              body.if(i32.leS(count, 4 * j + lane), () => body.return());
              body.v128Store32Lane(to, value, lane, { offset: j * 16 + lane * 4 });
            }
            body.return();
          });
        });
      },
    ),
  );
}
