/** A headless Chromium that opens pages of the bench, each in a profile of its own, and the server they come from. */
import { type BrowserContext, chromium, type Page } from "playwright";
import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import { type PageAssets, type PageName, pageAssets } from "./assets.ts";
import { chromiumArguments, findChromium } from "./chromium.ts";
import { type Mount, type Server, serve } from "./serve.ts";

export interface OpenPage {
  /** Value of a JavaScript expression in the page; promises are awaited. */
  evaluate<T>(expression: string): Promise<T>;
  /** Closes the page and its profile: nothing of it is cached for another. */
  close(): Promise<void>;
}

export interface BenchBrowser {
  /** Of the browser, "156.0.…". */
  readonly version: string;
  /** A page of its own profile that has loaded the script; `query` is for the script. */
  open(page: PageName, query?: Readonly<Record<string, string>>): Promise<OpenPage>;
  /** Process ids of all renderers. */
  renderers(): Promise<readonly number[]>;
  close(): Promise<void>;
}

const noChromium = (): LeafcutterError =>
  new LeafcutterError({
    code: "feature-missing",
    message: "there is no Chromium on this machine",
    expected: "Chrome or Chromium on PATH, in CHROME, or Playwright's own",
    advice: "Install Chromium, or run `npx playwright install chromium`.",
  });

const html = (script: string): string =>
  `<!doctype html><meta charset="utf-8"><title>Leafcutter bench</title><link rel="icon" href="data:,"><script type="module" src="/assets/${script}"></script>`;

/** The server with all that pages of the bench load, but models and packages; `peers` are folders by URL prefix. */
export async function openServer(peers: Readonly<Record<string, Mount>> = {}): Promise<Server> {
  const assets: PageAssets = await pageAssets();
  const pages = new Map(assets.pages.map((page) => [`${page}.html`, html(assets.script(page))]));
  return serve({
    "/assets/": { kind: "folder", path: assets.root },
    "/page/": { kind: "memory", files: pages },
    ...peers,
  });
}

/** A Chromium whose pages come from `server`. Throws LeafcutterError feature-missing when this machine has none. */
export async function launchBrowser(server: Server): Promise<BenchBrowser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw noChromium();
  const browser = await chromium.launch({ executablePath, headless: true, args: [...chromiumArguments] });
  const devtools = await browser.newBrowserCDPSession();
  return {
    version: browser.version(),
    open: async (page, query = {}) => {
      const address = new URL(`${server.url}/page/${page}.html`);
      for (const [key, value] of Object.entries(query)) address.searchParams.set(key, value);
      return openPage(await browser.newContext(), address.href);
    },
    renderers: async () => {
      const { processInfo } = await devtools.send("SystemInfo.getProcessInfo");
      return processInfo.flatMap(({ type, id }) => (type === "renderer" ? [id] : []));
    },
    close: () => browser.close(),
  };
}

async function openPage(context: BrowserContext, address: string): Promise<OpenPage> {
  const page: Page = await context.newPage();
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
        return await Promise.race([page.evaluate<T>(expression), lost]);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        throw new Error([message, ...errors].join("; "));
      }
    },
    close: () => context.close(),
  };
}
