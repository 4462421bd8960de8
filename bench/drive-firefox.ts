/**
 * Firefox through WebDriver BiDi, which it speaks itself. Looks at FIREFOX, PATH and the usual application folders.
 * WebGPU is off in Firefox on Linux; the preferences below turn it on where there is a Vulkan driver (Mesa's software
 * driver is enough). There, results of the device arrive on a tick of about 100 ms.
 */

import { setTimeout as pause } from "node:timers/promises";
import type { Page } from "puppeteer-core";
import { asJson, type DrivenBrowser, type DrivenPage, fromJson, within } from "./driven-browser.ts";
import { firstThatStarts, onPath } from "./executable.ts";
import { optionalPackage } from "./optional-package.ts";
import { descendants } from "./process-tree.ts";

const applications = [
  "/Applications/Firefox.app/Contents/MacOS/firefox",
  "C:\\Program Files\\Mozilla Firefox\\firefox.exe",
] as const;

const preferences = {
  "dom.webgpu.enabled": true,
  "dom.webgpu.workers.enabled": true,
  "gfx.webgpu.ignore-blocklist": true,
} as const;

const launchMilliseconds = 120_000;
const loadMilliseconds = 120_000;
const watchMilliseconds = 2000;
const answerMilliseconds = 20_000;
const closeMilliseconds = 20_000;

/** The path of a Firefox that starts, or undefined when this machine has none. */
export function findFirefox(): string | undefined {
  return firstThatStarts([process.env.FIREFOX, ...onPath(["firefox", "firefox-esr"]), ...applications]);
}

/**
 * Rejects when the page's process has ended, of which Firefox sends no event: one of the processes has gone, and the
 * page does not answer any more. Nothing is asked of the page as long as they are all there.
 */
async function crashed(
  page: Page,
  processes: readonly number[],
  renderers: () => Promise<readonly number[]>,
  signal: AbortSignal,
): Promise<never> {
  let known = processes;
  for (;;) {
    await pause(watchMilliseconds, undefined, { signal, ref: false });
    const running = new Set(await renderers());
    if (known.every((id) => running.has(id))) continue;
    known = [...running];
    const answer = page.evaluate("1");
    answer.catch(() => undefined);
    await within(answerMilliseconds, "an answer of a page whose process may have ended", answer);
  }
}

export async function launchFirefox(executablePath: string): Promise<DrivenBrowser> {
  // Loaded here, so that what only asks where Firefox is needs no driver.
  const { default: puppeteer } = await optionalPackage("puppeteer-core", () => import("puppeteer-core"));
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath,
    headless: true,
    timeout: launchMilliseconds,
    /** None: a measurement takes as long as it takes. */
    protocolTimeout: 0,
    extraPrefsFirefox: { ...preferences },
  });
  const process = browser.process();
  const renderers = async (): Promise<readonly number[]> =>
    process?.pid === undefined ? [] : descendants(process.pid, /-contentproc .* tab\s*$/);
  const open = async (address: string): Promise<DrivenPage> => {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    const lost = new Promise<never>((_, reject) => {
      page.once("close", () => reject(new Error("the page was closed")));
      page.once("error", (error) => reject(error));
      browser.once("disconnected", () => reject(new Error("the browser has ended")));
    });
    lost.catch(() => undefined);
    await page.goto(address, { timeout: loadMilliseconds });
    const processes = await renderers();
    return {
      evaluate: async <T>(expression: string) => {
        const watch = new AbortController();
        const answer = page.evaluate(asJson(expression));
        answer.catch(() => undefined);
        try {
          return fromJson<T>(await Promise.race([answer, lost, crashed(page, processes, renderers, watch.signal)]));
        } finally {
          watch.abort();
        }
      },
      close: () => within(closeMilliseconds, "closing a page of Firefox", context.close()),
    };
  };
  return {
    version: (await browser.version()).replace(/^\D+/, ""),
    get alive() {
      return browser.connected;
    },
    open,
    renderers,
    close: async () => {
      await within(closeMilliseconds, "closing Firefox", browser.close()).catch(() => undefined);
      process?.kill("SIGKILL");
    },
  };
}
