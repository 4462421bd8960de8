/** A headless Chromium and the bench's server, opened together and closed together. */
import { type Browser, type BrowserContext, chromium, type Page } from "playwright";
import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import { type PageAssets, pageAssets, type PageName } from "./assets.ts";
import { chromiumArguments, findChromium } from "./chromium.ts";
import { type Mount, type Server, serve } from "./serve.ts";

export interface OpenPage {
  /** Value of a JavaScript expression in the page; promises are awaited. */
  evaluate<T>(expression: string): Promise<T>;
  /** Closes the page and its profile: nothing of it is cached for another. */
  close(): Promise<void>;
}

export interface BenchBrowser {
  readonly server: Server;
  /** Of the browser, "156.0.…". */
  readonly version: string;
  /** A page of its own profile that has loaded the script; `query` is for the script. */
  open(page: PageName, query?: string): Promise<OpenPage>;
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

/** The server with all that pages of the bench load, but models and packages. */
export async function openServer(assets: PageAssets, peers: Readonly<Record<string, Mount>>): Promise<Server> {
  const pages = new Map(assets.pages.map((page) => [`${page}.html`, html(assets.script(page))]));
  return serve({
    "/assets/": { kind: "folder", path: assets.root },
    "/page/": { kind: "memory", files: pages },
    ...peers,
  });
}

/** @param peers folders of the peers' own files, by URL prefix. */
export async function openBrowser(peers: Readonly<Record<string, Mount>> = {}): Promise<BenchBrowser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw noChromium();
  const server = await openServer(await pageAssets(), peers);
  let browser: Browser;
  try {
    browser = await chromium.launch({ executablePath, headless: true, args: [...chromiumArguments] });
  } catch (error) {
    await server.close();
    throw error;
  }
  const devtools = await browser.newBrowserCDPSession();
  return {
    server,
    version: browser.version(),
    open: async (page, query = "") => openPage(await browser.newContext(), `${server.url}/page/${page}.html${query}`),
    renderers: async () => {
      const { processInfo } = await devtools.send("SystemInfo.getProcessInfo");
      return processInfo.flatMap(({ type, id }) => (type === "renderer" ? [id] : []));
    },
    close: async () => {
      await browser.close();
      await server.close();
    },
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
