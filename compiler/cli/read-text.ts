/** Text files that options name. */
import { readFile } from "node:fs/promises";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";

/** Throws file-missing. */
export async function readText(flag: string, path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new LeafcutterError(
      {
        code: "file-missing",
        where: `${flag} ${path}`,
        message: "the file cannot be read",
        received: error instanceof Error ? error.message : String(error),
      },
      { cause: error },
    );
  }
}
