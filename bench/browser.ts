/**
 * The browsers of this machine as the bench uses them: pages of the bench, each in a profile of its own, and the server
 * that they come from. A browser that has ended by itself is started again for the next page.
 */
import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import { type PageAssets, type PageName, pageAssets } from "./assets.ts";
import { findChromium } from "./chromium.ts";
import { launchChromium } from "./drive-chromium.ts";
import { findFirefox, launchFirefox } from "./drive-firefox.ts";
import { findWebKit, launchWebKit } from "./drive-webkit.ts";
import { type BrowserName, browserTitles, type DrivenBrowser, type DrivenPage } from "./driven-browser.ts";
import { type Mount, type ServeOptions, type Server, serve } from "./serve.ts";

export interface BenchBrowser {
  readonly name: BrowserName;
  readonly version: string;
  /** A page of its own profile that has loaded the script; `query` is for the script. */
  open(page: PageName, query?: Readonly<Record<string, string>>): Promise<DrivenPage>;
  /** Process ids of all renderers. */
  renderers(): Promise<readonly number[]>;
  close(): Promise<void>;
}

/** How to start a browser, or why it cannot be started here. */
export type FoundBrowser = { readonly launch: () => Promise<DrivenBrowser> } | { readonly missing: string };

/** Looks for a browser on this machine; starts nothing for longer than it takes to know. */
export function findBrowser(name: BrowserName): FoundBrowser {
  switch (name) {
    case "chromium": {
      const path = findChromium();
      return path === undefined
        ? { missing: "Chromium or Chrome (CHROME, PATH, Playwright's own)" }
        : { launch: () => launchChromium(path) };
    }
    case "firefox": {
      const path = findFirefox();
      return path === undefined
        ? { missing: "Firefox (FIREFOX, PATH; Debian: firefox-esr)" }
        : { launch: () => launchFirefox(path) };
    }
    case "webkit": {
      const programs = findWebKit();
      return "missing" in programs
        ? { missing: `${programs.missing} (Debian: webkit2gtk-driver, xvfb)` }
        : { launch: () => launchWebKit(programs) };
    }
  }
}

const html = (script: string): string =>
  `<!doctype html><meta charset="utf-8"><title>Leafcutter bench</title><link rel="icon" href="data:,"><script type="module" src="/assets/${script}"></script>`;

/** The server with all that pages of the bench load, but models and packages; `peers` are folders by URL prefix. */
export async function openServer(
  peers: Readonly<Record<string, Mount>> = {},
  options: ServeOptions = {},
): Promise<Server> {
  const assets: PageAssets = await pageAssets();
  const pages = new Map(assets.pages.map((page) => [`${page}.html`, html(assets.script(page))]));
  const own = {
    "/assets/": { kind: "folder", path: assets.root },
    "/page/": { kind: "memory", files: pages },
  } as const;
  return serve({ ...own, ...peers }, options);
}

/** A browser whose pages come from `server`. Throws LeafcutterError feature-missing when this machine has none. */
export async function launchBrowser(server: Server, name: BrowserName = "chromium"): Promise<BenchBrowser> {
  const found = findBrowser(name);
  if ("missing" in found) {
    throw new LeafcutterError({
      code: "feature-missing",
      message: `there is no ${browserTitles[name]} on this machine that can be driven`,
      expected: found.missing,
      advice: "Install it, or leave it out of --in.",
    });
  }
  let browser = await found.launch();
  const { version } = browser;
  return {
    name,
    version,
    open: async (page, query = {}) => {
      if (!browser.alive) {
        await browser.close().catch(() => undefined);
        browser = await found.launch();
      }
      const address = new URL(`${server.url}/page/${page}.html`);
      for (const [key, value] of Object.entries(query)) address.searchParams.set(key, value);
      return browser.open(address.href);
    },
    renderers: () => browser.renderers(),
    close: () => browser.close(),
  };
}
