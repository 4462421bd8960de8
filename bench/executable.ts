/**
 * Programs of this machine: by name on PATH, and the first of several paths that starts. Every child has a time limit,
 * so nothing here waits for a person.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Where PATH may hold programs of these names, in the order of the names. */
export function onPath(names: readonly string[]): readonly string[] {
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  return names.flatMap((name) => folders.map((folder) => join(folder, name)));
}

/** The first path at which there is a file. */
export function firstThatExists(paths: readonly (string | undefined)[]): string | undefined {
  return paths.find((path) => path !== undefined && path !== "" && existsSync(path));
}

/** On Windows `--version` opens a window, so there a file that exists is believed. */
function starts(executable: string): boolean {
  if (process.platform === "win32") return true;
  return spawnSync(executable, ["--version"], { stdio: "ignore", timeout: 20_000 }).status === 0;
}

/** The first path at which a program answers `--version`. */
export function firstThatStarts(paths: readonly (string | undefined)[]): string | undefined {
  return paths.find((path) => firstThatExists([path]) !== undefined && path !== undefined && starts(path));
}
