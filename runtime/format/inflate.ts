/** Files of a package that are DEFLATE streams. Throws LeafcutterError package-invalid for what is none, or of another length. */
import { LeafcutterError } from "./diagnostic.ts";
import type { FileReference } from "./manifest.ts";

/** The content of a file whose bytes are `stored`. Never holds more than the manifest says. */
export async function contentOf({ path, contentBytes }: FileReference, stored: Uint8Array): Promise<Uint8Array> {
  if (contentBytes === undefined) return stored;
  const invalid = (received: string, cause?: unknown): LeafcutterError =>
    new LeafcutterError(
      {
        code: "package-invalid",
        message: "the file is not the DEFLATE stream that the manifest describes",
        where: path,
        expected: `a raw DEFLATE stream of ${contentBytes} bytes`,
        received,
      },
      { cause },
    );
  const content = new Uint8Array(contentBytes);
  const inflating = new Blob([stored as Uint8Array<ArrayBuffer>])
    .stream()
    .pipeThrough(new DecompressionStream("deflate-raw"));
  const reader = inflating.getReader();
  let offset = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (offset + value.byteLength > contentBytes) throw invalid("more");
      content.set(value, offset);
      offset += value.byteLength;
    }
  } catch (cause) {
    reader.cancel().catch(() => undefined);
    if (cause instanceof LeafcutterError) throw cause;
    throw invalid(cause instanceof Error ? cause.message : String(cause), cause);
  }
  if (offset < contentBytes) throw invalid(`${offset} bytes`);
  return content;
}
