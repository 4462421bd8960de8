/**
 * A file on disk as a ByteSource. With the command line the only part of the compiler that touches Node.
 * A file beside the model is refused when its real path (after symbolic links) leaves the model's folder.
 */
import { open, readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import type { Folder } from "./import/data-set.ts";
import { type ByteSource, checkRange, missingFile, normalSiblingPath, refusedPath } from "./import/source.ts";

/** A file by its path. Throws file-missing on first use when it is not a readable file. */
export function fileSource(path: string): ByteSource {
  const name = basename(path);
  let known: Promise<number> | undefined;
  const size = (): Promise<number> => {
    known ??= stat(path).then(
      (status) => {
        if (status.isFile()) return status.size;
        throw missingFile(path, "The path is not a file.");
      },
      () => {
        throw missingFile(path, "Check the path.");
      },
    );
    return known;
  };
  return {
    name,
    size,
    read: async (offset, length) => {
      checkRange(name, await size(), offset, length);
      const bytes = new Uint8Array(length);
      const file = await open(path);
      try {
        // One call reads at most 2 GiB.
        for (let done = 0; done < length; ) {
          const { bytesRead } = await file.read(bytes, done, Math.min(length - done, 2 ** 30), offset + done);
          if (bytesRead === 0)
            throw new LeafcutterError({
              code: "model-invalid",
              where: path,
              message: "the file became shorter while it was read",
            });
          done += bytesRead;
        }
      } finally {
        await file.close();
      }
      return bytes;
    },
    sibling: async (relativePath) => {
      const target = join(dirname(path), normalSiblingPath(relativePath));
      const real = await realpath(target).catch(() => {
        throw missingFile(target);
      });
      const way = relative(await realpath(dirname(path)), real);
      if (way.startsWith(`..${sep}`) || way === ".." || dirname(way).startsWith(sep)) throw refusedPath(relativePath);
      return fileSource(target);
    },
  };
}

/** A folder on disk, for readDataSets. */
export function diskFolder(path: string): Folder {
  return {
    list: (part) => readdir(join(path, part)).catch(() => []),
    read: async (part) => {
      const source = fileSource(join(path, part));
      return source.read(0, await source.size());
    },
  };
}
