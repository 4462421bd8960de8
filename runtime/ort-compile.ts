/** Compiles an ONNX model in the page: the compiler is a worker that is fetched when a model is, and ends with it. */
import type { CompileAnswer, CompileOrder } from "./format/compile-order.ts";
import { LeafcutterError, type PackageFiles } from "./index.ts";

function startCompiler(compilerUrl: string | URL | undefined): Worker {
  if (typeof Worker === "undefined") {
    throw new LeafcutterError({
      code: "feature-missing",
      message: "an ONNX model is compiled in a Web Worker, which this host does not have",
      advice: "Compile the model with the command line and create the session from the package.",
    });
  }
  return compilerUrl === undefined
    ? new Worker(new URL("../compiler/worker.ts", import.meta.url), { type: "module" })
    : new Worker(compilerUrl, { type: "module" });
}

/** Rejects with the compiler's LeafcutterError. */
export async function compileInWorker(
  order: CompileOrder,
  compilerUrl: string | URL | undefined,
): Promise<PackageFiles> {
  const worker = startCompiler(compilerUrl);
  try {
    const answer = await new Promise<CompileAnswer>((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data as CompileAnswer);
      worker.onerror = ({ message }) =>
        reject(
          new LeafcutterError({
            code: "worker-failed",
            message: "the compiler's worker failed",
            received: message || "its script did not load",
            advice: "Give the address of the built compiler/worker.js as extra.leafcutter.compilerUrl.",
          }),
        );
      worker.postMessage(order);
    });
    if (answer.kind === "failure") throw new LeafcutterError(answer.diagnostic);
    return answer.files;
  } finally {
    worker.terminate();
  }
}
