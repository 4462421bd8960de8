/** The metric in a JavaScript module of the user's. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { type Metric, metricFrom } from "../compile.ts";

/** Throws file-missing, or option-invalid for a module that does not load or exports something else. */
export async function loadMetric(path: string): Promise<Metric> {
  const where = `--metric ${path}`;
  const receivedOf = (cause: unknown): string =>
    cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  const source = await readFile(path).catch((cause: unknown) => {
    const received = receivedOf(cause);
    throw new LeafcutterError(
      { code: "file-missing", where, message: "the module cannot be read", received },
      { cause },
    );
  });
  const url = pathToFileURL(resolve(path)).href;
  const module = (await import(/* @vite-ignore */ url).catch((cause: unknown) => {
    throw new LeafcutterError(
      {
        code: "option-invalid",
        where,
        message: "the module does not load",
        expected: "an ES module (.mjs) with a default export",
        received: receivedOf(cause),
        advice: `Try it alone: node ${path}`,
      },
      { cause },
    );
  })) as { readonly default?: unknown };
  return metricFrom(
    module.default,
    basename(path).replace(/\.\w+$/, ""),
    createHash("sha256").update(source).digest("hex"),
  );
}
