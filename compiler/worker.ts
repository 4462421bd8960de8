/** The compiler as a module worker, one model in its life: a CompileOrder in, a CompileAnswer out. */
import type { CompileAnswer, CompileOrder, ModelLocation } from "../runtime/format/compile-order.ts";
import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import { type ByteSource, compile, fileSetSource, urlSource } from "./compile.ts";

/** The worker's own scope; the project's types are those of a page. */
interface Scope {
  onmessage: ((event: MessageEvent<CompileOrder>) => void) | null;
  postMessage(answer: CompileAnswer, transfer: readonly Transferable[]): void;
}

const scope = globalThis as unknown as Scope;

const sourceOf = (model: ModelLocation): ByteSource =>
  model.kind === "url" ? urlSource(model.url) : fileSetSource(model.files, model.path);

async function answerTo({ model, ...options }: CompileOrder): Promise<CompileAnswer> {
  try {
    const { files } = await compile(sourceOf(model), options);
    return { kind: "package", files: Object.fromEntries(files) };
  } catch (error) {
    if (error instanceof LeafcutterError) return { kind: "failure", diagnostic: error.diagnostic };
    const received = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return { kind: "failure", diagnostic: { code: "internal", message: "the compiler failed", received } };
  }
}

scope.onmessage = async ({ data }) => {
  const answer = await answerTo(data);
  const contents = answer.kind === "package" ? Object.values(answer.files) : [];
  scope.postMessage(answer, [...new Set(contents.map(({ buffer }) => buffer as ArrayBuffer))]);
};
