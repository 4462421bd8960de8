/**
 * Vitest's browser mode in a browser that our own driver opens (bench/browser.ts): the same pages, tests and commands
 * as under Playwright, without its locators. One page at a time; everything ends with the provider.
 */
import { defineBrowserProvider } from "@vitest/browser";
import type { BrowserProvider, BrowserProviderOption } from "vitest/node";
import type { DrivenBrowser, DrivenPage } from "../../bench/driven-browser.ts";

class DrivenBrowserProvider implements BrowserProvider {
  readonly name: string;
  readonly supportsParallelism = false;
  readonly #launch: () => Promise<DrivenBrowser>;
  readonly #pages = new Map<string, DrivenPage>();
  #browser: Promise<DrivenBrowser> | undefined;

  constructor(name: string, launch: () => Promise<DrivenBrowser>) {
    this.name = name;
    this.#launch = launch;
  }

  getCommandsContext(): Record<string, unknown> {
    return {};
  }

  async openPage(sessionId: string, url: string): Promise<void> {
    await this.#pages.get(sessionId)?.close();
    this.#browser ??= this.#launch();
    this.#pages.set(sessionId, await (await this.#browser).open(url));
  }

  async close(): Promise<void> {
    this.#pages.clear();
    const browser = await this.#browser?.catch(() => undefined);
    await browser?.close();
  }
}

/** The provider for a project whose `instances` name the same browser. */
export function drivenBrowser(name: string, launch: () => Promise<DrivenBrowser>): BrowserProviderOption {
  return defineBrowserProvider({
    name,
    supportedBrowser: [name],
    providerFactory: () => new DrivenBrowserProvider(name, launch),
  });
}
