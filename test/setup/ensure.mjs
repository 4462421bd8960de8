/**
 * Run before `npm test`, `npm start` and `npm run demo`, so that they work in a fresh clone: installs the packages of
 * package-lock.json when node_modules is absent or differs from it, then a browser when there is none.
 * Plain Node without dependencies, because it runs before there are any.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** @param {string} file @returns {Readonly<Record<string, { version?: string, optional?: boolean }>>} */
const packagesOf = (file) => JSON.parse(readFileSync(new URL(`../../${file}`, import.meta.url), "utf8")).packages;

/** Packages that are optional for this platform may be missing; any other must be there in the locked version. */
function isInstalled() {
  try {
    const installed = packagesOf("node_modules/.package-lock.json");
    return Object.entries(packagesOf("package-lock.json"))
      .filter(([path]) => path !== "")
      .every(([path, { version, optional }]) =>
        installed[path] === undefined ? optional === true : installed[path].version === version,
      );
  } catch {
    return false;
  }
}

/** @param {string} command @param {readonly string[]} args */
function run(command, args) {
  const root = new URL("../../", import.meta.url);
  const child = spawnSync(command, args, {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    shell: process.platform === "win32",
    timeout: 900_000,
  });
  if (child.status !== 0) {
    console.error(
      `\`${[command, ...args].join(" ")}\` failed (${child.error?.message ?? `exit code ${child.status}`}).`,
    );
    process.exit(1);
  }
}

if (!isInstalled()) {
  console.error("node_modules is absent or not what package-lock.json says: running npm ci.");
  run("npm", ["ci", "--no-progress", "--loglevel=error"]);
}
run(process.execPath, ["--import", "tsx", "test/setup/install-chromium.ts"]);
