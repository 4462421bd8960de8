/**
 * Where this machine's Chromium is, and how to get one.
 *
 * Looks at the environment variable CHROME, Playwright's own browser, then the usual names on PATH and the usual
 * application folders; a browser counts only when it starts. `installChromium` tries Playwright's download, then
 * (as root on Debian) the distribution's package. Every child has a time limit and no standard input, so nothing here
 * waits for a person. WebGPU on a machine without a GPU needs the one flag in `chromiumArguments`.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type Playwright from "playwright";
import { firstThatStarts, onPath } from "./executable.ts";

/** Flags under which Chromium offers WebGPU on a software adapter too. */
export const chromiumArguments: readonly string[] = ["--enable-unsafe-webgpu"];

const minutes = 60_000;
const namesOnPath = ["google-chrome", "google-chrome-stable", "chromium", "chromium-browser"] as const;
const applications = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
  "C:\\Program Files (x86)\\Google\\Chrome\\Application\\chrome.exe",
] as const;

const require = createRequire(import.meta.url);

/** Where Playwright keeps its own browser; undefined where it is not installed. */
function playwrightsChromium(): string | undefined {
  try {
    return (require("playwright") as typeof Playwright).chromium.executablePath();
  } catch {
    return undefined;
  }
}

/** The path of a Chromium or Chrome that starts, or undefined when this machine has none. */
export function findChromium(): string | undefined {
  return firstThatStarts([process.env.CHROME, playwrightsChromium(), ...onPath(namesOnPath), ...applications]);
}

function run(command: string, args: readonly string[], environment: Readonly<Record<string, string>>): boolean {
  const child = spawnSync(command, args, {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "ignore", "ignore"],
    timeout: 5 * minutes,
    killSignal: "SIGKILL",
  });
  return child.status === 0;
}

/** Installs a Chromium and returns its path; undefined when neither Playwright nor the system's packages gave one. */
export function installChromium(): string | undefined {
  const playwright = join(dirname(require.resolve("playwright/package.json")), "cli.js");
  run(process.execPath, [playwright, "install", "chromium"], { PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT: "10000" });
  const downloaded = findChromium();
  if (downloaded !== undefined) return downloaded;

  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) return undefined;
  const unattended = { DEBIAN_FRONTEND: "noninteractive" };
  run("apt-get", ["update"], unattended);
  run("apt-get", ["install", "-y", "chromium"], unattended);
  return findChromium();
}
