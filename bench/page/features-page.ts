/** What a page and its module worker can do here, and how the runtime takes a package in them. */
import { wrap } from "comlink";
import type { Feature } from "../measure/features.ts";
import { sessionFeatures } from "../measure/session-features.ts";
import type { FeaturesWorker } from "./features-worker.ts";

async function features(location: string): Promise<readonly Feature[]> {
  // A driven WebKit browses privately: there a cache lasts as long as somebody has it open.
  if (typeof caches !== "undefined") await caches.open("leafcutter");
  const worker = new Worker(new URL("./features-worker.ts", import.meta.url), { type: "module" });
  const failed = new Promise<never>((_, reject) => {
    worker.addEventListener("error", (event) => reject(new Error(event.message || "the worker did not load")));
  });
  try {
    const module = new URL(`${location}wasm-simd.wasm.deflate`, document.baseURI).href;
    const inWorker = await Promise.race([wrap<FeaturesWorker>(worker).measureFeatures(module), failed]);
    return [
      { name: "cross-origin isolated", seen: crossOriginIsolated ? "yes" : "no" },
      { name: "module workers", seen: "yes" },
      ...inWorker,
      ...(await sessionFeatures(location)),
    ];
  } finally {
    worker.terminate();
  }
}

Object.assign(globalThis, { leafcutterFeatures: features });
