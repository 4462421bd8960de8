/** Chromium through Playwright. Where it is: chromium.ts. */
import { chromiumArguments } from "./chromium.ts";
import { asJson, type DrivenBrowser, type DrivenPage, fromJson } from "./driven-browser.ts";
import { optionalPackage } from "./optional-package.ts";

/** Throws LeafcutterError feature-missing without Playwright. */
export async function launchChromium(executablePath: string): Promise<DrivenBrowser> {
  const { chromium } = await optionalPackage("playwright", () => import("playwright"));
  const browser = await chromium.launch({ executablePath, headless: true, args: [...chromiumArguments] });
  const devtools = await browser.newBrowserCDPSession();
  const open = async (address: string): Promise<DrivenPage> => {
    const context = await browser.newContext();
    const page = await context.newPage();
    const lost = new Promise<never>((_, reject) => {
      page.on("crash", () => reject(new Error("the page crashed (out of memory?)")));
      page.on("close", () => reject(new Error("the page was closed")));
    });
    lost.catch(() => undefined);
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(error.message));
    await page.goto(address);
    return {
      evaluate: async <T>(expression: string): Promise<T> => {
        try {
          return fromJson<T>(await Promise.race([page.evaluate(asJson(expression)), lost]));
        } catch (error) {
          const message = error instanceof Error ? error.message : String(error);
          throw new Error([...new Set([message, ...errors])].join("; "));
        }
      },
      close: () => context.close(),
    };
  };
  return {
    version: browser.version(),
    get alive() {
      return browser.isConnected();
    },
    open,
    renderers: async () => {
      const { processInfo } = await devtools.send("SystemInfo.getProcessInfo");
      return processInfo.flatMap(({ type, id }) => (type === "renderer" ? [id] : []));
    },
    close: () => browser.close(),
  };
}
