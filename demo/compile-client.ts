/** Compiles a model in a worker that lives as long as the compile. */
import { proxy, wrap } from "comlink";
import type { Package } from "../compiler/compile.ts";
import { LeafcutterError } from "../runtime/index.ts";
import type { CompileApi, CompileRequest, StageProgress } from "./compile-worker.ts";
import { unwrap } from "./outcome.ts";

/** Rejects with a LeafcutterError; with code "aborted" when `signal` ends it. */
export async function compileInWorker(
  request: CompileRequest,
  onProgress: StageProgress,
  signal: AbortSignal,
): Promise<Package> {
  const worker = new Worker(new URL("./compile-worker.ts", import.meta.url), { type: "module", name: "compiler" });
  try {
    const ended = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () =>
        reject(new LeafcutterError({ code: "aborted", message: "the compile was stopped" })),
      );
      worker.addEventListener("error", (event) =>
        reject(
          new LeafcutterError({
            code: "worker-failed",
            message: "the compiler's worker failed",
            received: event.message,
          }),
        ),
      );
    });
    signal.throwIfAborted();
    return unwrap(await Promise.race([wrap<CompileApi>(worker).compile(request, proxy(onProgress)), ended]));
  } finally {
    worker.terminate();
  }
}
