/** A folder that keeps calibrations between compiles: a file an entry, written whole or not at all, the oldest removed beyond a size. */
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { homedir, platform } from "node:os";
import { join } from "node:path";
import type { CalibrationStore } from "../compile.ts";

/** Bytes of all entries. */
const mostBytes = 1e9;
const ending = ".calibration";

/** In the user's cache folder: $XDG_CACHE_HOME, or where the system has it. */
export function usualCalibrationFolder(env: NodeJS.ProcessEnv = process.env): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = env;
  if (XDG_CACHE_HOME) return join(XDG_CACHE_HOME, "leafcutter");
  if (platform() === "win32" && LOCALAPPDATA) return join(LOCALAPPDATA, "leafcutter", "cache");
  return platform() === "darwin"
    ? join(homedir(), "Library", "Caches", "leafcutter")
    : join(homedir(), ".cache", "leafcutter");
}

export function calibrationFolder(path: string, limit = mostBytes): CalibrationStore {
  const fileOf = (key: string): string => join(path, `${key}${ending}`);
  return {
    get: async (key) => {
      const file = fileOf(key);
      try {
        const bytes = await readFile(file);
        // What was used last is removed last.
        const now = new Date();
        await utimes(file, now, now).catch(() => undefined);
        return bytes;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw error;
      }
    },
    put: async (key, bytes) => {
      if (bytes.byteLength > limit) return;
      await mkdir(path, { recursive: true });
      const unfinished = join(path, `${key}.${process.pid}.unfinished`);
      try {
        await writeFile(unfinished, bytes);
        await rename(unfinished, fileOf(key));
      } catch (error) {
        await rm(unfinished, { force: true }).catch(() => undefined);
        throw error;
      }
      await removeOldest(path, limit);
    },
  };
}

async function removeOldest(path: string, limit: number): Promise<void> {
  const names = (await readdir(path)).filter((name) => name.endsWith(ending));
  const files = await Promise.all(
    names.map(async (name) => {
      const file = join(path, name);
      const { size, mtimeMs } = await stat(file).catch(() => ({ size: 0, mtimeMs: 0 }));
      return { file, size, mtimeMs };
    }),
  );
  let bytes = files.reduce((sum, { size }) => sum + size, 0);
  for (const { file, size } of files.sort((left, right) => left.mtimeMs - right.mtimeMs)) {
    if (bytes <= limit) return;
    await rm(file, { force: true });
    bytes -= size;
  }
}
