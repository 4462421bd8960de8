/** Children of this process that must not outlive it, and the processes below a process. */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";

const running = new Set<ChildProcess>();
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
let isListening = false;

/** A detached child leads a group of its own, which holds all that it starts. */
function killGroup(child: ChildProcess): void {
  running.delete(child);
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

function killAll(): void {
  for (const child of running) killGroup(child);
}

function endBy(signal: NodeJS.Signals): void {
  killAll();
  // Others who listen decide when the process ends; alone, the signal does what it always does.
  if (process.listenerCount(signal) > 1) return;
  process.removeListener(signal, endBy);
  process.kill(process.pid, signal);
}

export interface GroupChild {
  readonly child: ChildProcess;
  /** Ends it and all that it has started. */
  kill(): void;
}

/** Starts a child that ends, with all that it starts, at the latest when this process does. */
export function startGroup(command: string, args: readonly string[], options: SpawnOptions): GroupChild {
  if (!isListening) {
    isListening = true;
    process.once("exit", killAll);
    for (const signal of signals) process.on(signal, endBy);
  }
  const child = spawn(command, args, { ...options, detached: true });
  running.add(child);
  const forget = (): void => void running.delete(child);
  child.once("exit", forget);
  child.once("error", forget);
  return { child, kill: () => killGroup(child) };
}

/** Process ids below `root` whose command line matches; none where /proc does not tell. */
export async function descendants(root: number, commandLine: RegExp): Promise<readonly number[]> {
  const ids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name)).map(Number);
  const parents = new Map<number, number>();
  await Promise.all(
    ids.map(async (id) => {
      const status = await readFile(`/proc/${id}/status`, "utf8").catch(() => "");
      parents.set(id, Number(/^PPid:\s+(\d+)/m.exec(status)?.[1] ?? 0));
    }),
  );
  const isBelow = (id: number): boolean => {
    for (let at = parents.get(id) ?? 0; at > 1; at = parents.get(at) ?? 0) if (at === root) return true;
    return false;
  };
  const below = await Promise.all(
    ids.filter(isBelow).map(async (id) => {
      const line = await readFile(`/proc/${id}/cmdline`, "utf8").catch(() => "");
      return commandLine.test(line.replaceAll("\0", " ")) ? [id] : [];
    }),
  );
  return below.flat();
}
