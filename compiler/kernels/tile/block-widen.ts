/** Panels of int4 and nf4 weights (block-layout.ts) widened to float32 in scratch. */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { FunctionReference, Local } from "../../assemble/expression.ts";
import { i32, minimumS } from "../../assemble/scalar.ts";
import { f32x4, v128 } from "../../assemble/vector.ts";
import type { WasmKernelContext } from "../contract.ts";
import type { StoredWeights } from "../problem.ts";
import { blockBias, blockScales, nibbleLanes, zeroBytes } from "./block-lanes.ts";
import { type BlockWeights, blockFront, blockLayout, weightForm } from "./block-layout.ts";
import { readyPanel } from "./panel.ts";

type WidenReference = FunctionReference<readonly ["i32", "i32", "i32", "i32"], readonly []>;

/** Function (panel, scratch, depth, run). */
function widenBlocks(context: WasmKernelContext, blocks: BlockWeights, width: number): WidenReference {
  const { kind, size, zeros, scaleType, bias } = blocks;
  const key = `widen ${kind} ${size} ${zeros ? "zeros" : "symmetric"} ${scaleType} ${width}${bias ? " bias" : ""}`;
  const { head } = blockLayout(blocks, width);
  const vectors = width / 4;
  const define = (): FunctionReference =>
    context.module.function(
      key.replaceAll(" ", "_"),
      { params: ["i32", "i32", "i32", "i32"], results: [] },
      (body, panel, to, depth, run) => {
        blockBias(body, blocks, width, panel).forEach((bias, j) => body.v128Store(to, bias, { offset: j * 16 }));
        body.set(panel, i32.add(panel, blockFront(blocks, width)));
        body.set(to, i32.add(to, 4 * width));
        const end = body.local("i32", i32.add(to, i32.mul(depth, 4 * width)));
        const left = body.local("i32", run);
        body.hoistConstants(() =>
          body.loop((again) => {
            body.scope(() => {
              const scales = blockScales(body, blocks, width, panel);
              const zero = kind === "int4" ? zeroBytes(body, blocks, width, panel) : undefined;
              body.set(panel, i32.add(panel, head));
              const at = body.local("i32", to);
              body.set(to, i32.add(to, i32.mul(minimumS(left, size), 4 * width)));
              body.loop((more) => {
                body.scope(() => {
                  nibbleLanes(body, context.target, v128.load(panel), zero).forEach((lanes, v) => {
                    const scale = scales[v % vectors] as Local<"v128">;
                    body.v128Store(at, f32x4.mul(lanes, scale), { offset: v * 16 });
                  });
                });
                body.set(panel, i32.add(panel, 16));
                body.branchIf(more, i32.ltS(body.tee(at, i32.add(at, 128)), to));
              });
              body.set(left, i32.sub(left, size));
              body.if(i32.leS(left, 0), () => body.set(left, run));
            });
            body.branchIf(again, i32.ltS(to, end));
          }),
        );
      },
    );
  return context.shared(key, define) as WidenReference;
}

/** As readyPanel for weights of any storage; `run`: the steps along which blocks lie. */
export function readyWeights(
  context: WasmKernelContext,
  weights: StoredWeights,
  width: number,
  body: BodyBuilder,
  panel: Local<"i32">,
  scratch: Local<"i32"> | undefined,
  depth: Local<"i32">,
  run: Local<"i32">,
): Local<"i32"> {
  const form = weightForm(weights);
  if (typeof form === "string") return readyPanel(context, form, width, body, panel, scratch, depth);
  if (!scratch) throw new RangeError("weights in blocks are widened in scratch");
  body.call(widenBlocks(context, form, width), panel, scratch, depth, run);
  return scratch;
}
