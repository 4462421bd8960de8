/**
 * The demo's page: `vite demo` serves it, `vite build demo` writes demo/dist for any static host. Cross-origin isolation
 * gives the page timers of 5 µs instead of 100 µs; nothing else needs it.
 */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

const root = dirname(fileURLToPath(import.meta.url));
const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/** The runtime names its worker's source a second time, for threads of Node: a page has no use for that copy. */
function withoutSources(): Plugin {
  return {
    name: "demo:without-sources",
    generateBundle(_, bundle) {
      for (const file of Object.keys(bundle)) if (file.endsWith(".ts")) delete bundle[file];
    },
  };
}

export default defineConfig({
  root,
  base: "./",
  publicDir: false,
  plugins: [withoutSources()],
  server: { headers: isolation, fs: { allow: [dirname(root)] } },
  preview: { headers: isolation },
  worker: { format: "es" },
  build: { target: "es2022", assetsInlineLimit: 0 },
  /** What only workers import is not found by the scan of the page; onnxruntime-web finds its WASM beside itself. */
  optimizeDeps: {
    include: ["comlink", "comlink/dist/esm/comlink.mjs", "comlink/dist/esm/node-adapter.mjs", "pbf", "fflate"],
    exclude: ["onnxruntime-web"],
  },
});
