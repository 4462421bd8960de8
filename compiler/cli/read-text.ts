/** A file that an option of the command line names. */
import { readFile } from "node:fs/promises";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";

/** Throws file-missing. */
export const readText = async (flag: string, path: string, advice?: string): Promise<string> =>
  new TextDecoder().decode(await readBytes(flag, path, advice));

/** Throws file-missing. */
export const readBytes = (flag: string, path: string, advice?: string): Promise<Uint8Array> =>
  readFile(path).catch((cause: unknown) => {
    throw unreadable(flag, path, cause, advice);
  });

export const unreadable = (flag: string, path: string, cause: unknown, advice = "Check the path."): LeafcutterError =>
  new LeafcutterError(
    {
      code: "file-missing",
      where: `${flag} ${path}`,
      message: "the file cannot be read",
      received: cause instanceof Error ? cause.message : String(cause),
      advice,
    },
    { cause },
  );
