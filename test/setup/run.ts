/**
 * `npm test`: linter, type checker, then every vitest project, and the closing line `N passed, N failed`.
 *
 * The linter and the type checker count as one check each; a test file that does not load, an error outside any test
 * and a missing Chromium count as one failure each; the tests in Firefox and WebKitGTK are skipped, and the skip named,
 * where there is none. Ends with exit code 1 when anything failed.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findBrowser } from "../../bench/browser.ts";
import type { BrowserName } from "../../bench/driven-browser.ts";
import { type Count, countVitest } from "./count.ts";

/** Vitest's projects by the browser that they need. */
const browserProjects: readonly (readonly [project: string, browser: BrowserName])[] = [
  ["browser", "chromium"],
  ["firefox", "firefox"],
  ["webkit", "webkit"],
];

/** Runs a tool of node_modules/.bin (which npm puts on PATH); true when it ended with exit code 0. */
function run(command: string, args: readonly string[]): boolean {
  console.log(`\n> ${[command, ...args].join(" ")}`);
  const windows = process.platform === "win32";
  const child = spawnSync(command, args, { stdio: ["ignore", "inherit", "inherit"], shell: windows });
  if (child.error !== undefined) console.error(`${command}: ${child.error.message}`);
  return child.status === 0;
}

function check(passed: boolean): Count {
  return passed ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

function vitest(projects: readonly string[]): Count {
  const folder = mkdtempSync(join(tmpdir(), "leafcutter-test-"));
  const file = join(folder, "result.json");
  try {
    const selected = projects.flatMap((name) => ["--project", name]);
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
    const succeeded = run("vitest", ["run", ...selected, ...reporters]);
    return countVitest(readFileSync(file, "utf8"), succeeded);
  } catch (error) {
    console.error(`vitest left no result: ${error instanceof Error ? error.message : String(error)}`);
    return check(false);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const counts: Count[] = [check(run("biome", ["check", "--error-on-warnings"])), check(run("tsc", []))];
const projects = ["node"];
const absent: string[] = [];
for (const [project, name] of browserProjects) {
  const found = findBrowser(name);
  if (!("missing" in found)) projects.push(project);
  else if (name === "chromium") {
    counts.push(check(false));
    absent.push("The browser tests did not run: no Chromium on this machine (set CHROME to one).");
  } else absent.push(`The ${project} tests were skipped: there is no ${found.missing} on this machine.`);
}
counts.push(vitest(projects));
for (const line of absent) console.error(line);

const passed = counts.reduce((sum, count) => sum + count.passed, 0);
const failed = counts.reduce((sum, count) => sum + count.failed, 0);
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
