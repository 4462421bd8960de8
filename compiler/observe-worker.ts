/**
 * The entry of a calibration worker, in a Web Worker and in a thread of Node's worker_threads: takes generated code, then
 * observes batches of samples with it, one after the other, until it takes other code or is ended.
 */
import { type Diagnostic, LeafcutterError } from "../runtime/format/diagnostic.ts";
import { type GeneratedCode, openCode } from "./generated-code.ts";
import { type BatchOrder, type BatchResult, observeBatch } from "./quantize/observe-batch.ts";

export type ObserveRequest =
  | { readonly kind: "open"; readonly code: GeneratedCode }
  | { readonly kind: "observe"; readonly order: BatchOrder };

export type ObserveAnswer =
  | { readonly kind: "ready" }
  /** One more sample of the batch is done. */
  | { readonly kind: "sample" }
  | { readonly kind: "result"; readonly result: BatchResult }
  | { readonly kind: "failure"; readonly diagnostic: Diagnostic };

let engine: Awaited<ReturnType<typeof openCode>> | undefined;

async function obey(request: ObserveRequest, answer: (message: ObserveAnswer) => void): Promise<void> {
  try {
    if (request.kind === "open") {
      engine?.dispose();
      engine = undefined;
      engine = await openCode(request.code);
      return answer({ kind: "ready" });
    }
    const running = engine as Exclude<typeof engine, undefined>;
    const result = await observeBatch(async (sample) => (await running.run(sample)).outputs, request.order, {
      onSample: () => answer({ kind: "sample" }),
    });
    answer({ kind: "result", result });
  } catch (error) {
    const diagnostic: Diagnostic =
      error instanceof LeafcutterError
        ? error.diagnostic
        : { code: "internal", message: "calibration failed", received: String(error) };
    answer({ kind: "failure", diagnostic });
  }
}

const threads = typeof process === "undefined" ? undefined : process.getBuiltinModule?.("node:worker_threads");
const port = threads?.parentPort;
if (port) port.on("message", (request: ObserveRequest) => obey(request, (message) => port.postMessage(message)));
else {
  addEventListener("message", ({ data }: MessageEvent<ObserveRequest>) =>
    obey(data, (message) => postMessage(message)),
  );
}
